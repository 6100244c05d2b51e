#!/usr/bin/env python3
"""Captures golden frames: what real Kafka clients ask, and what Apache Kafka answers them.

  tests/golden/capture_frames.py BIN_DIR    writes requests.frames and responses.frames

The checks of tests/clients run through a recorder, against Apache Kafka and then the Headrace in BIN_DIR, one
client at a time. A line is "who key version frame": the client, or apache-kafka; the API; the frame in hex
without its size. Of each kind (who, API, version) the largest frame of at most FRAME_SIZE_MAX is kept, as the
one with the most fields set. Every run gives other times, names and ids.
"""

import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

FOLDER = pathlib.Path(__file__).parent
CLIENTS_FOLDER = FOLDER.parent / "clients"
# All but rsyslog, which would ship lines of this machine's log, and has librdkafka inside as others do.
CLIENTS = ["kcat", "librdkafka", "python3-kafka", "python3-confluent-kafka", "kafkajs", "java", "kafka-tools",
           "franz-go", "rskafka"]
FRAME_SIZE_MAX = 2048
DESCRIBE_LOG_DIRS = 35  # its answer names folders of the machine


class Recorder:
    """A listener that hands everything on to `upstream` and back, and keeps frames of every kind."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.upstream = None
        self.client = None
        self.requests, self.responses = {}, {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self._listener.accept()
            host, port = self.upstream.rsplit(":", 1)
            broker = socket.create_connection((host, int(port)))
            asked = {}  # correlation id -> (key, version)
            for ways in ((connection, broker, self._note_request), (broker, connection, self._note_response)):
                threading.Thread(target=_hand_on, args=(*ways, asked), daemon=True).start()

    def _note_request(self, asked, frame):
        key, version, correlation = struct.unpack_from(">hhi", frame)
        asked[correlation] = (key, version)
        _keep(self.requests, (self.client, key, version), frame)

    def _note_response(self, asked, frame):
        correlation, = struct.unpack_from(">i", frame)
        key, version = asked.pop(correlation)
        if key != DESCRIBE_LOG_DIRS:
            _keep(self.responses, ("apache-kafka", key, version), frame)


def _keep(frames, kind, frame):
    if len(frames.get(kind, b"")) < len(frame) <= FRAME_SIZE_MAX:
        frames[kind] = frame


def _hand_on(source, target, note, asked):
    """Frame by frame, until one side closes."""
    try:
        while prefix := _read(source, 4):
            frame = _read(source, struct.unpack(">i", prefix)[0])
            note(asked, frame)  # before the other side can answer
            target.sendall(prefix + frame)
    except OSError:
        pass
    for each in (source, target):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def _read(source, size):
    data = b""
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def run_clients(recorder, work, kind):
    for client in CLIENTS:
        recorder.client = client
        command = [sys.executable, "-B", CLIENTS_FOLDER / "run_clients.py", recorder.address,
                   f"{work}/results", client]
        subprocess.run(command, env={**os.environ, "HEADRACE_BROKER_KIND": kind}, check=False)


def capture_kafka(recorder, work):
    """Returns Apache Kafka's answers; the requests stay in the recorder."""
    kafka = CLIENTS_FOLDER / "kafka.sh"
    folder = f"{work}/kafka"
    started = subprocess.run([kafka, "start", folder], stdout=subprocess.PIPE, text=True, check=True,
                             env={**os.environ, "KAFKA_ADVERTISED": recorder.address})
    recorder.upstream = started.stdout.strip()
    try:
        run_clients(recorder, work, "kafka")
    finally:
        subprocess.run([kafka, "stop", folder], check=True)
    return recorder.responses.copy()


def capture_headrace(recorder, work, bin_dir):
    port = free_port()
    recorder.upstream = f"127.0.0.1:{port}"
    broker = subprocess.Popen(
        [f"{bin_dir}/headrace-broker", "--data", f"{work}/headrace", "--ready-json", "--set", f"port={port}",
         "--set", f"advertised={recorder.address}"], stdout=subprocess.PIPE)
    try:
        broker.stdout.readline()
        run_clients(recorder, work, "headrace")
    finally:
        broker.terminate()
        broker.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def write(path, frames):
    lines = [f"{who} {key} {version} {frame.hex()}\n"
             for (who, key, version), frame in sorted(frames.items())]
    path.write_text("".join(lines))
    print(f"{path.name}: {len(lines)} frames, {sum(map(len, frames.values()))} bytes")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.environ.setdefault("HEADRACE_CLIENTS", str(FOLDER.parent.parent / "build" / "clients"))
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as work:
        responses = capture_kafka(recorder, work)
        capture_headrace(recorder, work, sys.argv[1])
    write(FOLDER / "requests.frames", recorder.requests)
    write(FOLDER / "responses.frames", responses)


if __name__ == "__main__":
    main()
