"""A live group is sought by `headrace group seek` while its members read under auto-commit: they must read
all of it again, and what a former member still commits must not land. For clients that poll from Python."""

import json
import os
import subprocess

from report import Skipped, expect, until

LOOKS = 40  # at what the group has committed, each by a program of its own: some auto-commit intervals long


class Headrace:
    """The program `headrace` of the broker under test."""

    def __init__(self, broker):
        if os.environ.get("HEADRACE_BROKER_KIND") != "headrace" or "HEADRACE_BIN" not in os.environ:
            raise Skipped("a group is sought by the program headrace, of a Headrace built here")
        self._command = [os.path.join(os.environ["HEADRACE_BIN"], "headrace"), "--broker", broker, "--json"]

    def start(self, *arguments):
        return subprocess.Popen([*self._command, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def finish(process):
        output = process.communicate(timeout=20)[0]
        expect("exit of headrace", (process.returncode, output if process.returncode else ""), (0, ""))
        return [json.loads(line) for line in output.splitlines() if line.startswith('{"topic"')
                or line.startswith('{"group"')]

    def run(self, *arguments):
        return self.finish(self.start(*arguments))

    def committed(self, group):
        positions = self.run("group", "describe", group)[0]["positions"]
        return {each["partition"]: each["committed"] for each in positions}


def check(headrace, group, count, partitions, poll, produce):
    """`poll()` lets every member read a little and returns (partition, offset) of what it read; `produce(n)`
    adds n records to each partition. The members have subscribed; each partition has `count` records."""
    seen = {partition: [] for partition in range(partitions)}

    def read(condition):
        def once():
            for partition, offset in poll():
                seen[partition].append(offset)
            return condition()
        return once

    def ends_at(offset):
        return lambda: all(each and each[-1] == offset - 1 for each in seen.values())

    until("all is read", read(ends_at(count)))
    until("and committed", read(lambda: set(headrace.committed(group).values()) == {count}))

    # While they read, and have read what is not committed yet.
    produce(count)
    until("more is read", read(lambda: all(each[-1] >= count for each in seen.values())))
    process = headrace.start("group", "seek", group, "--to", "earliest")
    until("it is sought", read(lambda: process.poll() is not None))
    moved = headrace.finish(process)
    expect("to", [each["to"] for each in moved], [0] * partitions)
    until("all is read again", read(lambda: again(seen, 2, 2 * count)), 40)

    # While they hold what is not committed, and do not read: nobody but a former member could commit.
    produce(count)
    until("the rest is read", read(lambda: again(seen, 2, 3 * count)), 40)
    headrace.run("group", "seek", group, "--to", "earliest")
    for _ in range(LOOKS):
        expect("committed", headrace.committed(group), dict.fromkeys(range(partitions), 0))
    for offsets in seen.values():
        offsets.clear()
    until("it is read once more", read(lambda: again(seen, 1, 3 * count)), 40)


def again(seen, begun, end):
    """Whether each partition was begun so often, and since then read whole. What a member had fetched before
    it knew of the seek may stand in between, so the order says nothing."""
    for offsets in seen.values():
        if offsets.count(0) < begun:
            return False
        last_begun = len(offsets) - 1 - offsets[::-1].index(0)
        if not set(range(end)) <= set(offsets[last_begun:]):
            return False
    return True
