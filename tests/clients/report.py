"""How the checks written in Python report: one line per check, `ok|failed|skipped NAME DETAIL`, as programs
in other languages do; tests/clients/run_clients.py makes results of these lines."""

import functools
import sys
import time
import traceback


class Skipped(Exception):
    """This client or this broker cannot do this, for the reason given."""


def line(outcome, name, detail=""):
    print(outcome, name, " ".join(str(detail).split())[:300], flush=True)


def run(checks):
    """Calls every (name, function); what a function returns is its detail. Returns the exit code."""
    failures = 0
    for name, function in checks:
        try:
            line("ok", name, function() or "")
        except Skipped as reason:
            line("skipped", name, reason)
        except Exception as error:  # a client may raise anything; the next check still runs
            failures += 1
            traceback.print_exc()
            line("failed", name, f"{type(error).__name__}: {error}")
    return 1 if failures else 0


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: got {_short(got)}, expected {_short(wanted)}")


def _short(value):
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "..."


def until(what, condition, seconds=20):
    """Waits until condition() is true, at most so long; returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return result


def main(all_checks):
    """A client's script, called with BROKER RECORDS_FILE PREFIX; all_checks of these lists its checks."""
    sys.exit(run(all_checks(*sys.argv[1:4])))


bind = functools.partial
