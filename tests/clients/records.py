"""The records that every client writes and must read back byte for byte.

One line per record, fields separated by tabs: timestamp in ms, key, value, headers. Keys and values are
hexadecimal, `-` is null and nothing is empty; headers are name=value joined by commas, null as above. Every
language parses this with what it has.
"""

import random
import sys
import time

LARGE_SIZE = 40_000  # bytes; more than a socket's usual read, less than any limit
STEP_MS = 1_000  # between neighbours, so that a search by time has one right answer


def make(now_ms):
    """About an hour ago, so that no retention takes them; the same content whenever it is made."""
    start_ms = now_ms - 3_600_000
    rng = random.Random(20240229)
    contents = [
        (b"key", b"value", []),
        (b"key", None, [("tombstone", b"yes")]),
        (None, b"no key", []),
        (None, None, [("only-headers", b"\x00\xff")]),
        (b"", b"", [("empty", b""), ("null", None)]),
        (bytes(range(256)), bytes(range(255, -1, -1)), [("twice", b"1"), ("twice", b"2")]),
        ("Schlüssel".encode(), "Wasser läuft 水 🌊".encode(), [("name-ü", "ü".encode())]),
        (b"compressible", b"headrace " * (LARGE_SIZE // 9), []),
        (b"incompressible", rng.randbytes(LARGE_SIZE), []),
    ]
    contents += [(b"k%d" % n, rng.randbytes(rng.randrange(200)), [("n", b"%d" % n)]) for n in range(23)]
    return [(start_ms + n * STEP_MS, *content) for n, content in enumerate(contents)]


def _hex(data):
    return "-" if data is None else data.hex()


def _bytes(text):
    return None if text == "-" else bytes.fromhex(text)


def write(path, records):
    with open(path, "w", encoding="utf-8") as file:
        for timestamp_ms, key, value, headers in records:
            packed = ",".join(f"{name}={_hex(each)}" for name, each in headers)
            file.write(f"{timestamp_ms}\t{_hex(key)}\t{_hex(value)}\t{packed}\n")


def read(path):
    records = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            timestamp_ms, key, value, packed = line.rstrip("\n").split("\t")
            headers = [tuple(pair.split("=")) for pair in packed.split(",")] if packed else []
            headers = [(name, _bytes(each)) for name, each in headers]
            records.append((int(timestamp_ms), _bytes(key), _bytes(value), headers))
    return records


if __name__ == "__main__":
    write(sys.argv[1], make(int(time.time() * 1000)))
