"""Rules about C++: sizes and banned constructs."""

import re

import cpp

HEADER_LINES_MAX = 250
SOURCE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

def _anywhere(_path):
    return False


def _under(*prefixes):
    return lambda path: path.startswith(prefixes)


# (rule, pattern, where it is allowed, what to do instead); patterns see code without comments and strings.
_BANNED = (
    ("namespace", r"\busing\s+namespace\b", lambda path: not path.endswith(".h"),
     "using namespace in a header; write the names out"),
    ("detached", r"\bdetached\b|\.detach\(\)", _anywhere,
     "nothing runs without an owner; keep its handle and join it"),
    ("sleep", r"\b(?:sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep|sleep)\s*\(",
     _under("tests/e2e/", "client/cli/pace."),  # to keep a rate is to wait for a time
     "a sleep; wait for the condition"),
    ("cout", r"\bstd::c(?:out|err|log)\b",
     _under("client/cli/", "client/examples/", "tests/", "bench/", "broker/main"),
     "output of a library; log it, or return it"),
    ("friend", r"\bfriend\s+(?:class|struct)\s+(?:\w+::)*\w*(?:Test|Fixture)\w*", _anywhere,
     "a friend for tests; test what is public, or inject a seam"),
    ("sync", r"\b(?:fsync|fdatasync|syncfs|sync_file_range)\s*\(", _under("storage/io/", "tests/", "bench/"),
     "syncs are made in storage/io only; call File::Sync or the flusher"),
    ("memory", r"\b(?:malloc|calloc|realloc|free)\s*\(|\bnew\s*\(\s*std::nothrow\b", _under("tests/support/"),
     "memory by hand; let a container or make_unique own it"),
    ("print", r"\b(?:std::)?(?:f|v|vf)?(?:printf|puts|putchar)\s*\(",
     _under("broker/main", "protocol/core/check.cc", "tests/", "bench/"),
     "output of a library; log it, or return it"),
    ("throw", r"\bthrow\b",
     _under("client/headrace/result.h", "tests/"),  # as std::optional does, for value() without one
     "an exception of our own; return a Status or a Result"),
    ("delete", r"(?<!operator )(?<!= )\bdelete\b(?!\s*;\s*$)\s*(?:\[\s*\])?\s*[\w(*:]",
     _under("tests/support/"), "raw delete; let an owner do it"),
    ("clock", r"\b(?:system_clock|steady_clock|high_resolution_clock)::now\b|\bclock_gettime\s*\(",
     lambda path: not path.startswith(("protocol/", "storage/")) or path.startswith("storage/io/"),
     "reads a clock; take a Clock or a time as an argument"),
)
_NEW = re.compile(r"\bnew\b(?!\s*\()")
_OWNED_NEW = re.compile(r"(?:(?:unique|shared)_ptr<[^;]*>\s*\w*\s*[({]|WrapUnique\(|\.reset\()\s*new\b")


def check(_tree, path, text):
    if not path.endswith(cpp.CPP_SUFFIXES):
        return
    code = cpp.strip(text)
    yield from _sizes(path, text, code)
    for rule, pattern, allowed, message in _BANNED:
        if not allowed(path):
            for match in re.finditer(pattern, code, re.MULTILINE):
                yield cpp.line_of(code, match.start()), rule, message
    yield from _news(code)
    for line, what in cpp.offending_awaits(code):
        message = f"{what} in a statement with co_await, which GCC 12 destroys twice; name it first"
        yield line, "co_await", message
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 1, "pragma", "a header without #pragma once"
    if path.endswith(".h") and not text.startswith("//"):
        yield 1, "opening", "a header that does not open with a comment that says what it is"


def _sizes(path, text, code):
    lines, limit = text.count("\n"), HEADER_LINES_MAX if path.endswith(".h") else SOURCE_LINES_MAX
    if lines > limit:
        yield lines, "file-size", f"{lines} lines; the limit is {limit}: one file says one thing"
    for first, last in cpp.functions(code):
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, "function-size", f"{last - first + 1} lines; the limit is {FUNCTION_LINES_MAX}"


def _news(code):
    for match in _NEW.finditer(code):
        if code[: match.start()].rstrip().endswith("operator"):
            continue
        start = max(code.rfind(end, 0, match.start()) for end in ";}") + 1
        if not _OWNED_NEW.search(code[start : match.end()]):
            line = cpp.line_of(code, match.start())
            yield line, "new", "raw new; use make_unique, or give it to an owner at once"
