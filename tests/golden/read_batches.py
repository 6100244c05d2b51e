#!/usr/bin/python3
"""Has python3-kafka read the batches of write_batches, one for each codec: CRC, header and every record.

  tests/golden/read_batches.py WRITE_BATCHES    runs that program; exit 1 if anything reads otherwise

Fails, rather than passes by, where python3-kafka or a codec's package is missing.
"""

import pathlib
import subprocess
import sys
import tempfile

from kafka.record.memory_records import MemoryRecords

from record_text import record_text

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def header_text(data, batch):
    fields = batch.HEADER_STRUCT.unpack_from(data)
    base, _, epoch, _, _, attributes, _, *times_and_producer, count = fields
    return " ".join(map(str, [base, epoch, attributes, *times_and_producer, count])) + "\n"


def read(data):
    """The text of the one batch in `data`, as a consumer of python3-kafka comes to its records."""
    batches = MemoryRecords(data)
    batch = batches.next_batch()
    assert not batches.has_next(), "more than one batch, or bytes left over"
    assert batch.validate_crc(), "the CRC does not match"
    header = header_text(data, batch)
    return batch.compression_type, header + "".join(
        record_text(each.offset, each.timestamp, each.key, each.value, each.headers) for each in batch)


def main(program):
    with tempfile.TemporaryDirectory(prefix="headrace-golden-") as name:
        folder = pathlib.Path(name)
        subprocess.run([program, folder], check=True)
        for number, codec in enumerate(CODECS):
            compression, text = read((folder / f"{codec}.bin").read_bytes())
            expected = (folder / f"{codec}.txt").read_text(encoding="utf-8")
            assert compression == number, f"{codec}: the batch says codec {compression}"
            assert text.count("\n") == 310, f"{codec}: {text.count(chr(10))} lines"
            for ours, theirs in zip(expected.splitlines(), text.splitlines(), strict=True):
                assert ours == theirs, f"{codec}:\n  written {ours}\n  read    {theirs}"
            print(f"{codec}: {text.count(chr(10)) - 1} records")


if __name__ == "__main__":
    main(sys.argv[1])
