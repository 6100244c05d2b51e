"""Puts questions to one broker and keeps its answers; with the few requests that set the stage."""

import time

import messages
from wire import Closed, Connection, writer


class Asker:
    """Puts one broker's answers down by question."""

    def __init__(self, address, prefix):
        self.address, self.prefix = address, prefix
        self.answers = {}
        self.connection = None

    def ask(self, key, version, build, read):
        """Sends what build(writer) fills in; read(reader) makes an answer of what comes back."""
        if self.connection is None:
            self.connection = Connection(self.address)
        try:
            body = writer(key, version)
            build(body)
            self.connection.send(key, version, body.data)
            return read(self.connection.receive(key, version))
        except Exception:  # what else comes on this connection would answer the next request
            self.connection.close()
            self.connection = None
            raise

    def call(self, name, version, **fields):
        """The answer to a request whose fields have the names that Kafka's descriptions give them."""
        return self.ask(messages.api_key(name), version,
                        lambda body: body.raw(messages.request(name, version, fields)),
                        lambda answer: messages.response(name, version, answer))

    def ends(self, key, version, build):
        """Whether the broker answers such a request by closing the connection."""
        try:
            self.ask(key, version, build, lambda answer: None)
            return False
        except Closed:
            return True

    def note(self, question, answer):
        assert question not in self.answers, question
        self.answers[question] = answer

    def settle(self, question, condition):
        """Puts down what condition() answers once it is true of it."""
        self.note(question, self.until(question, condition))

    def name(self, name):
        return f"{self.prefix}-{name}"

    def until(self, what, condition, seconds=15):
        """Apache Kafka's metadata follow a change a little later; the settled answer counts. One that does
        not settle is no answer: the questions that build on it are broken off."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}")
            time.sleep(0.05)
        return answer


def create(asker, topics, version=4, validate=False):
    """topics: (name, partitions, replication, assignments, configs); the error of each."""
    def build(body):
        def one(topic):
            name, partitions, replication, assignments, configs = (*topic, [], [])[:5]
            body.string(name).int("i", partitions).int("h", replication)
            body.array(assignments, lambda each: body.int(
                "i", each[0]).array(each[1], lambda n: body.int("i", n)))
            body.array(configs, lambda each: body.string(each[0]).string(each[1]))
        body.array(topics, one).int("i", 10_000).int("b", validate)

    def read(answer):
        answer.int("i")
        return answer.array(lambda: (answer.string(), answer.int("h"), answer.string())[1])
    return asker.ask(19, version, build, read)


def metadata(asker, names, version=4, auto_create=False):
    """(brokers, {name: (error, internal, [(error, partition, has leader, replicas, in sync)])})"""
    def read(answer):
        answer.int("i") if version >= 3 else None
        brokers = answer.array(lambda: (answer.int("i"), answer.string(),
                               answer.int("i"), answer.string()))
        cluster = answer.string() if version >= 2 else "x"
        controller = answer.int("i")

        def partition():
            error, number, leader = answer.int("h"), answer.int("i"), answer.int("i")
            epoch = answer.int("i") if version >= 7 else 0
            lists = [answer.array(lambda: answer.int("i")) for _ in range(3 if version >= 5 else 2)]
            return error, number, leader == brokers[0][0], epoch >= 0, *[len(each) for each in lists]

        topics = answer.array(lambda: (answer.int("h"), answer.string(), answer.int("b"),
                                       sorted(answer.array(partition)), version >= 8 and answer.int("i")))
        shape = (len(brokers), brokers[0][3], bool(cluster), controller == brokers[0][0])
        return shape, {each[1]: (each[0], each[2], each[3]) for each in topics}

    def build(body):
        body.array(names, body.string)
        body.int("b", auto_create) if version >= 4 else None
        body.int("b", 0, 0) if version >= 8 else None
    return asker.ask(3, version, build, read)


def list_offset(asker, topic, time_ms, partition=0, epoch=-1):
    """(error, offset, time, leader epoch >= 0)"""
    def build(body):
        body.int("i", -1).int("b", 0).array([topic], lambda each: body.string(each).array(
            [partition], lambda number: body.int("i", number, epoch).int("q", time_ms)))

    def read(answer):
        answer.int("i")
        answer.int("i")
        answer.string()
        answer.int("i")
        answer.int("i")
        error, found, offset = answer.int("h"), answer.int("q"), answer.int("q")
        return error, offset, found, answer.int("i") >= 0
    return asker.ask(2, 4, build, read)


def coordinator(asker, name, kind):
    """The error of asking who coordinates a group (kind 0) or a transactional id (1)."""
    def read(answer):
        answer.int("i")
        return answer.int("h")
    return asker.ask(10, 1, lambda body: body.string(name).int("b", kind), read)


def settled(asker, name, count):
    """Waits until every partition of a topic has a leader that serves it."""
    def ready():
        error, _, partitions = metadata(asker, [name])[1][name]
        return error == 0 and len(partitions) == count and all(
            list_offset(asker, name, -1, number)[0] == 0 for number in range(count))
    asker.until(f"{count} partitions of {name}", ready)
