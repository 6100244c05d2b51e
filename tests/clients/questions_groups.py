"""What is asked about groups: the classic protocol, the consumer protocol, offsets, administration."""

from asker import coordinator, create, settled

RANGE = b"\0\0\0\0\0\0\0\0\0\0"  # a subscription to nothing, as no broker looks inside


def join(asker, group, member="", version=3, session_ms=6000, kind="consumer", protocols=("range",)):
    """(error, generation, protocol, leads, member id, members)"""
    def build(body):
        body.string(group).int("i", session_ms, 6000).string(member)
        body.string(kind).array(protocols, lambda each: body.string(each).bytes(RANGE))

    def read(answer):
        answer.int("i")
        error, generation, protocol, leader, mine = (
            answer.int("h"), answer.int("i"), answer.string(), answer.string(), answer.string())
        others = answer.array(lambda: (answer.string(), answer.bytes())[0])
        return error, generation, protocol, leader == mine and mine != "", mine, len(others)
    return asker.ask(11, version, build, read)


def sync(asker, group, generation, member, assignments=()):
    def build(body):
        body.string(group).int("i", generation).string(member).array(
            assignments, lambda each: body.string(each[0]).bytes(each[1]))

    def read(answer):
        answer.int("i")
        return answer.int("h"), answer.bytes()
    return asker.ask(14, 1, build, read)


def heartbeat(asker, group, generation, member):
    def read(answer):
        answer.int("i")
        return answer.int("h")
    return asker.ask(12, 1, lambda body: body.string(group).int("i", generation).string(member), read)


def leave(asker, group, member):
    def read(answer):
        answer.int("i")
        return answer.int("h")
    return asker.ask(13, 1, lambda body: body.string(group).string(member), read)


def commit(asker, group, topic, offset, generation=-1, member="", text="", partition=0):
    def build(body):
        def one(number):
            body.int("i", number).int("q", offset).int("i", -1).string(text)
        body.string(group).int("i", generation).string(member)
        body.array([topic], lambda each: body.string(each).array([partition], one))

    def read(answer):
        answer.int("i")
        answer.int("i")
        answer.string()
        answer.int("i")
        answer.int("i")
        return answer.int("h")
    return asker.ask(8, 6, build, read)


def committed(asker, group, topic):
    """(error, [(offset, epoch, text, error)]) of partition 0, or of all that is kept with topic None."""
    def read(answer):
        answer.int("i")
        parts = answer.array(lambda: (answer.string(), answer.array(lambda: (
            answer.int("i"), answer.int("q"), answer.int("i"), answer.string(), answer.int("h"))[1:]))[1])
        return answer.int("h"), [each for one in parts for each in one]

    def build(body):
        body.string(group).array([topic] if topic else None, lambda each: body.string(each).array(
            [0], lambda number: body.int("i", number)))
    return asker.ask(9, 5, build, read)


def describe(asker, group):
    def read(answer):
        answer.int("i")

        def one():
            found = answer.int("h"), answer.string(), answer.string(), answer.string(), answer.string()
            members = answer.array(lambda: (answer.string(), answer.string(), answer.string(), answer.bytes(),
                                            answer.bytes())[1])
            return found[0], found[2], found[3], found[4], members
        return answer.array(one)
    return asker.ask(15, 1, lambda body: body.array([group], body.string), read)


def delete(asker, group):
    def read(answer):
        answer.int("i")
        return answer.array(lambda: (answer.string(), answer.int("h"))[1])
    return asker.ask(42, 0, lambda body: body.array([group], body.string), read)


def delete_offsets(asker, group, topic):
    def build(body):
        body.string(group).array([topic], lambda each: body.string(each).array(
            [0], lambda number: body.int("i", number)))

    def read(answer):
        error = answer.int("h")
        answer.int("i")
        return error, answer.array(lambda: (answer.string(), answer.array(
            lambda: (answer.int("i"), answer.int("h"))[1]))[1])
    return asker.ask(47, 0, build, read)


def classic(asker):
    group = asker.name("classic")
    asker.settle("find coordinator: group", lambda: coordinator(asker, group, 0) == 0)
    asker.settle("find coordinator: transaction",
                 lambda: (answer := coordinator(asker, "tx", 1)) != 15 and [answer])
    asker.note("find coordinator: unknown kind", coordinator(asker, group, 9))
    asker.until("a coordinator that is ready", lambda: heartbeat(asker, group, 1, "nobody") == 25)
    cases = {"no group": {"group": ""}, "unknown member": {"member": "nobody"},
             "a session of 1 ms": {"session_ms": 1}, "a session of a day": {"session_ms": 86_400_000},
             "no protocols": {"protocols": ()}, "no kind": {"kind": ""}}
    for what, options in cases.items():
        answer = join(asker, **{"group": group, **options})
        asker.note(f"join: {what}", (answer[0], answer[1], answer[4] != ""))
    new = join(asker, group, version=4)
    asker.note("join: a new member is given its id first", (new[0], new[4] != "", new[5]))
    error, generation, protocol, leads, member, count = join(asker, group, new[4], version=4)
    asker.note("join: then it joins", (error, generation, protocol, leads, count))
    asker.note("join: of another kind", join(asker, group, kind="connect")[0])
    asker.note("join: with no protocol in common", join(asker, group, protocols=("other",))[0])
    asker.note("describe: while it waits for its assignment", describe(asker, group))
    asker.note("heartbeat: before the assignment", heartbeat(asker, group, generation, member))
    asker.note("sync: of another generation", sync(asker, group, generation + 5, member))
    asker.note("sync: unknown member", sync(asker, group, generation, "nobody"))
    asker.note("sync", sync(asker, group, generation, member, [(member, b"yours")]))
    asker.note("sync: again", sync(asker, group, generation, member))
    asker.note("heartbeat", heartbeat(asker, group, generation, member))
    asker.note("heartbeat: of another generation", heartbeat(asker, group, generation + 1, member))
    asker.note("heartbeat: unknown member", heartbeat(asker, group, generation, "nobody"))
    asker.note("heartbeat: unknown group", heartbeat(asker, asker.name("nothing"), 1, "nobody"))
    asker.note("describe: stable", describe(asker, group))
    topic = asker.name("committed")
    create(asker, [(topic, 2, 1)])
    settled(asker, topic, 2)
    asker.note("commit: a member", commit(asker, group, topic, 5, generation, member, "text"))
    asker.note("commit: of another generation", commit(asker, group, topic, 6, generation + 1, member))
    asker.note("commit: unknown member", commit(asker, group, topic, 6, generation, "nobody"))
    asker.note("commit: from outside a group with members", commit(asker, group, topic, 6))
    asker.note("commit: a text that is too long", commit(
        asker, group, topic, 6, generation, member, "x" * 5000))
    asker.note("commit: unknown topic", commit(
        asker, group, asker.name("missing"), 6, generation, member))
    asker.note("commit: unknown partition", commit(
        asker, group, topic, 6, generation, member, partition=9))
    asker.note("committed", committed(asker, group, topic))
    asker.note("delete group: a group with members", delete(asker, group))
    asker.note("delete offsets: of a group with members", delete_offsets(asker, group, topic))
    asker.note("leave: unknown member", leave(asker, group, "nobody"))
    asker.note("leave", leave(asker, group, member))
    asker.note("leave: again", leave(asker, group, member))
    asker.note("describe: empty", describe(asker, group))
    again = join(asker, group)
    asker.note("join: the next generation", (again[0], again[1] > generation, again[5]))


def offsets(asker):
    group, topic = asker.name("simple"), asker.name("committed")
    asker.note("committed: an unknown group", committed(asker, group, topic))
    asker.note("committed: all of an unknown group", committed(asker, group, None))
    asker.note("commit: makes a group without members", commit(asker, group, topic, 3))
    asker.note("commit: with a generation in such a group", commit(asker, group, topic, 4, 7, "nobody"))
    asker.note("commit: with no name of a group", commit(asker, "", topic, 3))
    asker.note("committed: all", committed(asker, group, None))
    asker.note("committed: a topic that is not", committed(asker, group, asker.name("missing")))
    asker.note("describe: a group of offsets only", describe(asker, group))
    asker.note("describe: an unknown group", describe(asker, asker.name("nothing")))
    asker.note("delete offsets: good", delete_offsets(asker, group, topic))
    asker.note("delete offsets: of an unknown group", delete_offsets(asker, asker.name("nothing"), topic))
    asker.note("delete offsets: unknown topic", delete_offsets(asker, group, asker.name("missing")))
    commit(asker, group, topic, 3)
    asker.note("delete group: good", delete(asker, group))
    asker.note("delete group: again", delete(asker, group))
    asker.note("delete group: with no name", delete(asker, ""))
    asker.note("committed: after the deletion", committed(asker, group, topic))

    def listed():
        def read(answer):
            answer.int("i")
            return answer.int("h"), answer.array(lambda: (answer.string(), answer.string()))
        error, groups = asker.ask(16, 1, lambda body: None, read)
        return error, sorted((name.removeprefix(asker.prefix), kind) for name, kind in groups
                             if name.startswith(asker.prefix))
    asker.note("list", listed())


def beat(asker, group, member, epoch, topics=None, owned=None, instance=None, assignor=None, rebalance_ms=-1):
    """ConsumerGroupHeartbeat: (error, member, epoch, [partitions of each topic] or None)"""
    def build(body):
        body.string(group).string(member).int("i", epoch).string(
            instance).string(None).int("i", rebalance_ms)
        body.array(topics, body.string).string(None if assignor is None else assignor)
        body.array(owned, lambda each: body.raw(each[0]).array(
            each[1], lambda n: body.int("i", n)).tags()).tags()

    def read(answer):
        answer.int("i")
        error, _, mine, its_epoch = answer.int("h"), answer.string(), answer.string(), answer.int("i")
        answer.int("i")
        if answer.int("b") < 0:
            return error, mine, its_epoch, None
        parts = answer.array(lambda: (answer.raw(16), answer.array(
            lambda: answer.int("i")), answer.tags())[:2])
        return error, mine, its_epoch, parts
    return asker.ask(68, 0, build, read)


class Member:
    """A member of the consumer protocol that does as it is told: gives up, says so, takes over."""

    def __init__(self, asker, group, topic):
        self.asker, self.group, self.owned = asker, group, {}
        self.first = beat(asker, group, "", 0, [topic], [], rebalance_ms=5000)
        self.error, self.id, self.epoch, assigned = self.first
        self.take(assigned)

    def take(self, assigned):
        if assigned is not None:
            self.owned = {topic: sorted(numbers) for topic, numbers in assigned}

    def beat(self):
        self.error, _, self.epoch, assigned = beat(
            self.asker, self.group, self.id, self.epoch, owned=list(self.owned.items()))
        self.take(assigned)

    def partitions(self):
        return sorted(number for numbers in self.owned.values() for number in numbers)


def shown(answer):
    """What two brokers can have in common: epochs and assignments come at each one's own pace."""
    return answer[0], bool(answer[1]), answer[2] > 0


def consumer(asker):
    group, topic = asker.name("consumer"), asker.name("committed")
    new = {"topics": [topic], "owned": [], "rebalance_ms": 5000}
    asker.note("consumer: no group", shown(beat(asker, "", "", 0, **new)))
    asker.note("consumer: unknown member of no group", shown(beat(asker, group, "nobody", 3)))
    asker.note("consumer: no topics", shown(beat(asker, group, "", 0, owned=[], rebalance_ms=5000)))
    asker.note("consumer: unknown assignor", shown(beat(asker, group, "", 0, assignor="dice", **new)))
    asker.note("consumer: epoch -5", shown(beat(asker, group, "x", -5)))
    asker.note("consumer: owns something at once", shown(beat(
        asker, group, "", 0, [topic], [(b"\1" * 16, [0])], rebalance_ms=5000)))
    first = Member(asker, group, topic)
    members = [first]

    def shares(wanted):
        for each in members:
            each.beat()
        return [len(each.partitions()) for each in members] == wanted

    asker.note("consumer: joins", shown(first.first))
    asker.settle("consumer: has all", lambda: shares([2]))
    asker.note("consumer: an epoch to come", shown(beat(asker, group, first.id, first.epoch + 5)))
    asker.note("consumer: an epoch long gone", shown(
        beat(asker, group, first.id, first.epoch - 1, owned=[])))
    asker.note("consumer: an unknown member", shown(beat(asker, group, "nobody", first.epoch)))
    members.append(Member(asker, group, topic))
    asker.note("consumer: a second joins", (shown(members[1].first), members[1].partitions()))
    asker.settle("consumer: each has half", lambda: shares([1, 1]))
    asker.note("consumer: nothing twice", sorted(first.partitions() + members[1].partitions()))
    asker.note("consumer: commit in a version before it", commit(
        asker, group, topic, 2, first.epoch, first.id))
    asker.note("consumer: commit of an unknown member", commit(
        asker, group, topic, 2, first.epoch, "nobody"))
    asker.note("consumer: delete with members", delete(asker, group))
    second = members.pop()
    asker.note("consumer: leaves", beat(asker, group, second.id, -1)[::2])
    asker.note("consumer: beats after it left", shown(beat(asker, group, second.id, second.epoch)))
    asker.settle("consumer: the first has all again", lambda: shares([2]))
    asker.note("consumer: described by the classic API", describe(asker, group))
    asker.note("consumer: the last leaves", beat(asker, group, first.id, -1)[::2])
    asker.note("consumer: delete", delete(asker, group))


ALL = [classic, offsets, consumer]
