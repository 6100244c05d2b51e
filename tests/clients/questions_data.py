"""What is asked about producing, fetching and finding offsets."""

from asker import coordinator, create, list_offset, settled
from wire import batch, writer

TIME_MS = 1_700_000_000_000


def produce_body(body, topic, records, partition, acks):
    body.string(None).int("h", acks).int("i", 10_000)
    return body.array([topic], lambda each: body.string(each).array(
        [partition], lambda number: body.int("i", number).bytes(records)))


def produce(asker, topic, records, version=7, partition=0, acks=-1):
    """(error, base offset, whether a log append time was set, log start offset), or the error alone"""
    def read(answer):
        answer.int("i")
        answer.string()
        answer.int("i")
        answer.int("i")
        found = answer.int("h"), answer.int("q"), answer.int("q") > 0
        return found[0] or (*found, answer.int("q") if version >= 5 else None)
    return asker.ask(0, version, lambda body: produce_body(body, topic, records, partition, acks), read)


def producing(asker):
    topic = asker.name("data")
    create(asker, [(topic, 1, 1, [], [("max.message.bytes", "5000")])])
    settled(asker, topic, 1)
    good = batch(b"one", b"two", time_ms=TIME_MS)
    for version in range(3, 9):
        asker.note(f"produce {version}: good", produce(asker, topic, good, version))
    cases = {
        "unknown topic": (asker.name("missing"), good, {}),
        "unknown partition": (topic, good, {"partition": 9}),
        "acks 2": (topic, good, {"acks": 2}), "acks 1": (topic, good, {"acks": 1}),
        "a wrong checksum": (topic, batch(b"one", crc_xor=1), {}),
        "no records": (topic, b"", {}),
        "a batch of magic 1": (topic, batch(b"one", magic=1), {}),
        "a batch of magic 9": (topic, batch(b"one", magic=9), {}),
        "half a batch": (topic, good[:-5], {}), "half a header": (topic, good[:20], {}),
        "two batches": (topic, good + good, {}), "a wrong count": (topic, batch(b"one", b"two", count=5), {}),
        "a batch of none": (topic, batch(), {}),
        "a control batch": (topic, batch(b"one", attributes=32), {}),
        "a transactional batch": (topic, batch(b"one", attributes=16, producer=(5, 0, 0)), {}),
        "a codec that is none": (topic, batch(b"one", attributes=5), {}),
        "gzip": (topic, batch(b"one" * 100, attributes=1), {}),
        "too large": (topic, batch(b"x" * 6000), {}),
        "zstd in a version before it": (topic, batch(b"one", attributes=4), {"version": 6}),
    }
    for what, (name, records, options) in cases.items():
        asker.note(f"produce: {what}", produce(asker, name, records, **options))
    end = list_offset(asker, topic, -1)[1]
    asker.connection.send(0, 7, produce_body(writer(0, 7), topic, good, 0, 0).data)
    asker.settle("produce: acks 0 answers nothing and appends",
                 lambda: list_offset(asker, topic, -1)[1] == end + 2)
    stamped = asker.name("stamped")
    create(asker, [(stamped, 1, 1, [], [("message.timestamp.type", "LogAppendTime")])])
    settled(asker, stamped, 1)
    asker.note("produce: with the time of the append", produce(asker, stamped, good))
    compacted = asker.name("compacted")
    create(asker, [(compacted, 1, 1, [], [("cleanup.policy", "compact")])])
    settled(asker, compacted, 1)
    asker.note("produce: no key where one is needed", produce(asker, compacted, good))
    asker.note("produce: a key where one is needed", produce(asker, compacted, batch(b"one", key=b"k")))


def idempotence(asker):
    topic = asker.name("sequences")
    create(asker, [(topic, 1, 1)])
    settled(asker, topic, 1)

    def new_id(transactional=None):
        def read(answer):
            answer.int("i")
            return answer.int("h"), answer.int("q"), answer.int("h")
        return asker.ask(22, 1, lambda body: body.string(transactional).int("i", 10_000), read)

    # Apache Kafka answers 14 while it gets its first block of ids.
    asker.until("a first producer id", lambda: new_id()[0] != 14)
    error, producer, epoch = new_id()
    asker.note("init producer id", (error, producer >= 0, epoch))
    asker.note("init producer id: another is another", new_id()[1] != producer)
    asker.note("init producer id: no name", new_id("")[0])
    # Apache Kafka keeps transactions in a topic that is made when their coordinator is first looked for.
    name = asker.name("transactional")
    asker.until("a coordinator of transactions", lambda: coordinator(asker, name, 1) not in (14, 15))
    asker.settle("init producer id: transactional",
                 lambda: (answer := new_id(name)[0]) not in (14, 15, 16) and [answer])
    steps = [("first", 0, 0, 2), ("next", 0, 2, 1), ("the first again", 0, 0, 2), ("a gap", 0, 9, 1),
             ("next after the gap", 0, 3, 1), ("part of one that was", 0, 1, 1),
             ("a new epoch from 5", 1, 5, 1), ("a new epoch", 1, 0, 1), ("the old epoch", 0, 4, 1)]
    for what, its_epoch, sequence, count in steps:
        records = batch(*[b"v%d" % sequence] * count, producer=(producer, its_epoch, sequence))
        asker.note(f"sequences: {what}", produce(asker, topic, records))
    for sequence in range(1, 7):
        produce(asker, topic, batch(b"x", producer=(producer, 1, sequence)))
    for sequence in (6, 2, 1):
        asker.note(f"sequences: {sequence} once more, of 6", produce(
            asker, topic, batch(b"x", producer=(producer, 1, sequence))))
    asker.note("sequences: the last once more, with another record", produce(
        asker, topic, batch(b"y", producer=(producer, 1, 6))))
    stranger = producer + 1_000_000
    asker.note("sequences: an unknown producer in the middle", produce(
        asker, topic, batch(b"x", producer=(stranger, 0, 7))))
    last = 2**31 - 1
    asker.note("sequences: the last number, then 0", [produce(
        asker, topic, batch(b"x", producer=(stranger + 1, 0, each))) for each in (last, 0)])


def finding(asker):
    topic = asker.name("found")
    create(asker, [(topic, 1, 1)])
    settled(asker, topic, 1)
    asker.note("offsets: earliest and latest of nothing", [
               list_offset(asker, topic, each) for each in (-2, -1)])
    asker.note("offsets: a time in nothing", list_offset(asker, topic, 5))
    for start_ms in (TIME_MS, TIME_MS + 1000):
        produce(asker, topic, batch(b"a", b"b", b"c", time_ms=start_ms))
    produce(asker, topic, batch(b"a", b"b", b"c", time_ms=TIME_MS + 2000, attributes=1))
    for time_ms in (-9, -2, -1, 0):
        asker.note(f"offsets: at {time_ms}", list_offset(asker, topic, time_ms))
    for after_ms in (0, 1, 3, 1002, 2001, 3000):
        asker.note(f"offsets: at start + {after_ms} ms", list_offset(asker, topic, TIME_MS + after_ms))
    asker.note("offsets: unknown topic", list_offset(asker, asker.name("missing"), -1))
    asker.note("offsets: unknown partition", list_offset(asker, topic, -1, 9))
    asker.note("offsets: an epoch to come", list_offset(asker, topic, -1, 0, 1000))

    def epoch_end(epoch, current=-1, partition=0):
        def build(body):
            body.int("i", -1).array([topic], lambda each: body.string(each).array(
                [partition], lambda number: body.int("i", number, current, epoch)))

        def read(answer):
            answer.int("i")
            answer.int("i")
            answer.string()
            answer.int("i")
            error = answer.int("h"), answer.int("i"), answer.int("i"), answer.int("q")
            return (error[0], *error[2:])
        return asker.ask(23, 3, build, read)

    asker.note("epochs: the present one", epoch_end(0))
    asker.note("epochs: one to come", epoch_end(1000))
    asker.note("epochs: the client is ahead", epoch_end(0, 1000))
    asker.note("epochs: unknown partition", epoch_end(0, -1, 9))

    def delete_records(offset, partition=0, name=topic):
        def build(body):
            body.array([name], lambda each: body.string(each).array([partition], lambda number: body.int(
                "i", number).int("q", offset))).int("i", 10_000)

        def read(answer):
            answer.int("i")
            answer.int("i")
            answer.string()
            answer.int("i")
            answer.int("i")
            return answer.int("q"), answer.int("h")
        return asker.ask(21, 1, build, read)

    for what, arguments in {"to 4": (4,), "to 2, once more": (2,), "past the end": (1000,), "to -2": (-2,),
                            "unknown partition": (1, 9), "to the end": (-1,)}.items():
        asker.note(f"delete records: {what}", delete_records(*arguments))
    compacted = asker.name("compacted")  # which `producing` made
    asker.note("delete records: of a compacted topic", delete_records(1, 0, compacted))
    asker.note("offsets: after the deletion", [list_offset(asker, topic, each)[:2] for each in (-2, -1)])


def fetch(asker, topic, offset, version=11, partition=0, session=(0, -1), forgotten=(), size_max=1_000_000,
          epoch=-1, wait_ms=0, bytes_min=0, topics=True):
    """(error, session id, [(error, high watermark, log start, bytes of records) or the error alone])"""
    def build(body):
        body.int("i", -1, wait_ms, bytes_min, size_max).int("b", 0)
        body.int("i", *session) if version >= 7 else None

        def one(name):
            def part(number):
                body.int("i", number)
                body.int("i", epoch) if version >= 9 else None
                body.int("q", offset)
                body.int("q", -1) if version >= 5 else None
                body.int("i", size_max)
            body.string(name).array([partition], part)
        body.array([topic] if topics else [], one)
        if version >= 7:
            body.array(forgotten, lambda each: body.string(
                each).array([0], lambda number: body.int("i", number)))
        body.string("") if version >= 11 else None

    def read(answer):
        answer.int("i")
        error, session_id = (answer.int("h"), answer.int("i")) if version >= 7 else (0, 0)

        def part():
            answer.int("i")
            found = answer.int("h"), answer.int("q"), answer.int(
                "q"), answer.int("q") if version >= 5 else 0
            answer.array(lambda: answer.raw(16))
            answer.int("i") if version >= 11 else None
            size = len(answer.bytes() or b"")
            return found[0] or (found[0], found[1], found[3], size)
        parts = answer.array(lambda: (answer.string(), answer.array(part))[1])
        return error, session_id, [each for one in parts for each in one]
    return asker.ask(1, version, build, read)


def fetching(asker):
    topic = asker.name("fetched")
    create(asker, [(topic, 1, 1)])
    settled(asker, topic, 1)
    for _ in range(3):
        produce(asker, topic, batch(b"one", b"two" * 100))
    for version in range(4, 12):
        asker.note(f"fetch {version}: all", fetch(asker, topic, 0, version))
    cases = {"the second record of a batch": {"offset": 1}, "the last": {"offset": 5},
             "the end": {"offset": 6},
             "past the end": {"offset": 7}, "-1": {"offset": -1}, "unknown partition": {"partition": 9},
             "a limit of one byte": {"size_max": 1}, "a limit within the second batch": {"size_max": 500},
             "an epoch to come": {"epoch": 1000}, "a long poll at the end": {"offset": 6, "wait_ms": 200,
                                                                            "bytes_min": 1}}
    for what, options in cases.items():
        asker.note(f"fetch: {what}", fetch(asker, topic, **{"offset": 0, **options}))
    asker.note("fetch: unknown topic", fetch(asker, asker.name("missing"), 0))
    error, session, parts = fetch(asker, topic, 6, session=(0, 0))
    asker.note("session: new", (error, session != 0, parts))
    asker.note("session: nothing new", fetch(asker, topic, 6, session=(session, 1), topics=False)[::2])
    produce(asker, topic, batch(b"more"))
    asker.note("session: one batch more", fetch(asker, topic, 6, session=(session, 2), topics=False)[::2])
    asker.note("session: wrong epoch", fetch(asker, topic, 6, session=(session, 9), topics=False)[::2])
    asker.note("session: forget all", fetch(asker, topic, 6, session=(session, 3), topics=False,
                                            forgotten=[topic])[::2])
    asker.note("session: unknown", fetch(asker, topic, 6,
               session=(session + 12345, 1), topics=False)[::2])
    error, session, _ = fetch(asker, topic, 6, session=(0, 0))
    asker.note("session: closed", fetch(asker, topic, 6, session=(session, -1))[0])
    asker.note("session: after it was closed", fetch(
        asker, topic, 6, session=(session, 1), topics=False)[0])


ALL = [producing, idempotence, finding, fetching]
