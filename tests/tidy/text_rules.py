"""Rules about the text of any file, whatever its language."""

import re

WIDTH_MAX = 110
_WIDTH_HELD = (".cc", ".h", ".proto", ".py", ".sh", ".cmake", "CMakeLists.txt")
_ANY_SPACE = (".patch", ".bin", ".golden")
# Written so that this file does not contain what it forbids.
_MARKS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
_PLACES = re.compile(
    r"(?<![\w.$}~*-])/(?:work|root|home)/\w"
    r"|\b(?:deb\.debian|snapshot\.debian|pypi|files\.pythonhosted)\.org\b"
    r"|\b(?:crates\.io|npmjs\.(?:com|org)|registry\.yarnpkg\.com|(?:proxy|sum|index)\.golang\.org)\b"
    r"|\brepo1?\.maven(?:\.apache)?\.org\b|\b(?:gcr|ghcr|docker|quay)\.io\b"
)


def check(_tree, path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip() and not path.endswith(_ANY_SPACE):
            yield number, "space", "white space ends the line"
        if "\t" in line and path.endswith((".cc", ".h", ".py", ".proto", ".cmake", ".md")):
            yield number, "space", "a tab; indent with spaces"
        if len(line) > WIDTH_MAX and path.endswith(_WIDTH_HELD):
            yield number, "width", f"{len(line)} columns; the limit is {WIDTH_MAX}"
        if (mark := _MARKS.search(line)):
            yield number, "mark", f"{mark[0]}: finish it, or say in a sentence what is left out and why"
        if (place := _PLACES.search(line)):
            yield number, "place", f"{place[0]}: a machine or a package host; the project speaks of itself"
    if text and not text.endswith("\n") and path != ".gitignore":
        yield text.count("\n") + 1, "space", "the file does not end with a newline"
