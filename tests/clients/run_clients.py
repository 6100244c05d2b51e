#!/usr/bin/env python3
"""Runs every client's checks against a broker that answers already, and writes what came of them.

  run_clients.py BROKER RESULTS_FILE [--jobs N] [client ...]

RESULTS_FILE gets one JSON line per check: {client, version, check, passed, detail, seconds}. `passed` is null
for what was not run; `detail` says why. Exit 1 if a check failed, or did not report.
"""

import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time

import records
from clients import CLIENTS, WORK
from prepare import NotHere, prepare

CLIENT_SECONDS_MAX = 200


class Results:
    """The file of results; clients write it from several threads."""

    def __init__(self, path):
        self._file = open(path, "w", encoding="utf-8")
        self._mutex = threading.Lock()
        self.counts = {True: 0, False: 0, None: 0}

    def add(self, client, version, check, passed, detail, seconds):
        entry = {"client": client.name, "version": version, "check": check, "passed": passed,
                 "detail": detail, "seconds": round(seconds, 2)}
        word = {True: "ok", False: "FAILED", None: "not run"}[passed]
        with self._mutex:
            self.counts[passed] += 1
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            print(f"clients: {word:7} {client.name} {check} {seconds:.1f} s {detail}".rstrip(), flush=True)


def version_of(client):
    done = subprocess.run(client.version, cwd=client.folder, capture_output=True, text=True, check=False)
    lines = done.stdout.split()
    return lines[-1] if lines else "unknown"


def report(client, version, lines, results):
    """Puts down what a client says line by line; returns {check: passed}."""
    outcomes = {}
    since = time.monotonic()
    for line in lines:
        outcome, _, rest = line.rstrip("\n").partition(" ")
        if outcome not in ("ok", "failed", "skipped"):
            continue
        name, _, detail = rest.partition(" ")
        outcomes[name] = {"ok": True, "failed": False, "skipped": None}[outcome]
        now = time.monotonic()
        results.add(client, version, name, outcomes[name], detail, now - since)
        since = now
    return outcomes


def run(client, broker, records_path, prefix, results):
    started = time.monotonic()
    try:
        prepare(client)
    except NotHere as reason:
        results.add(client, "unknown", "all", None, str(reason), 0)
        return
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        results.add(client, "unknown", "prepare", False, str(error), time.monotonic() - started)
        return
    version = version_of(client)
    log_path = os.path.join(WORK, f"{client.name}.log")
    with open(log_path, "w", encoding="utf-8") as log:
        command = [*client.run, broker, records_path, f"{prefix}-{client.name}"]
        # In a session of its own, so that what it has started ends with it: that would hold the pipe open.
        with subprocess.Popen(command, cwd=client.folder, stdout=subprocess.PIPE, stderr=log, text=True,
                              start_new_session=True) as process:
            timer = threading.Timer(CLIENT_SECONDS_MAX, os.killpg, (process.pid, signal.SIGKILL))
            timer.start()
            outcomes = report(client, version, process.stdout, results)
            process.wait()
            timer.cancel()
    for name in (each for each in client.checks if each not in outcomes):
        detail = f"did not report (exit {process.returncode}); see {os.path.relpath(log_path)}"
        results.add(client, version, name, False, detail, 0)
    if process.returncode != 0 and False not in outcomes.values() and outcomes.keys() >= set(client.checks):
        detail = f"exit {process.returncode} after all checks; see {os.path.relpath(log_path)}"
        results.add(client, version, "exit", False, detail, 0)


def main():
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("broker")
    parser.add_argument("results")
    parser.add_argument("clients", nargs="*", metavar="client", help=f"of {', '.join(names)}")
    parser.add_argument("--jobs", type=int, default=2, help="clients at a time")
    arguments = parser.parse_intermixed_args()
    if unknown := set(arguments.clients) - set(names):
        parser.error(f"no client {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [client for client in CLIENTS if not arguments.clients or client.name in arguments.clients]
    os.makedirs(WORK, exist_ok=True)
    records_path = os.path.join(WORK, "records.tsv")
    records.write(records_path, records.make(int(time.time() * 1000)))
    prefix = f"t{int(time.time()):x}"  # so that a broker that lives on can be checked again
    results = Results(arguments.results)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(run, client, arguments.broker, records_path, prefix, results)
                for client in chosen]
        for each in runs:
            each.result()
    counts = results.counts
    print(f"clients: {counts[True]} passed, {counts[False]} failed, {counts[None]} skipped", flush=True)
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
