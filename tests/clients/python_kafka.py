#!/usr/bin/python3
"""Debian's python3-kafka (kafka-python): its producer, consumer, groups and admin."""

import threading

import kafka
import records
import report
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError
from report import expect, until

ORDER_COUNT = 10_000
GROUP_PARTITIONS = 4


class Checks:
    def __init__(self, broker, records_path, prefix):
        self.broker = broker
        # This client sends neither a record without key and value nor a header that is null.
        self.records = [(time_ms, key, value, [(name, content or b"") for name, content in headers])
                        for time_ms, key, value, headers in records.read(records_path)
                        if (key, value) != (None, None)]
        self.prefix = prefix
        self.admin = kafka.KafkaAdminClient(bootstrap_servers=broker)

    def topic(self, name, partitions=1):
        topic = f"{self.prefix}-{name}"
        self.admin.create_topics([NewTopic(topic, partitions, 1)])
        return topic

    def producer(self, **options):
        return kafka.KafkaProducer(bootstrap_servers=self.broker, **options)

    def consumer(self, *topics, **options):
        defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False,
                    "heartbeat_interval_ms": 300, "session_timeout_ms": 6000, "fetch_max_wait_ms": 100}
        return kafka.KafkaConsumer(*topics, bootstrap_servers=self.broker, **{**defaults, **options})

    def produce_all(self, topic, **options):
        producer = self.producer(linger_ms=20, **options)
        futures = [producer.send(topic, value, key, headers, 0, timestamp_ms)
                   for timestamp_ms, key, value, headers in self.records]
        producer.flush()
        producer.close()
        return [future.get(0).offset for future in futures]

    def read(self, topic, count, partition=0, offset=0):
        consumer = self.consumer()
        where = kafka.TopicPartition(topic, partition)
        consumer.assign([where])
        consumer.seek(where, offset)
        found = []
        until(f"{count} records of {topic}", lambda: len(poll_into(consumer, found)) >= count)
        consumer.close()
        return found

    def metadata(self):
        topic = self.topic("metadata", 3)
        consumer = self.consumer()
        expect("partitions", consumer.partitions_for_topic(topic), {0, 1, 2})
        expect("brokers", len(self.admin.describe_cluster()["brokers"]), 1)
        consumer.close()

    def codec(self, name):
        topic = self.topic(name)
        compression = None if name == "none" else name
        offsets = self.produce_all(topic, compression_type=compression)
        expect("offsets", offsets, list(range(len(self.records))))
        found = self.read(topic, len(self.records))
        expect("records", [(one.timestamp, one.key, one.value, one.headers) for one in found], self.records)
        return f"{len(found)} records"

    def order(self):
        topic = self.topic("order", 3)
        producer = self.producer(linger_ms=5, max_in_flight_requests_per_connection=1)
        for number in range(ORDER_COUNT):
            producer.send(topic, b"%d" % number, partition=number % 3)
        producer.flush()
        for partition in range(3):
            numbers = range(partition, ORDER_COUNT, 3)
            found = self.read(topic, len(numbers), partition)
            expect(f"partition {partition}", [int(one.value) for one in found], list(numbers))

    def group(self):
        topic = self.topic("group", GROUP_PARTITIONS)
        first, second = (Member(self, topic, f"{self.prefix}-group") for _ in range(2))
        first.start()
        until("the first member has all", lambda: len(first.assigned) == GROUP_PARTITIONS)
        second.start()
        until("each has half", lambda: len(first.assigned) == len(second.assigned) == GROUP_PARTITIONS // 2)
        expect("no partition twice", first.assigned & second.assigned, set())
        producer = self.producer()
        for number in range(400):
            producer.send(topic, b"%d" % number, partition=number % GROUP_PARTITIONS)
        producer.flush()
        until("all are read", lambda: len(first.values) + len(second.values) == 400)
        expect("each once", sorted(first.values + second.values), list(range(400)))
        second.stop()
        until("the first has all again", lambda: len(first.assigned) == GROUP_PARTITIONS)
        first.stop()

    def resume(self):
        topic, group = self.topic("resume"), f"{self.prefix}-resume"
        self.produce_all(topic)
        where = kafka.TopicPartition(topic, 0)
        consumer, found = self.consumer(topic, group_id=group), []
        until("some records", lambda: poll_into(consumer, found, 5))
        consumer.commit({where: kafka.OffsetAndMetadata(5, "five")})
        consumer.close()
        consumer, found = self.consumer(topic, group_id=group), []
        until("more records", lambda: poll_into(consumer, found, 1))
        expect("resumed at", found[0].offset, 5)
        expect("committed", consumer.committed(where, metadata=True), kafka.OffsetAndMetadata(5, "five"))
        consumer.close()

    def by_time(self):
        topic = self.topic("time")
        self.produce_all(topic, compression_type="gzip")
        consumer, where = self.consumer(), kafka.TopicPartition(topic, 0)
        for index, shift_ms in ((0, -5_000_000), (7, 0), (8, -1)):
            time_ms = self.records[index][0] + shift_ms
            found = consumer.offsets_for_times({where: time_ms})
            expect(f"offset by time of {index}", found[where].offset, index)
        expect("after the last", consumer.offsets_for_times({where: self.records[-1][0] + 1})[where], None)
        expect("earliest", consumer.beginning_offsets([where])[where], 0)
        expect("latest", consumer.end_offsets([where])[where], len(self.records))
        consumer.close()

    def topics(self):
        topic = self.topic("topics", 2)
        try:
            self.topic("topics")
            raise AssertionError("the topic was created twice")
        except TopicAlreadyExistsError:
            pass
        self.admin.create_partitions({topic: NewPartitions(5)})
        until("five partitions",
              lambda: len(self.admin.describe_topics([topic])[0]["partitions"]) == 5)
        self.admin.delete_topics([topic])
        until("the topic is gone", lambda: topic not in self.admin.list_topics())
        try:
            self.admin.delete_topics([topic])
            raise AssertionError("a topic that is not there was deleted")
        except UnknownTopicOrPartitionError:
            pass

    def configs(self):
        topic = self.topic("configs")
        wanted = {"retention.ms": "123456789", "max.message.bytes": "345678"}
        self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])

        def described():
            answers = self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            return {entry[0]: entry[1] for entry in answers[0].resources[0][4]}

        until("the change is described", lambda: wanted.items() <= described().items())
        expect("default", described()["cleanup.policy"], "delete")

    def groups_admin(self):
        group = f"{self.prefix}-resume"
        expect("listed", (group, "consumer") in self.admin.list_consumer_groups(), True)
        described = self.admin.describe_consumer_groups([group])[0]
        expect("state", (described.state, described.members), ("Empty", []))
        where = kafka.TopicPartition(f"{self.prefix}-resume", 0)
        expect("offset", self.admin.list_consumer_group_offsets(group)[where].offset, 5)
        expect("deleted", self.admin.delete_consumer_groups([group])[0][1].errno, 0)
        expect("listed", group in dict(self.admin.list_consumer_groups()), False)


class Member(threading.Thread):
    """A consumer of a group on a thread of its own: heartbeats and rebalances happen inside poll."""

    def __init__(self, checks, topic, group):
        super().__init__(daemon=True)
        self.consumer = checks.consumer(topic, group_id=group, enable_auto_commit=True)
        self.assigned, self.values, self.stopping = set(), [], False

    def run(self):
        while not self.stopping:
            for batch in self.consumer.poll(timeout_ms=100).values():
                self.values.extend(int(one.value) for one in batch)
            self.assigned = self.consumer.assignment()
        self.consumer.close()

    def stop(self):
        self.stopping = True
        self.join()


def poll_into(consumer, found, count_max=None):
    for batch in consumer.poll(timeout_ms=200, max_records=count_max).values():
        found.extend(batch)
    return found


def all_checks(broker, records_path, prefix):
    checks = Checks(broker, records_path, prefix)
    yield "metadata", checks.metadata
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        yield codec, report.bind(checks.codec, codec)
    for name in ("order", "group", "resume", "by_time", "topics", "configs", "groups_admin"):
        yield name, getattr(checks, name)


if __name__ == "__main__":
    report.main(all_checks)
