"""What is asked about versions, topics, partitions and configuration."""

import messages
from asker import create, metadata, settled

# The least that existing clients need; what they do not need themselves is left out.
NEEDED = {"Produce": (0, 9), "Fetch": (4, 12), "ListOffsets": (1, 7), "Metadata": (0, 12),
          "OffsetCommit": (2, 9), "OffsetFetch": (1, 9), "FindCoordinator": (0, 4),
          "JoinGroup": (0, 7), "Heartbeat": (0, 4), "LeaveGroup": (0, 4),
          "SyncGroup": (0, 5), "DescribeGroups": (0, 5), "ListGroups": (0, 4),
          "ApiVersions": (0, 4), "CreateTopics": (2, 7), "DeleteTopics": (1, 6), "DeleteRecords": (0, 2),
          "InitProducerId": (0, 5), "OffsetForLeaderEpoch": (2, 4), "DescribeConfigs": (1, 4),
          "AlterConfigs": (0, 2), "CreatePartitions": (0, 3), "DeleteGroups": (0, 2),
          "IncrementalAlterConfigs": (0, 1), "OffsetDelete": (0, 0), "DescribeCluster": (0, 1),
          "ConsumerGroupHeartbeat": (0, 1), "ConsumerGroupDescribe": (0, 1),
          "DescribeTopicPartitions": (0, 0)}


def versions(asker):
    def read(answer):
        answer.flexible = False
        return answer.int("h"), answer.array(lambda: tuple(answer.int("h") for _ in range(3)))

    error, ranges = asker.ask(18, 0, lambda body: None, read)
    asker.note("api versions: error", error)
    names = messages.api_names()
    served = {names[key]: (low, high) for key, low, high in ranges}
    for name, (low, high) in served.items():
        asker.note(f"versions: {name}", f"{low}-{high}")
    asker.note("versions: lacking of what clients need", [
        name for name, (low, high) in NEEDED.items()
        if name not in served or served[name][0] > low or served[name][1] < high])
    # What it serves of ApiVersions, to a version that it does not: in the form of version 0 (KIP-511).
    error, ranges = asker.ask(18, 99, lambda body: body.raw(b"\1\1\0"), read)
    asker.note("api versions: version 99", (error, 18 in [key for key, _, _ in ranges]))
    programs = {"good": ("x", "1.0"), "bad": ("-x-", "1 0")}
    for what, (name, version) in programs.items():
        asker.note(f"api versions: {what} client name", asker.ask(
            18, 3, lambda body: body.string(name).string(version).tags(), lambda answer: answer.int("h")))
    asker.note("an unsupported version of Metadata ends the connection", asker.ends(3, 99, lambda body: None))
    asker.note("an API that does not exist ends the connection", asker.ends(9999, 0, lambda body: None))
    asker.note("too short a body ends the connection", asker.ends(3, 1, lambda body: body.raw(b"\0\0")))


def creating(asker):
    good = asker.name("topic")
    asker.note("create: good", create(asker, [(good, 3, 1)]))
    settled(asker, good, 3)
    cases = {
        "again": [(good, 3, 1)], "again, only checked": [(good, 3, 1)],
        "twice in one request": [("a", 1, 1)] * 2, "no name": [("", 1, 1)], "a slash": [("a/b", 1, 1)],
        "named .": [(".", 1, 1)], "named ..": [("..", 1, 1)],
        "250 letters": [("x" * 250, 1, 1)], "no partitions": [("p0", 0, 1)], "-2 partitions": [("p2", -2, 1)],
        "three replicas": [("r3", 1, 3)], "no replicas": [("r0", 1, 0)], "-2 replicas": [("r2", 1, -2)],
        "an unknown configuration": [("c1", 1, 1, [], [("no.such.name", "1")])],
        "a wrong value": [("c2", 1, 1, [], [("retention.ms", "soon")])],
        "a value out of range": [("c3", 1, 1, [], [("segment.bytes", "1")])],
        "a wrong policy": [("c4", 1, 1, [], [("cleanup.policy", "burn")])],
        "partitions and an assignment": [("s1", 1, 1, [(0, [1])])],
        "an assignment to no broker": [("s2", -1, -1, [(0, [99])])],
        "an assignment with a gap": [("s3", -1, -1, [(1, [1])])],
    }
    for what, topics in cases.items():
        asker.note(f"create: {what}", create(asker, topics, validate="checked" in what))
    asker.note("create: only checked", create(asker, [(asker.name("checked"), 1, 1)], validate=True))
    asker.note("create: defaults", create(asker, [(asker.name("defaults"), -1, -1)]))
    asker.note("create: two topics that differ only in . and _",
               [create(asker, [(asker.name(each), 1, 1)]) for each in ("a.b", "a_b")])


def growing(asker):
    good = asker.name("topic")

    def grow(name, count, assignments=None, validate=False):
        def build(body):
            body.array([name], lambda each: body.string(each).int("i", count).array(
                assignments, lambda one: body.array(one, lambda n: body.int("i", n))))
            body.int("i", 10_000).int("b", validate)

        def read(answer):
            answer.int("i")
            return answer.array(lambda: (answer.string(), answer.int("h"), answer.string())[1])
        return asker.ask(37, 1, build, read)

    asker.note("grow: fewer", grow(good, 2))
    asker.note("grow: as many", grow(good, 3))
    asker.note("grow: unknown topic", grow(asker.name("missing"), 3))
    asker.note("grow: too few assignments", grow(good, 5, [[1]]))
    asker.note("grow: only checked", grow(good, 5, None, True))
    asker.note("grow: good", grow(good, 4))
    settled(asker, good, 4)


def describing(asker):
    good, missing = asker.name("topic"), asker.name("missing")
    for version in range(1, 9):
        shape, topics = metadata(asker, [good], version)
        asker.note(f"metadata {version}: shape", (shape, topics[good]))
    asker.note("metadata: unknown topic", metadata(asker, [missing])[1][missing])
    asker.note("metadata: a name that cannot be", metadata(asker, ["a/b"], auto_create=True)[1]["a/b"])
    asker.note("metadata: no topics", metadata(asker, [])[1])
    asker.note("metadata: all topics", good in metadata(asker, None)[1])
    made = asker.name("made-by-asking")

    def exists():
        return metadata(asker, [made], auto_create=True)[1][made][0] == 0
    asker.settle("metadata: a topic made by asking", exists)


def deleting(asker):
    def delete(*names):
        def read(answer):
            answer.int("i")
            return answer.array(lambda: (answer.string(), answer.int("h"))[1])
        return asker.ask(20, 3, lambda body: body.array(names, body.string).int("i", 10_000), read)

    doomed = asker.name("doomed")
    create(asker, [(doomed, 1, 1)])
    settled(asker, doomed, 1)
    asker.note("delete: unknown topic", delete(asker.name("missing")))
    asker.note("delete: good", delete(doomed))
    asker.settle("delete: gone", lambda: metadata(asker, [doomed])[1][doomed][0] == 3)
    asker.note("delete: again", delete(doomed))
    asker.note("create: after the deletion", create(asker, [(doomed, 2, 1)]))


# What Kafka reports of a topic that has no settings of its own, and Headrace too.
COMPARED_CONFIGS = ("retention.ms", "retention.bytes", "segment.bytes", "segment.ms", "max.message.bytes",
                    "cleanup.policy", "compression.type", "min.insync.replicas", "message.timestamp.type",
                    "delete.retention.ms")


def describe_configs(asker, kind, name, names=None):
    def build(body):
        body.array([name], lambda each: body.int("b", kind).string(each).array(names, body.string))
        body.int("b", 0)

    def read(answer):
        answer.int("i")
        answer.int("i")
        error = (answer.int("h"), answer.string())[0]
        answer.int("b"), answer.string()

        def entry():
            found = answer.string(), answer.string(), answer.int("b"), answer.int("b"), answer.int("b")
            answer.array(lambda: (answer.string(), answer.string(), answer.int("b")))
            return found
        return error, {each[0]: each[1:] for each in answer.array(entry)}
    return asker.ask(32, 1, build, read)


def alter(asker, name, changes, incremental=True, kind=2):
    """changes: (name, operation, value); the error."""
    def build(body):
        def change(each):
            body.string(each[0])
            body.int("b", each[1]) if incremental else None
            body.string(each[2])
        body.array([name], lambda each: body.int("b", kind).string(
            each).array(changes, change)).int("b", 0)

    def read(answer):
        answer.int("i")
        return answer.array(lambda: (answer.int("h"), answer.string(), answer.int("b"), answer.string())[0])
    return asker.ask(44 if incremental else 33, 0, build, read)


def configuring(asker):
    good, missing = asker.name("topic"), asker.name("missing")
    error, found = describe_configs(asker, 2, good)
    asker.note("configs: error", error)
    for name in COMPARED_CONFIGS:
        asker.note(f"config: {name}", found.get(name))
    asker.note("configs: only one asked", sorted(describe_configs(asker, 2, good, ["retention.ms"])[1]))
    asker.note("configs: unknown topic", describe_configs(asker, 2, missing)[0])
    asker.note("configs: a name that cannot be", describe_configs(asker, 2, "a/b")[0])
    asker.note("configs: unknown broker", describe_configs(asker, 4, "99")[0])
    asker.note("configs: unknown kind", describe_configs(asker, 77, "x")[0])
    changes = {"set": ("retention.ms", 0, "1234567"), "delete": ("retention.ms", 1, None),
               "append": ("cleanup.policy", 2, "compact"), "subtract": ("cleanup.policy", 3, "compact"),
               "append to a number": ("retention.ms", 2, "1"), "unknown operation": ("retention.ms", 9, "1"),
               "unknown name": ("no.such.name", 0, "1"), "wrong value": ("retention.ms", 0, "soon"),
               "out of range": ("max.message.bytes", 0, "-5"), "no value": ("retention.ms", 0, None)}
    for what, change in changes.items():
        asker.note(f"alter: {what}", alter(asker, good, [change]))
        if what in ("set", "append"):
            name, wanted = change[0], {"set": {"1234567"}, "append": {"delete", "compact"}}[what]
            asker.settle(f"alter: {what}, then described", lambda: set(
                describe_configs(asker, 2, good)[1][name][0].split(",")) == wanted)
            asker.note(f"alter: {what}, its source", describe_configs(asker, 2, good)[1][name][1:])
    asker.note("alter: unknown topic", alter(asker, missing, [changes["set"]]))
    asker.note("alter: twice the same name", alter(asker, good, [changes["set"], changes["delete"]]))
    asker.note("replace: good", alter(asker, good, [("segment.ms", 0, "1000000")], False))
    asker.note("replace: unknown name", alter(asker, good, [("no.such.name", 0, "1")], False))
    asker.note("replace: unknown topic", alter(asker, missing, [("segment.ms", 0, "1000000")], False))


ALL = [versions, creating, growing, describing, deleting, configuring]
