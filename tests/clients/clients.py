"""Every client that is run against a broker: where it comes from, how it is made ready and run, its checks.

A client's program is called with BROKER RECORDS_FILE PREFIX and prints one line per check
(tests/clients/report.py). What it must report is listed here, once: a check without a report is a failure.
"""

import os
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.environ.get("HEADRACE_CLIENTS", os.path.join(ROOT, "build", "clients"))

DEBIAN_PYTHON = "/usr/bin/python3"  # whose modules Debian's packages are

CHECKS = {
    "metadata": "brokers, topics, partitions, leaders",
    "none": "all records, uncompressed: keys, values, headers, nulls and times come back byte for byte",
    "gzip": "the same with gzip",
    "snappy": "the same with snappy",
    "lz4": "the same with lz4",
    "zstd": "the same with zstd",
    "nulls_and_headers": "null keys, null values and headers from a command line",
    "order": "10,000 records: in order in every partition, none missing, none twice",
    "idempotent": "the same from an idempotent producer",
    "acks": "acks 0, 1 and all",
    "group": "a second member joins and leaves; all is read, nothing twice",
    "group_range": "the same with the range assignor",
    "group_roundrobin": "the same with round robin",
    "group_sticky": "the same with the sticky assignor",
    "group_cooperative-sticky": "the same with the cooperative sticky assignor",
    "group_consumer": "the same with group.protocol=consumer (assigned by the broker)",
    "static_member": "a static member that comes back finds its partitions, without a rebalance",
    "seek_eager": "`headrace group seek` on a live group under auto-commit: all is read again, and no former "
                  "member's commit lands",
    "seek_cooperative-sticky": "the same with the cooperative sticky assignor",
    "seek_static": "the same with static members",
    "seek_consumer": "the same with group.protocol=consumer",
    "seek_consumer_static": "the same with static members of group.protocol=consumer",
    "resume": "commits an offset; the next member goes on there",
    "by_time": "offsets by time, before, at, between and after; earliest and latest",
    "max_timestamp": "the offset of the latest time",
    "topics": "creates, refuses a second, adds partitions, deletes",
    "configs": "alters and describes a topic's configuration",
    "delete_records": "deletes records up to an offset",
    "offsets_admin": "alters and deletes a group's offsets",
    "groups_admin": "lists, describes and deletes a group",
    "cluster": "describes the cluster and its log directories",
    "transactions": "transactions are refused at once, with the reason",
    "console": "kafka-console-producer and kafka-console-consumer",
    "tool_topics": "kafka-topics",
    "tool_configs": "kafka-configs",
    "tool_consumer_groups": "kafka-consumer-groups: describe, with a live group's state and members, reset "
                            "by time, delete",
    "tool_offsets": "kafka-get-offsets and kafka-delete-records",
    "perf": "kafka-producer-perf-test and kafka-consumer-perf-test",
    "ship": "every line of a real log of this machine arrives, in order",
}
# The oldest program of each toolchain that will do, and how it tells its version. Go fetches the one that
# go.mod names, as it can since 1.21.
TOOLCHAINS = {
    "java": ("17", ["java", "-version"]),  # Apache Kafka's broker and tools
    "node": ("14.0", ["node", "--version"]),
    "go": ("1.21", ["go", "version"]),
    "cargo": ("1.85", ["cargo", "--version"]),
}
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
SEEKS = ["seek_eager", "seek_cooperative-sticky", "seek_static"]
ADMIN = ["topics", "configs", "delete_records", "offsets_admin", "groups_admin"]


@dataclass(frozen=True)
class Client:
    name: str
    what: str  # what it is, for the matrix
    run: list  # argv, before BROKER RECORDS_FILE PREFIX
    version: list  # argv that prints the version
    checks: list
    toolchain: list = field(default_factory=list)  # programs without which the client is not run
    prepare: list = field(default_factory=list)  # argvs, each run in `folder`
    folder: str = HERE
    registry: bool = False  # prepared from a language's package registry, which may be out of reach


def _here(*parts):
    return os.path.join(HERE, *parts)


def _work(*parts):
    return os.path.join(WORK, *parts)


def _debian(package):
    return ["dpkg-query", "-W", "-f", "${Version}", package]


_LIBRDKAFKA = [_here("librdkafka", name) for name in ("checks.cc", "support.cc", "admin.cc")]

CLIENTS = [
    Client("kcat", "Debian's kcat", [DEBIAN_PYTHON, "-B", _here("kcat.py")], _debian("kcat"),
           ["metadata", *CODECS, "nulls_and_headers", "order", "idempotent", "by_time", "group"]),
    Client("librdkafka", "Debian's librdkafka, a C++ program", [_work("librdkafka")], _debian("librdkafka1"),
           ["metadata", *CODECS, "order", "idempotent", "acks", "by_time", "group_range", "group_roundrobin",
            "group_cooperative-sticky", "resume", *ADMIN, "transactions"],
           toolchain=["g++"],
           prepare=[["g++", "-std=c++20", "-O1", "-I", ROOT, *_LIBRDKAFKA, "-lrdkafka++", "-lrdkafka",
                     "-o", _work("librdkafka")]]),
    Client("python3-kafka", "Debian's python3-kafka", [DEBIAN_PYTHON, "-B", _here("python_kafka.py")],
           _debian("python3-kafka"),
           ["metadata", *CODECS, "order", "group", "resume", "by_time", "topics", "configs", "groups_admin"]),
    Client("python3-confluent-kafka", "Debian's python3-confluent-kafka",
           [DEBIAN_PYTHON, "-B", _here("confluent.py")], _debian("python3-confluent-kafka"),
           ["metadata", *CODECS, "order", "idempotent", *SEEKS, "group", "resume", "by_time", "topics",
            "configs", "transactions"]),
    Client("rsyslog", "Debian's rsyslogd with omkafka", [DEBIAN_PYTHON, "-B", _here("rsyslog.py")],
           _debian("rsyslog-kafka"), ["ship"]),
    Client("kafkajs", "kafkajs on Node.js", ["node", _work("node", "checks.js")],
           ["node", "-p", "require('kafkajs/package.json').version"],
           ["metadata", "none", "gzip", "snappy", "order", "idempotent", "group", "resume", "by_time", *ADMIN,
            "transactions"],
           toolchain=["node", "npm"], prepare=[["npm", "ci", "--loglevel=error", "--no-audit", "--no-fund"]],
           folder=_work("node"), registry=True),
    Client("java", "Apache Kafka's Java client",
           [_here("kafka.sh"), "run", _here("java", "Checks.java")], [_here("java", "version.sh")],
           ["metadata", *CODECS, "order", "idempotent", "group_range", "group_roundrobin", "group_sticky",
            "group_cooperative-sticky", "group_consumer", "static_member", *SEEKS, "seek_consumer",
            "seek_consumer_static", "resume", "by_time", "max_timestamp", *ADMIN, "cluster", "transactions"],
           toolchain=["java", "mvn"], prepare=[[_here("kafka.sh"), "get"]], registry=True),
    Client("kafka-tools", "Apache Kafka's command line tools", [DEBIAN_PYTHON, "-B", _here("kafka_tools.py")],
           [_here("java", "version.sh")],
           ["console", "tool_topics", "tool_configs", "tool_consumer_groups", "tool_offsets", "perf"],
           toolchain=["java", "mvn"], prepare=[[_here("kafka.sh"), "get"]], registry=True),
    Client("franz-go", "franz-go, a Go program", [_work("go", "checks")],
           ["go", "list", "-m", "-f", "{{.Version}}", "github.com/twmb/franz-go"],
           ["metadata", *CODECS, "order", "idempotent", "group", "group_consumer", "resume", "by_time",
            *ADMIN, "transactions"],
           toolchain=["go"], prepare=[["go", "build", "-o", "checks", "."]], folder=_work("go"),
           registry=True),
    Client("rskafka", "rskafka, a Rust program", [_work("rust", "target", "debug", "checks")],
           ["sed", "-n", '/^name = "rskafka"/{n;s/version = "\\(.*\\)"/\\1/p}', "Cargo.lock"],
           ["metadata", *CODECS, "order", "by_time", "topics", "delete_records"],
           toolchain=["cargo"], prepare=[["cargo", "build", "--quiet"]], folder=_work("rust"),
           registry=True),
]
