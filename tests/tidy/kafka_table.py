#!/usr/bin/env python3
"""The table of Kafka APIs in protocol/kafka/README.md, made from the one that the broker serves by.

  tests/tidy/kafka_table.py    writes it; tidy holds that it is the one of api.h
"""

import os
import re

API = "protocol/kafka/api.h"
README = "protocol/kafka/README.md"
_BEGIN, _END = "<!-- apis -->\n", "<!-- end of apis -->"


def rows(api_text):
    """(key, name, versions, first flexible version) of each API."""
    keys = dict(re.findall(r"\bk(\w+) = (\d+),", api_text))
    for name, low, high, flexible in re.findall(r'\{ApiKey::k\w+, "(\w+)", (\d+), (\d+), (\w+)\}', api_text):
        yield int(keys[name]), name, f"{low}-{high}", flexible if flexible.isdigit() else "none"


def table(api_text):
    lines = ["| key | API | versions served | flexible from |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows(api_text)]) + "\n"


def document(text, api_text):
    """The document with the table put in its place; None where it has no place for one."""
    if _BEGIN not in text or _END not in text:
        return None
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + table(api_text) + _END + rest.split(_END, 1)[1]


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(root, API), encoding="utf-8") as file:
        api_text = file.read()
    with open(os.path.join(root, README), encoding="utf-8") as file:
        text = document(file.read(), api_text)
    with open(os.path.join(root, README), "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
