#!/usr/bin/python3
"""rsyslogd with omkafka, as a user runs it without root: it ships a real log of this machine into a topic."""

import os
import shutil
import subprocess
import tempfile

import report
from confluent_kafka import Consumer, TopicPartition
from report import Skipped, expect, until

LOGS = ("/var/log/dpkg.log", "/var/log/apt/term.log", "/var/log/alternatives.log", "/var/log/bootstrap.log")
LINES_MAX = 5_000

CONFIG = """
global(workDirectory="{folder}" maxMessageSize="64k" processInternalMessages="on")
module(load="imfile" mode="inotify")
module(load="omkafka")
template(name="line" type="string" string="%msg%")
input(type="imfile" file="{log}" tag="log:" ruleset="ship" readMode="0")
ruleset(name="ship") {{
  action(type="omkafka" broker=["{broker}"] topic="{topic}" template="line"
         partitions.auto="off" partitions.number="1" resubmitOnFailure="on" keepFailedMessages="on"
         failedMsgFile="{folder}/failed" action.resumeRetryCount="-1"
         confParam=["compression.codec=zstd", "queue.buffering.max.ms=50"])
}}
syslog.* stop
"""


class Checks:
    def __init__(self, broker, _records_path, prefix):
        self.broker = broker
        self.topic = f"{prefix}-log"

    def ship(self):
        lines = lines_of_a_real_log()
        with tempfile.TemporaryDirectory(prefix="headrace-rsyslog-") as folder:
            log = os.path.join(folder, "followed.log")
            with open(log, "wb") as file:
                file.write(b"\n".join(lines) + b"\n")
            config = os.path.join(folder, "rsyslog.conf")
            with open(config, "w", encoding="utf-8") as file:
                file.write(CONFIG.format(folder=folder, log=log, broker=self.broker, topic=self.topic))
            command = [program(), "-n", "-f", config, "-i", os.path.join(folder, "pid")]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
                try:
                    found = self.read(len(lines))
                finally:
                    daemon.terminate()
        expect("lines", found, lines)
        return f"{len(lines)} lines"

    def read(self, count):
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "none",
                             "auto.offset.reset": "earliest",
                             "topic.metadata.refresh.interval.ms": 500, "fetch.wait.max.ms": 100})
        until("rsyslog makes the topic", lambda: self.topic in consumer.list_topics(timeout=5).topics)
        consumer.assign([TopicPartition(self.topic, 0, 0)])
        found = []

        def enough():
            found.extend(one.value() for one in consumer.consume(1000, 0.2) if one.error() is None)
            return len(found) >= count

        until(f"{count} lines", enough, 30)
        consumer.close()
        return found


def program():
    found = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))
    if found is None:
        raise Skipped("no rsyslogd on this machine")
    return found


def lines_of_a_real_log():
    for path in LOGS:
        if os.access(path, os.R_OK) and os.path.getsize(path) > 0:
            with open(path, "rb") as file:
                lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
            return [line.encode() for line in lines[-LINES_MAX:]]
    raise Skipped(f"none of {', '.join(LOGS)} can be read")


def all_checks(broker, records_path, prefix):
    yield "ship", Checks(broker, records_path, prefix).ship


if __name__ == "__main__":
    report.main(all_checks)
