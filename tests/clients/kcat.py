#!/usr/bin/python3
"""kcat, Debian's command line client on librdkafka: what a person types."""

import json
import subprocess

import records
import report
from report import expect, until

ORDER_COUNT = 10_000


class Checks:
    """Topics are made by producing to them, as kcat can make them no other way."""

    def __init__(self, broker, records_path, prefix):
        self.broker = broker
        self.prefix = prefix
        # kcat has no option for a record's time, and separates keys by text: this is what it can say.
        self.records = [(key, value, headers) for _, key, value, headers in records.read(records_path)
                        if key and value and b"\n" not in key + value and b"\t" not in key + value]

    def kcat(self, *arguments, text=b""):
        command = ["kcat", "-b", self.broker, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"kcat {' '.join(arguments)}: {done.stderr.decode()[-300:]}")
        return done.stdout

    def consume(self, topic, template, *options):
        return self.kcat("-C", "-q", "-e", "-t", topic, "-o", "beginning", "-f", template, *options)

    def metadata(self):
        topic = f"{self.prefix}-metadata"
        self.kcat("-P", "-t", topic, text=b"one\n")
        answer = json.loads(self.kcat("-L", "-J"))
        expect("brokers", [one["name"] for one in answer["brokers"]], [self.broker])
        found = {one["topic"]: one["partitions"] for one in answer["topics"]}[topic]
        expect("leaders", {one["leader"] for one in found}, {answer["brokers"][0]["id"]})

    def codec(self, name):
        topic = f"{self.prefix}-{name}"
        options = [] if name == "none" else ["-z", name]
        text = b"".join(key + b"\t" + value + b"\n" for key, value, _ in self.records)
        self.kcat("-P", "-t", topic, "-p", "0", "-K", "\t", *options, text=text)
        expect("records", self.consume(topic, "%k\t%s\n", "-p", "0"), text)
        return f"{len(self.records)} records"

    def nulls_and_headers(self):
        topic = f"{self.prefix}-nulls"
        self.kcat("-P", "-t", topic, "-p", "0", "-Z", "-K", ":", "-H", "a=1", "-H", "b=zwei",
                  text=b"key:\n:value\n")
        expect("lengths and headers", self.consume(topic, "%o %K %S %h\n", "-p", "0"),
               b"0 3 -1 a=1,b=zwei\n1 -1 5 a=1,b=zwei\n")

    def order(self):
        topic = f"{self.prefix}-order"
        text = b"".join(b"%d\n" % number for number in range(ORDER_COUNT))
        self.kcat("-P", "-t", topic, "-p", "0", "-z", "zstd", "-X", "max.in.flight=1", text=text)
        expect("records", self.consume(topic, "%s\n", "-p", "0"), text)
        reading = ["-C", "-q", "-e", "-t", topic, "-p", "0"]
        expect("from the middle", self.kcat(*reading, "-o", "5000", "-c", "2"), b"5000\n5001\n")
        expect("from the end", self.kcat(*reading, "-o", "-1"), b"9999\n")

    def idempotent(self):
        topic = f"{self.prefix}-idempotent"
        text = b"".join(b"%d\n" % number for number in range(1000))
        self.kcat("-P", "-t", topic, "-p", "0", "-X", "enable.idempotence=true", text=text)
        expect("records", self.consume(topic, "%s\n", "-p", "0"), text)

    def by_time(self):
        """Of records that a kcat each has written, and so at two times."""
        topic = f"{self.prefix}-time"

        def two_times():
            self.kcat("-P", "-t", topic, "-p", "0", text=b"one\n")
            times = [int(each) for each in self.consume(topic, "%T\n", "-p", "0").split()]
            return times if times[-1] > times[0] + 1 else None

        times = until("records of two times", two_times)
        first, last = times[0], times[-1]
        later = next(n for n, time_ms in enumerate(times) if time_ms > first)
        for time_ms, wanted in ((first - 1000, 0), (first, 0), (first + 1, later), (times[later], later),
                                (last, times.index(last)), (last + 1000, -1)):
            answer = self.kcat("-Q", "-t", f"{topic}:0:{time_ms}").decode()
            offset = int(answer.rsplit("offset", 1)[1])
            # Past the last record kcat shows the end, as -1 or as the offset, by its version.
            expect(f"offset at {time_ms}", offset if offset != len(times) else -1, wanted)

    def group(self):
        topic, group = f"{self.prefix}-order", f"{self.prefix}-group"
        options = ["-q", "-f", "%s\n", "-X", "auto.offset.reset=earliest"]
        first = self.kcat("-G", group, "-c", "10", *options, topic)
        expect("the first ten", first, b"".join(b"%d\n" % number for number in range(10)))
        second = self.kcat("-G", group, "-e", *options, topic)
        expect("the rest", second, b"".join(b"%d\n" % number for number in range(10, ORDER_COUNT)))


def all_checks(broker, records_path, prefix):
    checks = Checks(broker, records_path, prefix)
    yield "metadata", checks.metadata
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        yield codec, report.bind(checks.codec, codec)
    for name in ("nulls_and_headers", "order", "idempotent", "by_time", "group"):
        yield name, getattr(checks, name)


if __name__ == "__main__":
    report.main(all_checks)
