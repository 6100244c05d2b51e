#!/usr/bin/env python3
"""Makes the matrix of clients from a run's results: client, version, what was run, passed.

  matrix.py RESULTS_FILE [--matrix]    prints it; with --matrix it also replaces the marked blocks of
                                       tests/clients/README.md and, in short, of the README at the top,
                                       unless a client is missing in the results
"""

import json
import os
import sys

from clients import CHECKS, CLIENTS, HERE, ROOT

README = os.path.join(HERE, "README.md")
TOP_README = os.path.join(ROOT, "README.md")


def block(path, name):
    """What stands between the markers of that name."""
    with open(path, encoding="utf-8") as file:
        return file.read().split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]


def replace_block(path, name, text):
    """Puts text between the markers `<!-- NAME -->` and `<!-- end of NAME -->` of a document."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(begin)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + text + end + rest.split(end, 1)[1])


def rows(results):
    for client in CLIENTS:
        mine = [each for each in results if each["client"] == client.name]
        if not mine:
            continue
        passed = [each["check"] for each in mine if each["passed"]]
        failed = [each["check"] for each in mine if each["passed"] is False]
        skipped = [f"{each['check']}: {each['detail']}" for each in mine if each["passed"] is None]
        verdict = f"{len(passed)} of {len(passed) + len(failed)}" if passed or failed else "not run"
        if failed:
            verdict += f"; failed: {', '.join(failed)}"
        if skipped:
            verdict += f" (not run: {'; '.join(skipped)})"
        yield f"| {client.what} | {mine[0]['version']} | {', '.join(passed + failed)} | {verdict} |"


def table(results):
    lines = ["| client | version | what was run | passed |", "|---|---|---|---|", *rows(results)]
    return "\n".join(lines) + "\n"


def summary(results):
    lines = ["| client | version | checks passed |", "|---|---|---|"]
    for row in rows(results):
        what, version, _, verdict = row.strip("| ").split(" | ")
        lines.append(f"| {what} | {version} | {verdict} |")
    return "\n".join(lines) + "\n"


def checks():
    return "".join(f"- `{name}`: {what}\n" for name, what in CHECKS.items())


def missing(results):
    """The clients of which the results say nothing."""
    return [client.name for client in CLIENTS if client.name not in {each["client"] for each in results}]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = [json.loads(line) for line in file]
    text = table(results)
    print(text, end="")
    if "--matrix" in sys.argv[2:]:
        if lost := missing(results):
            print(f"matrix: nothing is written: no results of {', '.join(lost)}", file=sys.stderr)
            return 1
        replace_block(README, "matrix", text)
        replace_block(TOP_README, "matrix", summary(results))
        replace_block(README, "checks", checks())
    return 0


if __name__ == "__main__":
    sys.exit(main())
