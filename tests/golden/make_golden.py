#!/usr/bin/python3
"""Makes the golden batches: bytes written by other people's Kafka clients, which Headrace must read.

  tests/golden/make_golden.py    writes *.bin, and beside each a *.txt that says what it holds

python_kafka_<codec>   by python3-kafka's record builder: null, empty and large keys and values, headers,
                       timestamps that go back and far ahead, a producer whose sequences wrap, offset deltas
                       of two bytes. With snappy in the framing of the Java client.
librdkafka_<codec>     sent by kcat to a listener of this script. With raw snappy. Their time of creation is
                       that of the run, so these change with every run; their text is python3-kafka's reading.

The first line of a text is the header: base offset, leader epoch, attributes, base and max timestamp,
producer id, producer epoch, base sequence, records. Then one line a record, as in record_text.py.
Needs Debian's python3-kafka, python3-snappy, python3-lz4, python3-zstandard and kcat.
"""

import pathlib

from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

import kcat_capture
from record_text import record_text

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
FOLDER = pathlib.Path(__file__).parent
TIME = 1_700_000_000_000
PRODUCER = (4711, 3, 2**31 - 10)


def records():
    """(timestamp, key, value, headers) of every record of the python_kafka_ batches."""
    yield TIME, b"key", b"value", []
    yield TIME + 1, None, b"no key", []
    yield TIME + 1, b"no value", None, []
    yield TIME + 1, None, None, []
    yield TIME + 1, b"", b"", []
    yield TIME + 2, b"\x00\xff", "Mühlgraben".encode(), [
        ("trace", b"\x01\x02"), ("null", None), ("", b""), ("Größe", b"x" * 100), ("trace", b"again")]
    yield TIME - 86_400_000, b"a day before", b"the first", []
    yield TIME + 10 * 365 * 86_400_000, b"ten years", b"ahead", []
    # More than one block of snappy's framing, and a length of three bytes.
    yield TIME + 3, b"large", b"".join(b"line %d of many\n" % i for i in range(2500)), []
    for i in range(200):
        yield TIME + 4 + i, b"%d" % i, b"v" * i, [("i", b"%d" % i)] if i % 50 == 0 else []


def python_kafka(codec):
    builder = DefaultRecordBatchBuilder(2, CODECS.index(codec), False, *PRODUCER, batch_size=1 << 20)
    for offset, (timestamp, key, value, headers) in enumerate(records()):
        assert builder.append(offset, timestamp, key, value, headers) is not None
    text = "".join(record_text(offset, *record) for offset, record in enumerate(records()))
    return bytes(builder.build()), text


def librdkafka(codec):
    headers = [("trace", "abc"), ("empty", "")]
    lines = [f"k{i}\tvalue {i} " + "of many " * (i % 20) for i in range(100)] + ["\tno key", "tombstone\t"]
    batch = kcat_capture.capture(codec, lines, headers)
    read = list(DefaultRecordBatch(batch))
    # -Z: empty is null.
    sent = [tuple(part.encode() or None for part in line.split("\t")) for line in lines]
    assert [(record.key, record.value) for record in read] == sent
    assert all(record.headers == [(name, value.encode()) for name, value in headers] for record in read)
    return batch, "".join(
        record_text(each.offset, each.timestamp, each.key, each.value, each.headers) for each in read)


def header_text(batch):
    base, _, epoch, _, _, attributes, _, *times_and_producer, count = (
        DefaultRecordBatch.HEADER_STRUCT.unpack_from(batch))
    return " ".join(map(str, [base, epoch, attributes, *times_and_producer, count])) + "\n"


def main():
    for make in (python_kafka, librdkafka):
        for codec in CODECS:
            batch, text = make(codec)
            read = DefaultRecordBatch(batch)
            assert read.compression_type == CODECS.index(codec) and read.validate_crc()
            name = f"{make.__name__}_{codec}"
            (FOLDER / f"{name}.bin").write_bytes(batch)
            (FOLDER / f"{name}.txt").write_text(header_text(batch) + text)
            print(f"{name}: {len(batch)} bytes, {read.last_offset_delta + 1} records")


if __name__ == "__main__":
    main()
