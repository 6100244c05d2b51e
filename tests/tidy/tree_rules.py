"""Rules about the tree: what stands at its top, that every test is built, that documents name what exists and
show what the code says."""

import glob
import os
import re

import kafka_table

TOP_LEVEL = {
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md",
    "broker", "protocol", "storage", "client", "tests", "bench",
}
_KNOWN_SUFFIXES = (".h", ".cc", ".md", ".sh", ".py", ".proto", ".cmake", ".txt", ".in", ".js", ".java", ".go",
                   ".rs", ".json", ".yaml", ".toml", ".xml")
_OUTSIDE = re.compile(r"^(?:[a-z]+:|#|/|~|build/|\./|headrace-data)")
_PATH = re.compile(r"^[\w.+*{},/-]+$")


def check(tree):
    yield from _top_level(tree)
    yield from _tests_are_built(tree)
    yield from _table_is_of_the_code(tree)
    for path in tree.paths:
        if path.endswith(".md") and tree.text(path):
            yield from _named_paths_exist(tree, path)


def _top_level(tree):
    for path in tree.paths:
        name = path.split("/")[0]
        if name not in TOP_LEVEL and not name.startswith("."):
            yield path, 1, "top-level", f"{name} is not one of {', '.join(sorted(TOP_LEVEL))}, nor a dot file"


def _tests_are_built(tree):
    """A source of the tests that nothing builds does not exist. A *_test.cc is taken by a headrace_test of
    its folder, any other by its name: in a CMakeLists.txt, or in clients.py, which builds clients."""
    lists = {path: re.sub(r"#[^\n]*", "", tree.text(path) or "") for path in tree.paths
             if path.startswith("tests/") and os.path.basename(path) in ("CMakeLists.txt", "clients.py")}
    folders = set()
    for path, text in lists.items():
        for folder in re.findall(r"\bheadrace_test\(\s*[\w-]+\s+([\w./-]+)", text):
            folders.add(os.path.normpath(os.path.join(os.path.dirname(path), folder)))
    for path in tree.paths:
        if not path.startswith("tests/") or not path.endswith(".cc"):
            continue
        name = os.path.basename(path)
        if path.endswith("_test.cc") and os.path.dirname(path) in folders:
            continue
        if not any(re.search(rf"(?<![\w-]){re.escape(name)}\b", text) for text in lists.values()):
            yield path, 1, "not-built", "no headrace_test takes it (of *_test.cc only), and nothing names it"


def _table_is_of_the_code(tree):
    if kafka_table.API not in tree.paths:
        return
    text = tree.text(kafka_table.README) if kafka_table.README in tree.paths else ""
    if kafka_table.document(text, tree.text(kafka_table.API)) != text:
        yield (kafka_table.README, 1, "table",
               f"not the table of {kafka_table.API}; tests/tidy/kafka_table.py writes it")


def _named_paths_exist(tree, path):
    """In prose, what stands in backticks or is linked; in commands, there or in a fenced block, each word
    that begins with a folder of the top."""
    fenced = False
    for number, line in enumerate(tree.text(path).split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        spans = [line] if fenced else re.findall(r"(?<!`)`([^`]+)`", line)
        names = []
        for span in spans:
            if not fenced and _is_path(span):
                names.append(span)
            else:
                words = (word.strip(".,") for word in re.split(r"[\s\"'()=;:<>|]+", span))
                names += [word for word in words if _is_rooted(word)]
        if not fenced:
            names += [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", line)]
        for name in names:
            if name and not _OUTSIDE.match(name) and not _exists(tree, os.path.dirname(path), name):
                yield path, number, "path", f"{name} does not exist"


def _is_rooted(word):
    """Whether a word of a command is a path of the tree."""
    return "/" in word and word.split("/")[0] in TOP_LEVEL and bool(_PATH.match(word))


def _is_path(name):
    """Whether something in backticks means a file of the tree: known by its first folder or its suffix."""
    if not _PATH.match(name) or name.startswith(("*", "_test", ".")) or name.endswith(".pb.h"):
        return False
    first = name.split("/")[0]
    return ("/" in name and first in TOP_LEVEL) or (name.endswith(_KNOWN_SUFFIXES) and "*" not in first)


def _exists(tree, folder, name):
    """From the root, from the document's folder, or as a public header; `{a,b}` and `*` as in a shell."""
    return all(_one_exists(tree, folder, each) for each in _expanded(name))


def _one_exists(tree, folder, name):
    if "/" not in name and name.endswith(_KNOWN_SUFFIXES) and any(
            path.endswith("/" + name) for path in tree.paths if path.startswith(folder)):
        return True
    bases = (tree.root, os.path.join(tree.root, folder), os.path.join(tree.root, "client"))
    return any(glob.glob(os.path.join(glob.escape(base), name), recursive=True) for base in bases)


def _expanded(name):
    match = re.search(r"\{([^{}]*)\}", name)
    if not match:
        return [name]
    return [each for part in match[1].split(",")
            for each in _expanded(name[: match.start()] + part + name[match.end() :])]
