#!/usr/bin/env python3
"""What decides whether a client passed, held itself: without a broker and without a client."""

import contextlib
import io
import os
import sys
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import differential  # noqa: E402
import matrix  # noqa: E402
import prepare  # noqa: E402
import run_clients  # noqa: E402
from asker import Asker  # noqa: E402
from clients import CLIENTS  # noqa: E402


class Differential(unittest.TestCase):
    def wrong(self, kafka, headrace, expected=None, questions_min=0):
        return list(differential.compare(kafka, headrace, expected or {}, questions_min))

    def test_alike_is_right(self):
        self.assertEqual([], self.wrong({"a": 1}, {"a": 1}))

    def test_another_answer_than_the_one_decided_is_wrong(self):
        decided = {"a": (1, 2)}
        self.assertEqual([], self.wrong({"a": 1}, {"a": 2}, decided))
        self.assertEqual(1, len(self.wrong({"a": 1}, {"a": 3}, decided)))
        self.assertEqual(1, len(self.wrong({"a": 0}, {"a": 2}, decided)))
        self.assertEqual(1, len(self.wrong({"a": 2}, {"a": 1}, decided)))

    def test_a_difference_that_is_gone_or_was_not_asked_is_wrong(self):
        self.assertEqual(1, len(self.wrong({"a": 2}, {"a": 2}, {"a": (1, 2)})))
        self.assertEqual(1, len(self.wrong({}, {}, {"a": (1, 2)})))

    def test_what_one_broker_alone_answered_is_wrong(self):
        self.assertEqual(2, len(self.wrong({"a": 1}, {"b": 1})))

    def test_fewer_questions_than_there_are_is_wrong(self):
        self.assertEqual(1, len(self.wrong({"a": 1}, {"a": 1}, questions_min=2)))

    def test_a_group_of_questions_that_breaks_off_on_both_alike_is_wrong(self):
        def breaks(asker):
            asker.note("before", 1)
            raise TypeError("no answer")
        with mock.patch.object(differential, "QUESTIONS", [SimpleNamespace(ALL=[breaks], __name__="some")]):
            answers, broken = differential.all_answers("nowhere:1", "x")
        self.assertEqual({"before": 1}, answers)
        self.assertEqual(["breaks of some: TypeError: no answer"], broken)

    def test_what_does_not_settle_is_no_answer(self):
        with self.assertRaisesRegex(AssertionError, "not within 0 s: it"):
            Asker("nowhere:1", "x").until("it", lambda: False, 0)


class Documents(unittest.TestCase):
    def test_the_lists_of_the_readme_are_those_of_the_programs(self):
        self.assertEqual(differential.document(), matrix.block(matrix.README, "differences"))
        self.assertEqual(matrix.checks(), matrix.block(matrix.README, "checks"))

    def test_the_tables_are_written_of_all_clients_or_not_at_all(self):
        self.assertEqual([client.name for client in CLIENTS[1:]],
                         matrix.missing([{"client": CLIENTS[0].name}]))


class Registries(unittest.TestCase):
    def test_no_connection_is_told_from_what_is_not_there(self):
        for text in (
            "Could not transfer artifact a:b:pom:1 from/to central (https://central): central: Temporary "
            "failure in name resolution",
            "npm ERR! code ENOTFOUND npm ERR! network request to https://registry failed",
            'Get "https://proxy/x": dial tcp: lookup proxy on 1.1.1.1:53: no such host',
            "warning: spurious network error: [6] Could not resolve hostname (Could not resolve host: index)",
            "Connect to repo:443 failed: Connection refused",
            "Could not transfer artifact a:b:pom:1 from/to central: transfer failed: Unknown host central",
        ):
            self.assertTrue(prepare.is_out_of_reach(text), text)
        for text in (
            "Could not resolve dependencies for project headrace:clients:pom:1: Could not find artifact "
            "org.apache.kafka:kafka_2.13:jar:99 in central (https://central)",
            "org.apache.kafka:kafka:jar:99 was not found in https://repo during a previous attempt. This "
            "failure was cached; an earlier one said: Connection refused",
            "npm ERR! code E404 npm ERR! 404 Not Found - GET https://registry/kafkajs-none",
            "npm ERR! code ETARGET npm ERR! notarget No matching version found for kafkajs@99",
            "go: github.com/twmb/franz-go@v9: reading https://proxy: 404 Not Found",
            "go: dial tcp is mentioned, and unknown revision v9 is what is wrong",
            "error: failed to select a version for the requirement `rskafka = \"=9\"`",
            "checks.cc:1: error: expected ';'",
        ):
            self.assertFalse(prepare.is_out_of_reach(text), text)

    def test_an_older_program_will_not_do(self):
        for text, wanted in (("go version go1.19.8 linux/amd64", (1, 19, 8)), ("v18.19.0", (18, 19, 0)),
                             ('openjdk version "17" 2021-09-14', (17,)), ("cargo 1.65.0", (1, 65, 0))):
            self.assertEqual(wanted, prepare.version_in(text))
        toolchain = {"sh": ("2.10", ["echo", "sh 2.9"])}
        with mock.patch.dict(prepare.TOOLCHAINS, toolchain, clear=True):
            with self.assertRaisesRegex(prepare.NotHere, r"^sh 2\.9 is older than 2\.10$"):
                prepare.require("sh")
        with mock.patch.dict(prepare.TOOLCHAINS, {"sh": ("2.10", ["echo", "sh 2.10"])}, clear=True):
            prepare.require("sh")


class Runs(unittest.TestCase):
    def outcome(self, script, checks=("one",)):
        """{check: passed} of a client that is this shell script."""
        client = SimpleNamespace(name="script", run=["sh", "-c", script, "script"], version=["echo", "1"],
                                 checks=list(checks), toolchain=[], prepare=[], folder="/", registry=False)
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(run_clients, "WORK", folder):
            results = SimpleNamespace(found={})
            results.add = lambda client, version, check, passed, *rest: results.found.update({check: passed})
            with contextlib.redirect_stdout(io.StringIO()):
                run_clients.run(client, "nowhere:1", "none", "x", results)
        return results.found

    def test_what_a_client_reports(self):
        self.assertEqual({"one": True}, self.outcome("echo noise; echo ok one; echo; echo some more noise"))
        self.assertEqual({"one": False}, self.outcome("echo failed one because; exit 1"))
        self.assertEqual({"one": None}, self.outcome("echo skipped one because"))

    def test_what_it_does_not_report_failed(self):
        self.assertEqual({"one": True, "two": False}, self.outcome("echo ok one", ("one", "two")))

    def test_a_client_that_ends_badly_after_all_checks_failed(self):
        self.assertEqual({"one": True, "exit": False}, self.outcome("echo ok one; exit 3"))

    def test_a_client_that_hangs_is_ended_with_what_it_started(self):
        with mock.patch.object(run_clients, "CLIENT_SECONDS_MAX", 0.2):
            self.assertEqual({"one": True, "two": False},
                             self.outcome("echo ok one; sleep 60 & sleep 60", ("one", "two")))


if __name__ == "__main__":
    unittest.main()
