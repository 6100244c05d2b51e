"""Reads C++ as far as the rules need it: without comments and strings, as statements and as functions."""

import re

CPP_SUFFIXES = (".h", ".cc")

_TOKEN = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*          # a comment to the end of the line
      | /\*.*?\*/                        # a comment
      | (?:u8|u|U|L)?R"([^()\\\s]*)\(.*?\)\1"   # a raw string
      | "(?:\\.|[^"\\\n])*"              # a string
      | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'    # a character, not the ' between digits
    """,
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def strip_comments(text):
    """The same text with comments blank; lines and columns stay where they are."""
    return _TOKEN.sub(lambda match: _blank(match[0]) if match[0].startswith("/") else match[0], text)


def strip(text):
    """Blank besides code: no comments, no insides of strings, no preprocessor lines."""

    def replace(match):
        token = match[0]
        return _blank(token) if token.startswith("/") else '"' + _blank(token[1:-1]) + '"'

    return _DIRECTIVE.sub(lambda match: _blank(match[0]), _TOKEN.sub(replace, text))


def line_of(text, position):
    return text.count("\n", 0, position) + 1


_CONTAINER = re.compile(r"^(?:typedef |inline |export )*(?:namespace|class|struct|union|enum|extern)\b")
_ACCESS = re.compile(r"\b(?:public|private|protected)$")
_TEMPLATE = re.compile(r"^(?:template\s*<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>\s*|requires\s+[\w:<>, ]+\s+)")
_AFTER_PARAMETERS = re.compile(
    r"^(?:\s|const\b|noexcept\b(?:\([^()]*\))?|override\b|final\b|mutable\b|&&?|try\b"
    r"|->[\w\s:<>,*&\[\]()]*"
    r"|[A-Z][A-Z_]+\([^()]*\)"  # an attribute macro, such as of a lock
    r")*$"
)


def _kind(head, in_function):
    """What a `{` opens, told by the text since the last statement: container, function, block or value."""
    previous = ""
    head = re.sub(r"\[\[.*?\]\]", " ", head).strip()
    while head != previous:
        previous, head = head, _TEMPLATE.sub("", head)
    if not head:
        return "block"
    if _CONTAINER.match(head) and not re.search(r"\)\s*(?:const|noexcept|override)?$", head):
        return "container"
    if in_function and re.search(r"\b(?:else|do|try)$", head):
        return "block"
    # A constructor: up to the colon, then initializers that are complete.
    constructor = re.match(r"^(.*?\))\s*(?:noexcept\s*)?:(?!:)(.*)$", head, re.DOTALL)
    if constructor and not in_function:
        return "function" if re.search(r"[)}]\s*$", constructor[2]) else "value"
    close = _last_parameters(head)
    if close >= 0 and _AFTER_PARAMETERS.match(head[close + 1 :]):
        return "block" if in_function else "function"
    return "value"


def _last_parameters(head):
    """Where the parameter list ends: the first `)` that only qualifiers, a return type or macros follow."""
    for match in re.finditer(r"\)", head):
        if _AFTER_PARAMETERS.match(head[match.start() + 1 :]):
            return match.start()
    return -1


def functions(code):
    """(first line, last line) of every function with a body, lambdas within theirs; `code` is stripped."""
    found = []
    stack = []  # (kind, where its head starts)
    head_start = 0
    for position, char in enumerate(code):
        if char == ";":
            if not stack or stack[-1][0] != "value":
                head_start = position + 1
        elif char == ":" and _ACCESS.search(code, max(0, position - 10), position):
            head_start = position + 1
        elif char == "{":
            in_function = any(kind == "function" for kind, _ in stack)
            kind = _kind(code[head_start:position], in_function)
            stack.append((kind, head_start))
            if kind != "value":
                head_start = position + 1
        elif char == "}" and stack:
            kind, start = stack.pop()
            if kind == "value":
                continue
            if kind == "function":
                head = code[start:position]
                first = start + len(head) - len(head.lstrip())
                found.append((line_of(code, first), line_of(code, position)))
            head_start = position + 1
    return found


class _Statement:
    def __init__(self):
        self.text = ""
        self.depth = 0
        self.awaits = -1
        self.offence = ""


_LAMBDA_BODY = re.compile(
    r"\]\s*(?:<[^<>]*>\s*)?(?:\([^{}]*\))?\s*(?:mutable|noexcept|constexpr|\s)*(?:->[^{};]*)?$"
)
_BLOCK_HEAD = re.compile(
    r"(?:^|[);]|\b(?:else|do|try|const|noexcept|override|final))\s*$|\)[^;=]*->[^;=()]*$"
)
_INTRODUCER = re.compile(r"(?:^|[(,={;!?:&|+<>-]|\b(?:return|co_await|co_return|co_yield))\s*$")


def offending_awaits(code):
    """(line, what) of every statement that awaits and has a brace or a capture; `code` is stripped."""
    found = []
    stack = [_Statement()]
    braces = []  # of each open brace: "lambda" or "block" (statements within), "value" (part of one)

    def finish():
        statement = stack[-1]
        if statement.awaits >= 0 and statement.offence:
            found.append((line_of(code, statement.awaits), statement.offence))
        stack[-1] = _Statement()

    position = 0
    while position < len(code):
        char = code[position]
        now = stack[-1]
        if code.startswith("co_await", position):
            if now.awaits < 0:
                now.awaits = position
            now.text += "co_await"
            position += len("co_await")
            continue
        if char in "([":
            if char == "[" and _is_capture(code, position, now.text):
                now.offence = now.offence or "a lambda capture"
            now.depth += 1
        elif char in ")]":
            now.depth -= 1
        elif char == "{":
            _open_brace(now, stack, braces, finish)
            position += 1
            continue
        elif char == "}" and braces:
            _close_brace(stack, braces, finish)
            position += 1
            continue
        elif char == ";" and now.depth <= 0:
            finish()
            position += 1
            continue
        stack[-1].text += char
        position += 1
    return found


def _is_capture(code, position, before):
    if code[position + 1 : position + 2] in ("[", "]") or code[position - 1 : position] == "[":
        return False  # an attribute, or no capture
    if re.search(r"\bauto\s*(?:const\s*)?&{0,2}\s*$", before):
        return False  # a structured binding
    return bool(_INTRODUCER.search(before))


def _open_brace(now, stack, braces, finish):
    if _LAMBDA_BODY.search(now.text) and "[" in now.text:
        now.offence = now.offence or "a lambda"
        braces.append("lambda")
        stack.append(_Statement())
    elif now.depth <= 0 and _opens_block(now.text):
        finish()
        braces.append("block")
        stack.append(_Statement())
    else:
        now.offence = now.offence or "a brace"
        now.text += "{"
        now.depth += 1
        braces.append("value")


def _opens_block(text):
    return bool(_BLOCK_HEAD.search(text) or _CONTAINER.match(_TEMPLATE.sub("", text.strip())))


def _close_brace(stack, braces, finish):
    kind = braces.pop()
    if kind == "value":
        stack[-1].text += "}"
        stack[-1].depth -= 1
        return
    finish()
    stack.pop()
    if kind == "lambda":
        stack[-1].text += " "
