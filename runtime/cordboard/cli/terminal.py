"""What verbs print: results on stdout, everything else on stderr, colours on a terminal alone (no-color.org)."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in a colour, where the stream shows colours and NO_COLOR is not set."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Text from outside without control characters: a caller's name must not steer the terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)


def out(text: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line beside the result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def out_json(value: object) -> None:
    """One JSON object on a line."""
    out(json.dumps(value, ensure_ascii=False, default=str))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns, each as wide as its widest cell."""
    lines = [tuple(header), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        out(coloured(text, "bold") if number == 0 else text)
