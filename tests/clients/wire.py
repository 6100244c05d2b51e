"""Kafka's wire protocol as far as tests/clients/differential.py asks: requests put together by hand, so that
wrong ones can be asked too. No client library stands between."""

import socket
import struct
import zlib

# First flexible version of the APIs asked here (KIP-482).
FLEXIBLE = {0: 9, 1: 12, 2: 6, 3: 9, 8: 8, 9: 6, 10: 3, 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 3, 18: 3,
            19: 5, 20: 4,
            21: 2, 22: 2, 23: 4, 32: 4, 33: 2, 35: 2, 37: 2, 42: 2, 44: 1, 47: 99, 60: 0, 68: 0, 69: 0, 75: 0}


class Closed(Exception):
    """The broker closed the connection instead of answering."""


def _uvarint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number):
    return _uvarint(number << 1 if number >= 0 else (-number << 1) - 1)


class Writer:
    """A body in one of the two encodings; every method returns it, so that a body reads like its message."""

    def __init__(self, flexible):
        self.flexible, self.data = flexible, bytearray()

    def raw(self, data):
        self.data += data
        return self

    def int(self, code, *numbers):
        """Numbers by their struct code: b, h, i or q."""
        return self.raw(struct.pack(f">{len(numbers)}{code}", *numbers))

    def string(self, text):
        data = None if text is None else text.encode()
        if self.flexible:
            return self.raw(_uvarint(0 if data is None else len(data) + 1) + (data or b""))
        return self.int("h", -1 if data is None else len(data)).raw(data or b"")

    def bytes(self, data):
        if self.flexible:
            return self.raw(_uvarint(0 if data is None else len(data) + 1) + (data or b""))
        return self.int("i", -1 if data is None else len(data)).raw(data or b"")

    def array(self, items, write):
        """Null for None; write(item) adds one item to this body."""
        count = -1 if items is None else len(items)
        self.raw(_uvarint(count + 1)) if self.flexible else self.int("i", count)
        for item in items or ():
            write(item)
        return self

    def tags(self):
        return self.raw(b"\0") if self.flexible else self


class Reader:
    def __init__(self, data, flexible):
        self.data, self.at, self.flexible = data, 0, flexible

    def raw(self, size):
        if self.at + size > len(self.data):
            raise AssertionError("the answer is shorter than its version's form")
        self.at += size
        return self.data[self.at - size:self.at]

    def int(self, code):
        return struct.unpack(f">{code}", self.raw(struct.calcsize(code)))[0]

    def uvarint(self):
        number = shift = 0
        while True:
            byte = self.raw(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def bytes(self, code="i"):
        size = self.uvarint() - 1 if self.flexible else self.int(code)
        return None if size < 0 else self.raw(size)

    def string(self):
        data = self.bytes("h")
        return None if data is None else data.decode()

    def array(self, read):
        count = self.uvarint() - 1 if self.flexible else self.int("i")
        return None if count < 0 else [read() for _ in range(count)]

    def tags(self):
        """{tag: its bytes}"""
        count = self.uvarint() if self.flexible else 0
        return {self.uvarint(): self.raw(self.uvarint()) for _ in range(count)}


class Connection:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 15)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def send(self, key, version, body):
        self.correlation += 1
        header = struct.pack(">hhih4s", key, version, self.correlation, 4, b"diff")
        if version >= FLEXIBLE.get(key, 99):
            header += b"\0"
        self.socket.sendall(struct.pack(">i", len(header) + len(body)) + header + bytes(body))

    def receive(self, key, version):
        data = self._exactly(struct.unpack(">i", self._exactly(4))[0])
        flexible = version >= FLEXIBLE.get(key, 99)
        answer = Reader(data, flexible)
        if answer.int("i") != self.correlation:
            raise AssertionError("an answer to another request")
        if flexible and key != 18:
            answer.tags()
        return answer

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed
            data += part
        return data


def writer(key, version):
    return Writer(version >= FLEXIBLE.get(key, 99))


_CRC_TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    _CRC_TABLE.append(_n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def batch(*values, time_ms=1_700_000_000_000, producer=(-1, -1, -1), attributes=0, magic=2, count=None,
          crc_xor=0, key=None):
    """A record batch of these values, right in all but what is asked for."""
    records = b""
    for n, value in enumerate(values):
        record = b"\0" + _zigzag(n) + _zigzag(n)  # attributes, time and offset delta: one ms apart
        for part in (key, value):
            record += _zigzag(-1) if part is None else _zigzag(len(part)) + part
        record += _zigzag(0)
        records += _zigzag(len(record)) + record
    if attributes & 7 == 1:
        packer = zlib.compressobj(wbits=31)
        records = packer.compress(records) + packer.flush()
    last = len(values) - 1
    tail = struct.pack(">hiqqqhii", attributes, last, time_ms, time_ms + last, *producer,
                       len(values) if count is None else count) + records
    crc = crc32c(tail) ^ crc_xor
    return struct.pack(">qiibI", 0, 9 + len(tail), 0, magic, crc) + tail
