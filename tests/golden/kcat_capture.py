"""What kcat (librdkafka) sends when it produces: a listener that says just enough of Kafka's protocol to be
given one batch. See make_golden.py."""

import socket
import struct
import subprocess
import threading

TOPIC = "golden"
# Oldest and newest version of what is answered, and of what librdkafka wants to see before it uses this batch
# format and zstd: Produce, Fetch, Metadata, FindCoordinator, ApiVersions.
API_VERSIONS = {0: (0, 7), 1: (0, 10), 3: (0, 4), 10: (0, 1), 18: (0, 3)}


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


def _api_versions():
    rows = b"".join(struct.pack(">hhhB", key, low, high, 0) for key, (low, high) in API_VERSIONS.items())
    return struct.pack(">hB", 0, len(API_VERSIONS) + 1) + rows + struct.pack(">iB", 0, 0)


def _metadata(port):
    broker = struct.pack(">i", 1) + _string("127.0.0.1") + struct.pack(">ih", port, -1)
    partition = struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
    topic = struct.pack(">h", 0) + _string(TOPIC) + struct.pack(">?i", False, 1) + partition
    return (struct.pack(">ii", 0, 1) + broker + struct.pack(">hi", -1, 1) + struct.pack(">i", 1) + topic)


def _produced():
    partition = struct.pack(">ihqqq", 0, 0, 0, -1, 0)
    return struct.pack(">i", 1) + _string(TOPIC) + struct.pack(">i", 1) + partition + struct.pack(">i", 0)


def _batch_of(request):
    """The record area of a Produce request, version 7: the last thing in it."""
    at = 2 + 2 + 4 + 4 + 2 + len(TOPIC) + 4 + 4  # transactional id (null), acks, timeout, topic, partition
    size, = struct.unpack_from(">i", request, at)
    assert at + 4 + size == len(request), "not one partition of one topic"
    return request[at + 4:]


def _read(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data


def _serve(connection, port, batches):
    """Answers one connection until it closes, and keeps the batches produced on it."""
    while (prefix := _read(connection, 4)) is not None:
        request = _read(connection, struct.unpack(">i", prefix)[0])
        key, version, correlation, client = struct.unpack_from(">hhih", request)
        assert version == API_VERSIONS[key][1], f"api {key} version {version}"
        if key == 0:
            batches.append(_batch_of(request[10 + client:]))
        answer = {0: _produced, 3: lambda: _metadata(port), 18: _api_versions}[key]()
        connection.sendall(struct.pack(">ii", 4 + len(answer), correlation) + answer)


def _accept(listener, batches):
    port = listener.getsockname()[1]
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, port, batches), daemon=True).start()


def capture(codec, lines, headers):
    """The one batch of kcat's for `lines` ("key<tab>value"), each record with all of `headers`."""
    listener = socket.create_server(("127.0.0.1", 0))
    batches = []
    threading.Thread(target=_accept, args=(listener, batches), daemon=True).start()
    command = ["kcat", "-P", "-b", f"127.0.0.1:{listener.getsockname()[1]}", "-t", TOPIC, "-p", "0",
               "-K", "\t", "-Z", "-z", codec, "-X", "linger.ms=500"]
    for name, value in headers:
        command += ["-H", f"{name}={value}"]
    text = "".join(line + "\n" for line in lines).encode()
    subprocess.run(command, input=text, check=True, timeout=30)
    assert len(batches) == 1, f"kcat sent {len(batches)} batches"
    return batches[0]
