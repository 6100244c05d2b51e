#!/usr/bin/env python3
"""Holds the house as it is drawn: which folder may include which, how long files and functions may be, which
constructs are banned, and that what the documentation names exists.

  tests/tidy/tidy.py [ROOT]    prints "file:line: rule: what is wrong, and what to do"; exit 1 if anything is

Rules about the text of one file are in text_rules.py and code_rules.py, those about C++ includes in
include_rules.py, those about the tree as a whole in tree_rules.py; tidy_test.py breaks every one of them.
"""

import os
import subprocess
import sys

import code_rules
import include_rules
import text_rules
import tree_rules

SKIPPED_DIRECTORIES = {".git", "build", "headrace-data", ".cache", "__pycache__"}


class Tree:
    """The files of the repository, by path from its root, read once. Text that is not UTF-8 is no text."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(_tracked(root) or _walked(root))
        self._texts = {}

    def text(self, path):
        if path not in self._texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8", newline="") as file:
                    self._texts[path] = file.read()
            except UnicodeDecodeError:
                self._texts[path] = None
        return self._texts[path]

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))


def _tracked(root):
    """What git tracks or would add, so that ignored files of a developer are left alone; None without git."""
    if not os.path.exists(os.path.join(root, ".git")):
        return None
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        return None
    return [path for path in set(listing) if path and os.path.isfile(os.path.join(root, path))]


def _walked(root):
    paths = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_DIRECTORIES]
        paths += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return paths


def check(root):
    """All violations of the tree, as (path, line, rule, message), sorted."""
    tree = Tree(root)
    found = []
    for path in tree.paths:
        text = tree.text(path)
        if text is None:
            continue
        for rules in (text_rules, code_rules, include_rules):
            found += [(path, line, rule, message) for line, rule, message in rules.check(tree, path, text)]
    found += tree_rules.check(tree)
    return sorted(set(found))


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else default)
    found = check(root)
    for path, line, rule, message in found:
        print(f"{path}:{line}: {rule}: {message}")
    print(f"tidy: {len(found)} violations" if found else "tidy: nothing to report")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
