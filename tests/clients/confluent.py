#!/usr/bin/python3
"""Debian's python3-confluent-kafka: Python on librdkafka, with the interface its users know."""

import os
import time

import live_seek
import records
import report
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic
from report import Skipped, expect, until

ORDER_COUNT = 10_000
GROUP_PARTITIONS = 4


class Checks:
    def __init__(self, broker, records_path, prefix):
        self.base = {"bootstrap.servers": broker}
        self.records = records.read(records_path)
        self.prefix = prefix
        self.admin = AdminClient(self.base)

    def topic(self, name, partitions=1):
        topic = f"{self.prefix}-{name}"
        self.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()
        return topic

    def consumer(self, **options):
        defaults = {"group.id": "none", "auto.offset.reset": "earliest", "enable.auto.commit": False,
                    "heartbeat.interval.ms": 300, "session.timeout.ms": 6000, "fetch.wait.max.ms": 100}
        given = {name.replace("_", "."): value for name, value in options.items()}
        return Consumer({**self.base, **defaults, **given})

    def produce(self, topic, contents, **options):
        """Writes (partition, timestamp, key, value, headers); raises the first refusal."""
        given = {name.replace("_", "."): value for name, value in options.items()}
        producer, refused = Producer({**self.base, "linger.ms": 5, **given}), []

        def delivered(error, _message):
            if error is not None:
                refused.append(error)

        for partition, timestamp_ms, key, value, headers in contents:
            producer.produce(topic, value, key, partition=partition, on_delivery=delivered,
                             timestamp=timestamp_ms, headers=headers)
            producer.poll(0)
        expect("left unsent", producer.flush(20), 0)
        expect("refused", refused, [])

    def read(self, topic, count, partition=0):
        consumer, found = self.consumer(), []
        consumer.assign([TopicPartition(topic, partition, 0)])
        until(f"{count} records of {topic}", lambda: len(poll_into(consumer, found)) >= count)
        consumer.close()
        return found

    def metadata(self):
        topic = self.topic("metadata", 3)
        answer = self.admin.list_topics(timeout=10)
        expect("brokers", len(answer.brokers), 1)
        expect("partitions", sorted(answer.topics[topic].partitions), [0, 1, 2])

    def codec(self, name):
        topic = self.topic(name)
        self.produce(topic, [(0, *record) for record in self.records], compression_type=name)
        found = [(one.timestamp()[1], one.key(), one.value(), one.headers() or [])
                 for one in self.read(topic, len(self.records))]
        expect("records", found, self.records)
        return f"{len(found)} records"

    def order(self, name="order", **options):
        topic = self.topic(name, 3)
        self.produce(topic, [(number % 3, 0, None, b"%d" % number, []) for number in range(ORDER_COUNT)],
                     **options)
        for partition in range(3):
            numbers = range(partition, ORDER_COUNT, 3)
            found = self.read(topic, len(numbers), partition)
            expect(f"partition {partition}", [int(one.value()) for one in found], list(numbers))

    def group(self):
        topic = self.topic("group", GROUP_PARTITIONS)
        members = [self.consumer(group_id=topic, partition_assignment_strategy="cooperative-sticky")
                   for _ in range(2)]
        found = []

        def shares(wanted):
            for member in members:
                poll_into(member, found)
            return [len(member.assignment()) for member in members] == wanted

        members[0].subscribe([topic])
        until("the first has all", lambda: shares([4, 0]))
        members[1].subscribe([topic])
        until("each has half", lambda: shares([2, 2]))
        self.produce(topic, [(number % 4, 0, None, b"%d" % number, []) for number in range(400)])
        until("all are read", lambda: shares([2, 2]) and len(found) >= 400)
        expect("each once", sorted(int(one.value()) for one in found), list(range(400)))
        members.pop().close()
        until("the first has all again", lambda: shares([4]))
        members.pop().close()

    def seek(self, strategy, static=False):
        headrace = live_seek.Headrace(self.base["bootstrap.servers"])
        topic = self.topic(f"seek-{strategy}{'-static' if static else ''}", 2)
        own = [{"group_instance_id": name} if static else {} for name in ("one", "two")]
        members = [self.consumer(group_id=topic, partition_assignment_strategy=strategy,
                                 enable_auto_commit=True, auto_commit_interval_ms=50, **each) for each in own]

        def produce(count):
            self.produce(topic, [(number % 2, 0, None, b"%d" % number, []) for number in range(2 * count)])

        def poll():
            found = []
            for member in members:
                poll_into(member, found)
            return [(one.partition(), one.offset()) for one in found]

        produce(100)
        for member in members:
            member.subscribe([topic])
        live_seek.check(headrace, topic, 100, 2, poll, produce)
        for member in members:
            member.close()

    def resume(self):
        topic, group = f"{self.prefix}-none", f"{self.prefix}-resume"
        consumer, found = self.consumer(group_id=group), []
        consumer.subscribe([topic])
        until("five records", lambda: len(poll_into(consumer, found, 1)) == 5)
        consumer.commit(asynchronous=False)
        consumer.close()
        consumer, found = self.consumer(group_id=group), []
        expect("committed", consumer.committed([TopicPartition(topic, 0)], 10)[0].offset, 5)
        consumer.subscribe([topic])
        until("one record", lambda: poll_into(consumer, found, 1))
        expect("resumed at", found[0].offset(), 5)
        consumer.close()

    def by_time(self):
        topic = f"{self.prefix}-gzip"
        consumer = self.consumer()
        for index, shift_ms in ((0, -5_000_000), (7, 0), (8, -1)):
            where = TopicPartition(topic, 0, self.records[index][0] + shift_ms)
            expect(f"offset by time of {index}", consumer.offsets_for_times([where], 10)[0].offset, index)
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)
        expect("earliest and latest", (low, high), (0, len(self.records)))
        consumer.close()

    def topics(self):
        topic = self.topic("topics", 2)
        try:
            self.topic("topics")
            raise AssertionError("the topic was created twice")
        except KafkaException as error:
            expect("second", error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)
        self.admin.create_partitions([NewPartitions(topic, 5)])[topic].result()
        until("five partitions", lambda: len(self.admin.list_topics(topic).topics[topic].partitions) == 5)
        self.admin.delete_topics([topic])[topic].result()
        until("the topic is gone", lambda: topic not in self.admin.list_topics(timeout=10).topics)

    def configs(self):
        topic = self.topic("configs")
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, {"retention.ms": "123456789"})
        self.admin.alter_configs([resource])[resource].result()
        asked = ConfigResource(ConfigResource.Type.TOPIC, topic)

        def value(name):
            return self.admin.describe_configs([asked])[asked].result()[name].value

        until("the change is described", lambda: value("retention.ms") == "123456789")
        expect("cleanup.policy", value("cleanup.policy"), "delete")

    def transactions(self):
        if os.environ.get("HEADRACE_BROKER_KIND") != "headrace":
            raise Skipped("this broker has transactions")
        producer, started = Producer({**self.base, "transactional.id": self.prefix}), time.monotonic()
        try:
            producer.init_transactions(15)
        except KafkaException as error:
            expect("reason", error.args[0].code(), KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            expect("at once", time.monotonic() - started < 5, True)
            return
        raise AssertionError("transactions are not refused")


def poll_into(consumer, found, count_max=500):
    for message in consumer.consume(count_max, 0.1):
        if message.error() is None:
            found.append(message)
    return found


def all_checks(broker, records_path, prefix):
    checks = Checks(broker, records_path, prefix)
    yield "metadata", checks.metadata
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        yield codec, report.bind(checks.codec, codec)
    yield "order", report.bind(checks.order, max_in_flight=1)
    yield "idempotent", report.bind(checks.order, "idempotent", enable_idempotence=True)
    yield "seek_eager", report.bind(checks.seek, "range")
    yield "seek_cooperative-sticky", report.bind(checks.seek, "cooperative-sticky")
    yield "seek_static", report.bind(checks.seek, "range", static=True)
    for name in ("group", "resume", "by_time", "topics", "configs", "transactions"):
        yield name, getattr(checks, name)


if __name__ == "__main__":
    report.main(all_checks)
