"""The records of a batch as text, one line each; record_text.cc writes the same.

  0 1700000000000 6b6579 - 7472=6162 6e=-

Offset, timestamp, key, value, and each header's key and value. Bytes are hexadecimal digits; "-" is null,
"." is empty, and what is longer than 64 bytes is its length and its CRC-32C, as in "33000:e3069283".
"""

from kafka.record.util import calc_crc32c

BYTES_MAX = 64


def bytes_text(value):
    if value is None:
        return "-"
    if not value:
        return "."
    if len(value) > BYTES_MAX:
        return f"{len(value)}:{calc_crc32c(value):08x}"
    return value.hex()


def record_text(offset, timestamp, key, value, headers):
    words = [str(offset), str(timestamp), bytes_text(key), bytes_text(value)]
    words += [f"{bytes_text(name.encode())}={bytes_text(content)}" for name, content in headers]
    return " ".join(words) + "\n"
