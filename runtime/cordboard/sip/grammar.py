"""The few grammar rules that several headers share: quoted strings, comma lists, parameters (RFC 3261 §25.1).

Splitting knows quotes and angle brackets, so that `"Bell, A" <sip:a@b;x=1,2>` stays whole. It leaves out comments in
parentheses: no header that we read carries them.
"""

import re

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
MAX_PARAMETERS = 64  # per header value or URI; the longest seen in the RFC 4475 torture messages is 3

Parameters = tuple[tuple[str, str | None], ...]


class GrammarError(ValueError):
    """A header value or URI that does not follow the grammar; the text says what is wrong."""


def is_token(text: str) -> bool:
    return TOKEN.fullmatch(text) is not None


def split_outside(value: str, separator: str) -> list[str]:
    """Split at `separator` outside quotes and angle brackets; parts are stripped. An open quote raises GrammarError."""
    if '"' not in value and "<" not in value:
        return [part.strip() for part in value.split(separator)]
    parts: list[str] = []
    start = 0
    quoted = escaped = False
    depth = 0
    for index, char in enumerate(value):
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char == "<":
            depth += 1
        elif char == ">":
            depth = max(0, depth - 1)
        elif char == separator and depth == 0:
            parts.append(value[start:index].strip())
            start = index + 1
    if quoted:
        raise GrammarError("a quoted string has no end")
    parts.append(value[start:].strip())
    return parts


def parse_parameters(text: str) -> Parameters:
    """Parse `;name=value;flag`. `text` is empty or starts with ';'. Quoted values are unquoted."""
    text = text.strip()
    if not text:
        return ()
    if not text.startswith(";"):
        raise GrammarError(f"parameters must start with ';', not {text[:20]!r}")
    parts = split_outside(text[1:], ";")
    if len(parts) > MAX_PARAMETERS:
        raise GrammarError(f"more than {MAX_PARAMETERS} parameters")
    found: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if not name:
            raise GrammarError("a parameter has no name")
        found.append((name, unquote(value.strip()) if equals else None))
    return tuple(found)


def format_parameters(parameters: Parameters) -> str:
    out: list[str] = []
    for name, value in parameters:
        if value is None:
            out.append(f";{name}")
        else:
            bare = value != "" and all(c.isalnum() or c in "-.!%*_+`'~[]:/&$@" or ord(c) > 127 for c in value)
            out.append(f";{name}={value if bare else quote(value)}")
    return "".join(out)


def parameter(parameters: Parameters, name: str) -> str | None:
    """The value of a parameter ('' for a flag), or None when it is absent. Names are case-insensitive."""
    wanted = name.lower()
    for key, value in parameters:
        if key.lower() == wanted:
            return value or ""
    return None


def quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquote(text: str) -> str:
    """Take away quotes and their escapes; text without quotes comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def check_line(name: str, value: str) -> str:
    """Refuse what would end a header line and begin another (header injection); returns the value."""
    if any(ord(char) < 32 and char != "\t" for char in value) or "\x7f" in value:
        raise ValueError(f"{name}: control characters are not allowed in a header")
    return value
