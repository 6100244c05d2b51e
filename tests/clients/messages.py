"""Kafka's own descriptions of its messages, which lie in its client's jar: with them any API can be asked in
any version, and every field of what comes back be compared."""

import functools
import glob
import json
import os
import re
import zipfile

from clients import WORK
from wire import Reader, Writer

_INTS = {"int8": "b", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "float64": "d"}


def _within(versions, version):
    """Whether "3", "1-4", "2+" or "none" holds a version."""
    if versions in (None, "none"):
        return False
    low, _, high = versions.rstrip("+").partition("-")
    return int(low) <= version <= int(high or (1 << 15 if versions.endswith("+") else low))


@functools.cache
def _descriptions():
    """{message name: description}"""
    path = glob.glob(os.path.join(WORK, "java", "kafka-clients-*.jar"))[0]
    found = {}
    with zipfile.ZipFile(path) as jar:
        for name in jar.namelist():
            if name.startswith("common/message/") and name.endswith(".json"):
                text = re.sub(r"^\s*//.*$", "", jar.read(name).decode(), flags=re.MULTILINE)
                one = json.loads(re.sub(r"(?<=[,\]}\"])\s*//[^\"\n]*$", "", text, flags=re.MULTILINE))
                found[one["name"]] = one
    return found


def api_names():
    """{key: name} of all that Apache Kafka knows."""
    return {one["apiKey"]: name.removesuffix("Request") for name, one in _descriptions().items()
            if one["type"] == "request"}


def api_key(name):
    return _descriptions()[f"{name}Request"]["apiKey"]


def versions(name):
    """All that Apache Kafka understands of an API and calls stable, ascending."""
    one = _descriptions()[f"{name}Request"]
    low, _, high = one["validVersions"].partition("-")
    stable = [each for each in range(int(low), int(high or low) + 1)]
    return [each for each in stable if not one.get("latestVersionUnstable") or each < stable[-1]]


class _Message:
    """One message in one version, in either direction."""

    def __init__(self, name, version):
        self.description, self.version = _descriptions()[name], version
        self.flexible = _within(self.description["flexibleVersions"], version)
        self.structs = {one["name"]: one["fields"] for one in self.description.get("commonStructs", ())}

    def _fields(self, fields):
        """Those of this version, as (field, its tag or None)."""
        for field in fields:
            if _within(field["versions"], self.version):
                yield field, field["tag"] if _within(field.get("taggedVersions"), self.version) else None

    def _of(self, field, kind):
        return field.get("fields") or self.structs[kind]

    def _may_be_null(self, field):
        """Whether a byte before this struct says that it is there; those in an array always are."""
        return _within(field.get("nullableVersions"), self.version) and not field["type"].startswith("[]")

    def write(self, body, fields, values):
        """What values (by name) leave out has its default."""
        unknown = set(values) - {field["name"] for field in fields}
        assert not unknown, f"no {unknown} in {self.description['name']}"
        for field, tag in self._fields(fields):
            if tag is None:
                value = values[field["name"]] if field["name"] in values else _default(field)
                self._write_one(body, field, field["type"], value)
        body.tags()

    def _write_one(self, body, field, kind, value):
        if kind.startswith("[]"):
            body.array(value, lambda each: self._write_one(body, field, kind[2:], each))
        elif kind in _INTS:
            body.int(_INTS[kind], value)
        elif kind == "bool":
            body.int("b", value)
        elif kind == "uuid":
            body.raw(value)
        elif kind == "string":
            body.string(value)
        elif kind in ("bytes", "records"):
            body.bytes(value)
        else:
            if self._may_be_null(field):
                body.int("b", -1 if value is None else 1)
            if value is not None:
                self.write(body, self._of(field, kind), value)

    def read(self, answer, fields):
        """{name: value}"""
        found = {field["name"]: self._read_one(answer, field, field["type"])
                 for field, tag in self._fields(fields) if tag is None}
        tagged = {tag: field for field, tag in self._fields(fields) if tag is not None}
        for tag, data in answer.tags().items():
            field = tagged[tag]
            found[field["name"]] = self._read_one(Reader(data, True), field, field["type"])
        return found

    def _read_one(self, answer, field, kind):
        if kind.startswith("[]"):
            return answer.array(lambda: self._read_one(answer, field, kind[2:]))
        if kind in _INTS:
            return answer.int(_INTS[kind])
        if kind == "bool":
            return answer.int("b") != 0
        if kind == "uuid":
            return answer.raw(16)
        if kind == "string":
            return answer.string()
        if kind in ("bytes", "records"):
            return answer.bytes()
        if self._may_be_null(field) and answer.int("b") < 0:
            return None
        return self.read(answer, self._of(field, kind))


def _default(field):
    kind, default = field["type"], field.get("default")
    if default == "null":
        return None
    if kind.startswith("[]"):
        return []
    if kind == "string":
        return default or ""
    if kind == "bool":
        return default in (True, "true")
    if kind == "uuid":
        return bytes(16)
    if kind in _INTS:
        return int(default or 0, 0) if isinstance(default, str) else default or 0
    return b"" if kind in ("bytes", "records") else {}


def request(name, version, values):
    """The body of a request."""
    message = _Message(f"{name}Request", version)
    body = Writer(message.flexible)
    message.write(body, message.description["fields"], values)
    return bytes(body.data)


def response(name, version, answer):
    """What a response says, by the names of its fields; nothing of it may be left over."""
    message = _Message(f"{name}Response", version)
    answer.flexible = message.flexible
    found = message.read(answer, message.description["fields"])
    if answer.at != len(answer.data):
        raise AssertionError(f"{len(answer.data) - answer.at} bytes behind the end of {name}'s answer")
    return found
