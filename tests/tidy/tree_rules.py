"""Rules about the tree: what stands at its top, that every test is built, that documents name what exists."""

import glob
import os
import re

TOP_LEVEL = {
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md",
    "broker", "protocol", "storage", "client", "tests", "bench",
}
_KNOWN_SUFFIXES = (".h", ".cc", ".md", ".sh", ".py", ".proto", ".cmake", ".txt", ".in")
_OUTSIDE = re.compile(r"^(?:[a-z]+:|#|/|~|build/|\./|headrace-data)")
_PATH = re.compile(r"^[\w.+*{},/-]+$")


def check(tree):
    yield from _top_level(tree)
    yield from _tests_are_built(tree)
    for path in tree.paths:
        if path.endswith(".md") and tree.text(path):
            yield from _named_paths_exist(tree, path)


def _top_level(tree):
    for path in tree.paths:
        name = path.split("/")[0]
        if name not in TOP_LEVEL and not name.startswith("."):
            yield path, 1, "top-level", f"{name} is not one of {', '.join(sorted(TOP_LEVEL))}, nor a dot file"


def _tests_are_built(tree):
    """A test file that no CMakeLists.txt takes does not exist: a headrace_test of its folder, or its name."""
    lists = {path: tree.text(path) or "" for path in tree.paths
             if path.startswith("tests/") and path.endswith("CMakeLists.txt")}
    folders = set()
    for path, text in lists.items():
        text = re.sub(r"#[^\n]*", "", text)
        for folder in re.findall(r"\bheadrace_test\(\s*[\w-]+\s+([\w./-]+)", text):
            folders.add(os.path.normpath(os.path.join(os.path.dirname(path), folder)))
    for path in tree.paths:
        is_test = path.startswith("tests/") and path.endswith("_test.cc")
        if not is_test or os.path.dirname(path) in folders:
            continue
        name = os.path.basename(path)
        if not any(re.search(rf"(?<![\w-]){re.escape(name)}\b", text) for text in lists.values()):
            yield path, 1, "not-built", "no headrace_test(NAME FOLDER) takes this file"


def _named_paths_exist(tree, path):
    fenced = False
    for number, line in enumerate(tree.text(path).split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced:
            continue
        names = re.findall(r"(?<!`)`([^`\s]+)`", line)
        links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", line)]
        for name in [name for name in names if _is_path(name)] + links:
            if name and not _OUTSIDE.match(name) and not _exists(tree, os.path.dirname(path), name):
                yield path, number, "path", f"{name} does not exist"


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
