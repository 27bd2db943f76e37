"""On which line a key stands. tomllib does not say, so this is a best effort over the text, for messages only.

Leaves out keys inside inline tables (their table's line is given) and lines inside multi-line strings.
"""

import re
from collections.abc import Mapping
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]")
_ENTRY: Final = re.compile(r"\s*([A-Za-z0-9_.\-\"']+)\s*=")
_LAST: Final = re.compile(r"(\.?[^.\[\]]+|\[[0-9]+\])$")
_QUOTES: Final = str.maketrans("", "", "\"' ")


def index_lines(source: str) -> dict[str, int]:
    """The line, from 1, of every table and key: `sip`, `sip.udp`, `routes[1]`, `routes[1].to`."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(source.splitlines(), 1):
        if header := _HEADER.match(line):
            table = header[2].translate(_QUOTES)
            if header[1] == "[[":
                lines.setdefault(table, number)
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            lines.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            key = entry[1].translate(_QUOTES)
            lines.setdefault(f"{table}.{key}" if table else key, number)
    return lines


def find_line(lines: Mapping[str, int], key: str) -> int | None:
    """The line of the key, else of the nearest table around it."""
    while key:
        if key in lines:
            return lines[key]
        key = _LAST.sub("", key)
    return None
