"""What is asked about groups with members: each version of the classic protocol from joining to leaving, two
members and a rebalance between them, static members, and what is described of them meanwhile."""

import messages
from asker import create, settled
from questions_groups import RANGE
from questions_versions import plain, served, topic_id
from report import expect
from wire import Connection

REBALANCE_MS = 10_000


class Classic:
    """A member of the classic protocol on a connection of its own, as a join waits for those of others."""

    def __init__(self, asker, group, instance=None, version=9):
        self.asker, self.group, self.instance, self.version = asker, group, instance, version
        self.connection = Connection(asker.address)
        self.id, self.generation = "", -1

    def _versioned(self, name):
        return min(self.version, served(name)[-1])

    def start_join(self):
        self._send("JoinGroup", GroupId=self.group, SessionTimeoutMs=REBALANCE_MS,
                   RebalanceTimeoutMs=REBALANCE_MS, MemberId=self.id, GroupInstanceId=self.instance,
                   ProtocolType="consumer",
                   Protocols=[{"Name": "range", "Metadata": RANGE}], Reason="asked")
        if self.version >= 4 and not self.id and not self.instance:
            answer = self.joined()  # MEMBER_ID_REQUIRED, with the id to join with
            expect("the error of joining without an id", answer["ErrorCode"], 79)
            self.start_join()

    def joined(self):
        """The answer to start_join()."""
        answer = self._receive("JoinGroup")
        self.id, self.generation = answer["MemberId"], answer["GenerationId"]
        return answer

    def join(self):
        self.start_join()
        return self.joined()

    def start_sync(self, assignments=()):
        self._send("SyncGroup", GroupId=self.group, GenerationId=self.generation, MemberId=self.id,
                   GroupInstanceId=self.instance, ProtocolType="consumer", ProtocolName="range",
                   Assignments=[{"MemberId": each, "Assignment": what} for each, what in assignments])

    def synced(self):
        return self._receive("SyncGroup")

    def beat(self):
        self._send("Heartbeat", GroupId=self.group, GenerationId=self.generation, MemberId=self.id,
                   GroupInstanceId=self.instance)
        return self._receive("Heartbeat")

    def leave(self, *members):
        """Of others too, as from version 3 on an administrator may: each (member id, instance)."""
        members = members or [(self.id, self.instance)]
        self._send("LeaveGroup", GroupId=self.group, MemberId=self.id, Members=[
            {"MemberId": member, "GroupInstanceId": instance} for member, instance in members])
        return self._receive("LeaveGroup")

    def _send(self, name, **fields):
        version = self._versioned(name)
        self.connection.send(messages.api_key(name), version, messages.request(name, version, fields))

    def _receive(self, name):
        version = self._versioned(name)
        return messages.response(name, version, self.connection.receive(messages.api_key(name), version))


def described(asker, group, version=6):
    """Its state and members, these by their assignment."""
    found, = asker.call("DescribeGroups", version, Groups=[group])["Groups"]
    return plain(asker, found)


def state(asker, group):
    return described(asker, group)["GroupState"]


def versions(asker):
    for version in served("JoinGroup"):
        member = Classic(asker, asker.name(f"life-{version}"), version=version)

        def note(what, answer):
            asker.note(f"a member's life {version}: {what}", plain(asker, answer))
        note("joins", member.join())
        member.start_sync([(member.id, b"yours")])
        note("is assigned", member.synced())
        note("beats", member.beat())
        note("is described", described(asker, member.group, min(version, 6)))
        note("leaves", member.leave())
        note("is gone", described(asker, member.group, min(version, 6)))
        member.connection.close()


def _settle(members, leader):
    """All sync, as the leader has it: each member gets its number."""
    assignments = [(each.id, b"part %d" % n) for n, each in enumerate(members)]
    for each in members:
        each.start_sync(assignments if each is leader else ())
    return [each.synced() for each in members]


def rebalance(asker):
    group = asker.name("two")
    first, second = Classic(asker, group), Classic(asker, group)

    def note(what, answer):
        asker.note(f"two members: {what}", plain(asker, answer))

    def describe(when):
        found = described(asker, group)
        wanted = [bool(each.pop("MemberMetadata")) for each in found["Members"]]
        note(f"described {when}", found)
        note(f"what each wants is described {when}", wanted)

    note("the first joins", first.join())
    note("and is assigned all", _settle([first], first))
    generation = first.generation
    second.start_join()
    asker.until("the second waits", lambda: state(asker, group) == "PreparingRebalance")
    note("the first is told", first.beat())
    describe("while they join")
    first.start_join()
    note("the first joins again", first.joined())
    note("the second has joined", second.joined())
    note("one generation further", (first.generation - generation, first.generation == second.generation))
    describe("while they wait")
    second.start_sync()
    note("the leader gives each its part", _settle([first], first)[0]["ErrorCode"])
    note("the second has none of that", second.synced())
    describe("with two")
    old, first.generation = first.generation, generation
    note("the first beats with its old generation", first.beat())
    first.generation = old
    note("the second leaves", second.leave())
    asker.until("the first is to join again", lambda: first.beat()["ErrorCode"] == 27)
    first.start_join()
    note("the first is alone", first.joined())
    note("and assigned again", _settle([first], first))
    note("leaves with a stranger and itself", first.leave(("stranger", None), (first.id, None)))
    note("described after all left", described(asker, group))


def static(asker):
    group = asker.name("static")
    one, two = (Classic(asker, group, instance) for instance in ("one", "two"))

    def note(what, answer):
        asker.note(f"static members: {what}", plain(asker, answer))
    note("the first joins", one.join())
    note("and is assigned", _settle([one], one))
    two.start_join()
    asker.until("the second waits", lambda: state(asker, group) == "PreparingRebalance")
    one.start_join()
    note("both join", [one.joined(), two.joined()])
    two.start_sync()
    one.start_sync([(one.id, b"for one"), (two.id, b"for two")])
    note("both are assigned", [one.synced(), two.synced()])
    note("described", described(asker, group))
    again = Classic(asker, group, "two")
    note("the second comes back", again.join())
    note("in the same generation, with another id", (again.generation - two.generation, again.id != two.id))
    again.start_sync()
    note("with what it had", again.synced())
    note("who it was is fenced", two.beat())
    note("the first hears nothing of it", one.beat())
    note("leave: of nobody's instance", one.leave(("", "three")))
    note("leave: an instance with another's id", one.leave((one.id, "two")))
    note("leave: by instance alone", one.leave(("", "two"), ("", "one")))
    note("described after all left", described(asker, group))


class Consumer:
    """A member of the consumer protocol in one of its versions, in a group of its own."""

    def __init__(self, asker, group, version):
        self.asker, self.group, self.version, self.epoch = asker, group, version, 0
        self.id = "" if version == 0 else "an id of its own"  # which from version 1 on it makes itself

    def beat(self, **fields):
        answer = self.asker.call("ConsumerGroupHeartbeat", self.version, GroupId=self.group, MemberId=self.id,
                                 MemberEpoch=self.epoch, **fields)
        self.id, self.epoch = answer["MemberId"], answer["MemberEpoch"]
        return answer

    def described(self, version):
        found, = self.asker.call("ConsumerGroupDescribe", version, GroupIds=[self.group])["Groups"]
        return found


def consumer(asker):
    """The consumer protocol from joining to leaving, and its description with a member."""
    topic = asker.name("life-consumer")
    create(asker, [(topic, 2, 1)])
    settled(asker, topic, 2)
    owned = [{"TopicId": topic_id(asker, topic), "Partitions": [0, 1]}]
    for version in served("ConsumerGroupHeartbeat"):
        member = Consumer(asker, asker.name(f"life-consumer-{version}"), version)

        def note(what, answer):
            asker.note(f"a consumer's life {version}: {what}", plain(asker, answer))

        def has_all():
            member.beat(TopicPartitions=owned)
            return member.described(1)["GroupState"] == "Stable"

        joined = member.beat(RebalanceTimeoutMs=5000, SubscribedTopicNames=[topic], TopicPartitions=[])
        note("joins", {**joined, "MemberEpoch": joined["MemberEpoch"] > 0, "Assignment": None})
        asker.until("it has all", has_all)
        for describing in served("ConsumerGroupDescribe"):
            found = member.described(describing)
            its, = found["Members"]
            epochs = {found.pop("GroupEpoch"), found.pop("AssignmentEpoch"), its.pop("MemberEpoch")}
            pattern = its.pop("SubscribedTopicRegex")
            note(f"is described {describing}", (found, len(epochs)))
        note("is described without a regular expression", pattern)
        note("is listed", [each for each in asker.call("ListGroups", 5)["Groups"]
                           if each["GroupId"] == member.group])
        member.epoch = -1
        left = member.beat()
        interval_ms = left.pop("HeartbeatIntervalMs")
        note("leaves", left)
        note("is told to beat, in ms, after it left", interval_ms)
        note("is gone", described(asker, member.group))


ALL = [versions, rebalance, static, consumer]
