#!/usr/bin/env python3
"""Makes a client ready to be run, and tells what this machine lacks from what is wrong.

  prepare.py CLIENT    exit 0: ready; 3: it cannot be had here, for the reason printed; 1: something is wrong
"""

import os
import re
import shutil
import subprocess
import sys

from clients import CLIENTS, HERE, TOOLCHAINS, WORK

SECONDS_MAX = 600

# What package tools say when no connection to their registry comes about.
_NO_CONNECTION = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH"
    r"|no such host|could not resolve (?:host|proxy)|unknown host|name or service not known"
    r"|temporary failure in name resolution|connection (?:refused|reset|timed out)|couldn't connect to server"
    r"|network is unreachable|no route to host|i/o timeout|handshake timeout|timeout was reached",
    re.IGNORECASE)
# What they say when there was one, and what is asked for is not there.
_NOT_THERE = re.compile(
    r"could not find artifact|was not found in|E404|404 not found|status code: 404|ETARGET|unknown revision"
    r"|no matching version|failed to select a version|no matching package",
    re.IGNORECASE)


class NotHere(Exception):
    """This machine lacks what the client needs: a program, a newer one, or the way to a registry."""


def is_out_of_reach(text):
    """Whether a package tool failed for want of a connection, by what it printed."""
    return bool(_NO_CONNECTION.search(text)) and not _NOT_THERE.search(text)


def version_in(text):
    """The first version in a text, as numbers."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(each) for each in found[0].split(".")) if found else ()


def require(program):
    if shutil.which(program) is None:
        raise NotHere(f"no {program} on this machine")
    if program not in TOOLCHAINS:
        return
    least, command = TOOLCHAINS[program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = version_in(done.stdout + done.stderr)
    if found < version_in(least):
        raise NotHere(f"{program} {'.'.join(str(each) for each in found)} is older than {least}")


def prepare(client):
    """Raises NotHere, or what is a failure rather than something that this machine lacks."""
    for program in client.toolchain:
        require(program)
    if client.folder.startswith(WORK):
        source = os.path.join(HERE, os.path.basename(client.folder))
        shutil.copytree(source, client.folder, dirs_exist_ok=True)
    for command in client.prepare:
        done = subprocess.run(command, cwd=client.folder, capture_output=True, text=True, timeout=SECONDS_MAX,
                              check=False)
        if done.returncode == 0:
            continue
        text = " ".join((done.stderr + done.stdout).split())
        if client.registry and is_out_of_reach(text):
            raise NotHere(f"its registry cannot be reached: {text[:200]}")
        raise RuntimeError(f"{' '.join(command)}: {text[-300:]}")


def main():
    client, = (each for each in CLIENTS if each.name == sys.argv[1])
    os.makedirs(WORK, exist_ok=True)
    try:
        prepare(client)
    except NotHere as reason:
        print(reason)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
