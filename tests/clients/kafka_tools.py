#!/usr/bin/python3
"""Apache Kafka's command line tools, as its users type them: every call is a program of its own."""

import contextlib
import csv
import io
import json
import os
import subprocess

import report
from report import expect, until

KAFKA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafka.sh")
CLASSES = {
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "kafka.admin.ConfigCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
}
PERF_COUNT = 50_000


class Checks:
    def __init__(self, broker, _records_path, prefix):
        self.broker = broker
        self.prefix = prefix

    def tool(self, name, *arguments, text=""):
        command = [KAFKA, "run", CLASSES[name], "--bootstrap-server", self.broker, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{name} {' '.join(arguments)}: {done.stdout[-200:]} {done.stderr[-200:]}")
        return done.stdout

    def create(self, name, partitions):
        topic = f"{self.prefix}-{name}"
        self.tool("topics", "--create", "--topic", topic, "--partitions", str(partitions))
        return topic

    def console(self):
        topic = self.create("console", 1)
        lines = [f"key{n}:value {n} ü" for n in range(100)]
        self.tool("console-producer", "--topic", topic, "--reader-property", "parse.key=true",
                  "--reader-property", "key.separator=:", text="\n".join(lines) + "\n")
        found = self.tool("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "100",
                          "--group", f"{topic}-group", "--formatter-property", "print.key=true",
                          "--formatter-property", "key.separator=:")
        expect("lines", found.splitlines(), lines)

    def tool_topics(self):
        topic = self.create("topics", 2)
        self.tool("topics", "--alter", "--topic", topic, "--partitions", "3")
        found = self.tool("topics", "--describe", "--topic", topic)
        expect("partitions described", found.count(f"Topic: {topic}\tPartition:"), 3)
        self.tool("topics", "--delete", "--topic", topic)
        expect("listed still", topic in self.tool("topics", "--list").split(), False)

    def tool_configs(self):
        topic = self.create("configs", 1)
        which = ["--entity-type", "topics", "--entity-name", topic]
        self.tool("configs", *which, "--alter", "--add-config",
                  "retention.ms=123456789,segment.bytes=10485760")
        self.tool("configs", *which, "--alter", "--delete-config", "segment.bytes")
        found = self.tool("configs", *which, "--describe")
        expect("changed", ("retention.ms=123456789" in found, "segment.bytes=" in found), (True, False))

    def tool_consumer_groups(self):
        """On a group that reads, then on the group of the console's consumer, which has read all."""
        topic = f"{self.prefix}-console"
        group = f"{topic}-live"
        with self.reader(topic, group):
            until("it is described as stable", lambda: [
                (each["STATE"], each["#MEMBERS"]) for each in self.describe(group, "--state")
            ] == [("Stable", "1")], 40)
            member, = self.describe(group, "--members", "--verbose")
            expect("its member", (member["CLIENT-ID"], member["#PARTITIONS"]), ("console-consumer", "1"))
            expect("its assignment", member["CURRENT-ASSIGNMENT"], f"{topic}:0")
        group = f"{topic}-group"
        expect("listed", group in self.tool("consumer-groups", "--list").split(), True)
        expect("lag", self.describe(group)[0]["LAG"], "0")
        self.tool("consumer-groups", "--group", group, "--topic", topic, "--reset-offsets", "--to-datetime",
                  "2020-01-01T00:00:00.000", "--execute")
        expect("lag after the reset", self.describe(group)[0]["LAG"], "100")
        self.tool("consumer-groups", "--delete", "--group", group)

    @contextlib.contextmanager
    def reader(self, topic, group):
        """A console's consumer that reads as long as it is needed, and then leaves its group."""
        command = [KAFKA, "run", CLASSES["console-consumer"], "--bootstrap-server", self.broker,
                   "--topic", topic, "--group", group]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.terminate()

    def describe(self, group, *what):
        """The rows that the tool prints for a group, by the names of its columns."""
        text = self.tool("consumer-groups", "--describe", "--group", group, *what)
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        return list(csv.DictReader(io.StringIO("\n".join(lines)), delimiter=" "))

    def tool_offsets(self):
        topic = f"{self.prefix}-console"
        expect("latest", self.tool("get-offsets", "--topic", topic).split(), [f"{topic}:0:100"])
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"{topic}.json")
        with open(path, "w", encoding="utf-8") as file:
            partitions = [{"topic": topic, "partition": 0, "offset": 40}]
            json.dump({"version": 1, "partitions": partitions}, file)
        answer = self.tool("delete-records", "--offset-json-file", path)
        expect("low mark", "low_watermark: 40" in answer, True)
        os.unlink(path)
        expect("earliest", self.tool("get-offsets", "--topic", topic, "--time", "earliest").split(),
               [f"{topic}:0:40"])

    def perf(self):
        topic = self.create("perf", 2)
        written = self.tool("producer-perf", "--topic", topic, "--num-records", str(PERF_COUNT),
                            "--record-size", "100", "--throughput", "-1")
        read = self.tool("consumer-perf", "--topic", topic, "--num-records", str(PERF_COUNT))
        row = next(csv.DictReader(io.StringIO(read.replace(", ", ",")), delimiter=","))
        expect("read", int(row["data.consumed.in.nMsg"]), PERF_COUNT)
        return written.strip().splitlines()[-1]


def all_checks(broker, records_path, prefix):
    checks = Checks(broker, records_path, prefix)
    for name in ("console", "tool_topics", "tool_configs", "tool_consumer_groups", "tool_offsets", "perf"):
        yield name, getattr(checks, name)


if __name__ == "__main__":
    report.main(all_checks)
