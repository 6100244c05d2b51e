#!/usr/bin/env python3
"""Makes message bodies by Apache Kafka's own schemas, for every API and version that Headrace serves.

  tests/golden/make_schema_bodies.py KAFKA_CLIENTS_JAR    writes schema.frames

The jar of the Java client holds the schemas (common/message/*.json); protocol/kafka/api.h says what is
served. A line is "request|response key version body" with the body in hex. Three bodies of each kind: one
with every array filled and nothing null, one with nothing but what must be there, one by chance. Left out is
what Headrace never writes: tagged fields that it does not know, and records that are null, not empty. The
same jar always gives the same file.
"""

import json
import pathlib
import random
import re
import struct
import sys
import zipfile

FOLDER = pathlib.Path(__file__).parent
API_TABLE = FOLDER.parent.parent / "protocol" / "kafka" / "api.h"
KNOWN_TAGGED = {"DivergingEpoch"}
INTEGER_SIZES = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "int64": 8, "uuid": 16}
FULL, BARE, BY_CHANCE = "full", "bare", "by chance"


def covers(versions, version):
    """Whether "3", "2-5", "4+" or "none" has the version."""
    if versions in (None, "none"):
        return False
    first, dash, last = versions.rstrip("+").partition("-")
    if versions.endswith("+"):
        return version >= int(first)
    return int(first) <= version <= int(last if dash else first)


def varint(number):
    data = b""
    while number >= 128:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


class Body:
    """One body of one version of a schema."""

    def __init__(self, schema, version, manner, chance):
        self._version, self._manner, self._chance = version, manner, chance
        self._flexible = covers(schema["flexibleVersions"], version)
        self._common = {each["name"]: each["fields"] for each in schema.get("commonStructs", [])}
        self.data = self._struct(schema["fields"])

    def _struct(self, fields):
        data, tagged = b"", {}
        for field in fields:
            if not covers(field["versions"], self._version):
                continue
            if not covers(field.get("taggedVersions"), self._version):
                data += self._field(field)
            elif field["name"] in KNOWN_TAGGED and self._manner != BARE:
                tagged[field["tag"]] = self._field(field)
        if self._flexible:
            data += varint(len(tagged))
            for tag, value in sorted(tagged.items()):
                data += varint(tag) + varint(len(value)) + value
        return data

    def _field(self, field):
        kind = field["type"]
        null = self._is_null(field)
        if kind.startswith("[]"):
            if null:
                return self._size(None, 4, field)
            count = {FULL: 2, BARE: 0, BY_CHANCE: self._chance.randint(0, 3)}[self._manner]
            return self._size(count, 4, field) + b"".join(self._value(kind[2:], field) for _ in range(count))
        if kind in ("string", "bytes", "records"):
            return self._size(None, 2 if kind == "string" else 4, field) if null else self._value(kind, field)
        if kind in INTEGER_SIZES or not covers(field.get("nullableVersions"), self._version):
            return self._value(kind, field)
        return b"\xff" if null else b"\x01" + self._value(kind, field)

    def _value(self, kind, field):
        if kind == "bool":
            return bytes([self._chance.randint(0, 1)])
        if kind in INTEGER_SIZES:
            return self._chance.randbytes(INTEGER_SIZES[kind])
        if kind in ("string", "bytes", "records"):
            size = 0 if self._manner == BARE else self._chance.randint(1, 6)
            text = bytes(self._chance.choice(b"abcdefgh") for _ in range(size))
            return self._size(size, 2 if kind == "string" else 4, field) + text
        return self._struct(field.get("fields") or self._common[kind])

    def _is_null(self, field):
        nullable = covers(field.get("nullableVersions"), self._version) and field["type"] != "records"
        if not nullable or self._manner == FULL:
            return False
        return self._manner == BARE or self._chance.random() < 0.3

    def _size(self, size, width, field):
        if self._flexible and field.get("flexibleVersions") != "none":
            return varint(0 if size is None else size + 1)
        return struct.pack({2: ">h", 4: ">i"}[width], -1 if size is None else size)


def served():
    """(key, name, first version, last version) of every row of the table."""
    table = API_TABLE.read_text()
    keys = dict(re.findall(r"^  (k\w+) = (\d+),$", table, re.MULTILINE))
    for name, title, first, last in re.findall(r'\{ApiKey::(k\w+), "(\w+)", (\d+), (\d+), \w+\}', table):
        yield int(keys[name]), title, int(first), int(last)


def schema_of(jar, name):
    text = jar.read(f"common/message/{name}.json").decode()
    return json.loads(re.sub(r"(^|(?<=[,\]}\[{\" ]))//[^\n]*$", "", text, flags=re.MULTILINE))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lines = []
    with zipfile.ZipFile(sys.argv[1]) as jar:
        for key, name, first, last in served():
            for side in ("request", "response"):
                schema = schema_of(jar, name + side.capitalize())
                for version in range(first, last + 1):
                    if not covers(schema["validVersions"], version):
                        continue  # served for clients that are older than these schemas
                    for manner in (FULL, BARE, BY_CHANCE):
                        chance = random.Random(f"{side} {key} {version} {manner}")
                        body = Body(schema, version, manner, chance).data
                        if body:
                            lines.append(f"{side} {key} {version} {body.hex()}\n")
    (FOLDER / "schema.frames").write_text("".join(lines))
    print(f"{len(lines)} bodies, {sum(map(len, lines))} characters")


if __name__ == "__main__":
    main()
