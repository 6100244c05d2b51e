#!/usr/bin/env python3
"""The shell sessions of the README at the top, line by line as they stand, against a broker of their own.

  readme_sessions.py BIN_DIRECTORY

What sets up (broker/..., tests/...) is left out, the broker's usual port is replaced by the one it has here,
and a line that says "Ctrl-C ends it" is ended so, once it has printed what it should. Exit 1 if a line fails,
does not end, or does not print what it is expected to.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")
USUAL_ADDRESS = "127.0.0.1:9092"
SECONDS_MAX = 60  # of one line

# What lines that begin so have to print: every one of these.
EXPECTED = {
    "headrace consume hello --format": ["k1 one", "k2 two"],
    "headrace consume hello --follow": ["one", "two"],
    "headrace consume hello": ["one", "two"],
    "headrace offsets hello": ["RECORDS"],
    "headrace stats": ["sendfile"],
    "headrace bench transfer": ["sendfile"],
    "kcat -b 127.0.0.1:9092 -G": ["one", "two"],
    "headrace group describe": ["readers", "hello", "COMMITTED"],
    "headrace group seek": ["hello", "FROM"],
}


def lines_of(document):
    """The commands of its fenced shell blocks."""
    with open(document, encoding="utf-8") as file:
        blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(("broker/", "tests/", "PATH="))]


def read_until(process, wanted):
    """Reads until all that is wanted is there, its end, or for too long."""
    text, deadline = "", time.monotonic() + SECONDS_MAX
    while not all(each in text for each in wanted):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            break
        if not (part := os.read(process.stdout.fileno(), 1 << 16)):
            break
        text += part.decode()
    return text


def run(line, address):
    """What is wrong with a line; None if nothing is."""
    wanted = next((texts for start, texts in EXPECTED.items() if line.startswith(start)), [])
    command = ["bash", "-o", "pipefail", "-c", line.replace(USUAL_ADDRESS, address)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            if "Ctrl-C ends it" in line:
                text = read_until(process, wanted)
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            else:
                text = process.communicate(timeout=SECONDS_MAX)[0].decode()
            code = process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"does not end within {SECONDS_MAX} s"
    missing = [each for each in wanted if each not in text]
    if missing:
        return f"does not print {missing}, but: {text[-500:]}"
    return f"exit {code}: {text[-500:]}" if code not in (0, 130, -signal.SIGINT) else None


def main():
    programs = os.path.abspath(sys.argv[1])
    broker = subprocess.Popen([os.path.join(programs, "headrace-broker"), "--ephemeral"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    failures = 0
    try:
        address = f"127.0.0.1:{json.loads(broker.stdout.readline())['port']}"
        os.environ["PATH"] = programs + os.pathsep + os.environ["PATH"]
        os.environ["HEADRACE_BROKER"] = address
        lines = lines_of(README)
        unused = [start for start in EXPECTED if not any(line.startswith(start) for line in lines)]
        for line in lines:
            wrong = run(line, address)
            failures += wrong is not None
            print(f"{'failed' if wrong else 'ok'}: {line}" + (f"\n  {wrong}" if wrong else ""), flush=True)
        if unused:
            failures += 1
            print(f"failed: no line of {os.path.normpath(README)} begins with {unused}")
    finally:
        broker.terminate()
        broker.wait(SECONDS_MAX)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
