"""Which folder may include which. Before a line is added to the table: is there a way to turn the dependency
round, or to put what both need below both?"""

import os
import re

import cpp

_CORE = {"protocol/core"}
_STORAGE = _CORE | {"storage/io"}
_PROTOCOL = _CORE | {"protocol/native"}
_CLIENT = _PROTOCOL | {"client/headrace"}
_DOMAIN = _STORAGE | {"storage", "broker/topic", "broker/group"}

# A folder (or one file), and what it may include besides itself. Every folder with code has a line of its
# own, but for those of the tests.
ALLOWED = {
    "protocol/core": set(),
    "protocol/native": _CORE,
    "protocol/kafka": _CORE,
    "protocol/kafka/messages": _CORE | {"protocol/kafka"},
    "storage/io": _CORE,
    "storage": _STORAGE,
    "broker/net": _STORAGE,
    "broker/topic": _STORAGE | {"storage"},
    "broker/group": _DOMAIN,
    "broker/native": _DOMAIN | {"broker/net", "protocol/native"},
    "broker/kafka": _DOMAIN | {"broker/net", "protocol/kafka", "protocol/kafka/messages"},
    "broker": None,  # the composition root: joins the whole broker, and no client
    "client/headrace": set(),
    "client/examples": {"client/headrace"},
    "client/cli/offline": _CLIENT | {"client", "client/cli", "storage", "storage/io", "broker/net"},
    "client/cli/main.cc": _CLIENT | {"client", "client/cli", "client/cli/offline"},
    "client/cli": _CLIENT | {"client"},
    "client": _CLIENT,
    "tests": None,
    "bench": None,
}

# A library's headers, and the folders or files whose own code may include them; "": all others may not.
_LIBRARIES = (
    (r"boost/(?:asio|beast)", ("broker/net/", "client/connection", "tests/", "bench/")),
    (r"(?:spdlog|fmt)/", ("broker/", "tests/", "bench/")),
    (r"google/protobuf/|headrace\.pb\.h$",
     ("protocol/native/", "broker/native/", "client/", "tests/", "bench/")),
    (r"toml\+\+/", ("broker/", "tests/")),
    (r"CLI/", ("broker/main", "broker/command_line", "client/cli/", "tests/", "bench/")),
    (r"re2/", ("broker/group/", "tests/")),
    (r"catch2/", ("tests/",)),
    (r"benchmark/", ("bench/",)),
)
_SOCKETS = re.compile(r"^(?:sys/socket|sys/epoll|netinet/.*|arpa/.*|netdb|sys/un)\.?h?(?:\.h)?$")
_FILES = re.compile(r"^(?:fstream|filesystem|fcntl\.h|unistd\.h|sys/(?:stat|mman|uio|file|sendfile)\.h)$")
_OTHER_SUFFIXES = (".c", ".cpp", ".cxx", ".C", ".hh", ".hpp", ".hxx", ".ipp", ".inc")
_OWN_ROOTS = {"protocol", "storage", "broker", "client", "tests", "bench", "headrace"}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def folder_of(path):
    """The longest prefix of the path in the table; None outside it."""
    folder = path
    while folder and folder not in ALLOWED:
        folder = os.path.dirname(folder)
    return folder or None


def check(tree, path, text):
    folder = folder_of(path)
    if path.endswith(_OTHER_SUFFIXES):
        yield 1, "suffix", f"C++ is in {' and '.join(cpp.CPP_SUFFIXES)} files, which all rules see"
    if not path.endswith(cpp.CPP_SUFFIXES):
        return
    if folder != "tests" and os.path.dirname(path) not in ALLOWED:
        yield 1, "folder", f"{os.path.dirname(path)} has no line in ALLOWED of tests/tidy/include_rules.py"
    if folder is None:
        return
    for match in _INCLUDE.finditer(cpp.strip_comments(text)):
        line = cpp.line_of(text, match.start())
        name = match[1] or match[2]
        if match[2] and name.split("/")[0] in _OWN_ROOTS and not path.startswith("tests/package/"):
            yield line, "include", f'<{name}> is of this tree: "{name}"'
        if match[1] or name.split("/")[0] in _OWN_ROOTS:
            yield from ((line, "include", message) for message in _own(tree, path, folder, name))
        yield from ((line, "include", message) for message in _library(path, folder, name))


def _own(tree, path, folder, name):
    if name.endswith(".pb.h"):
        return
    target = "client/" + name if name.startswith("headrace/") else name
    if not tree.exists(target) and not tree.exists(target + ".in"):
        if not re.match(r"(?:absl|boost|spdlog|fmt|google|nlohmann|catch2|benchmark|CLI|toml\+\+)/", name):
            yield f'"{name}" does not exist from the root; includes are written from the root of the tree'
        return
    target_folder = folder_of(target)
    if target_folder == folder or target_folder is None or folder in ("tests", "bench"):
        return
    allowed = ALLOWED[folder]
    if allowed is None:
        if target_folder.startswith(("client", "tests", "bench")):
            yield f"{folder} may not include {target_folder} ({name})"
    elif target_folder not in allowed:
        yield f"{folder} may not include {target_folder} ({name}); see ALLOWED in tests/tidy/include_rules.py"


def _library(path, folder, name):
    for pattern, allowed in _LIBRARIES:
        if re.match(pattern, name) and not path.startswith(allowed):
            yield f"<{name}> is for {', '.join(allowed)} only"
    if folder == "client/headrace" and not name.startswith("headrace/") and not re.match(r"^[a-z_]+$", name):
        yield f"<{name}> in a public header; these include the standard library and each other only"
    if folder == "client/headrace" and name.endswith(".pb.h"):
        yield f'"{name}" in a public header; these include the standard library and each other only'
    if folder.startswith(("protocol", "storage")) and _SOCKETS.match(name):
        yield f"<{name}>: {folder} knows no socket"
    if folder.startswith("protocol") and _FILES.match(name):
        yield f"<{name}>: protocol knows no file"
