"""Reading JSON of strangers into values that everything behind can write again: a database, an API, a webhook, a wire.

Python reads more than JSON has (RFC 8259 §6, §8.2): NaN, Infinity, numbers too large to be finite, half a surrogate
pair. Written again they are no JSON, or no UTF-8. A number of that kind becomes null, as JavaScript writes it, and half
a character `?`; `complain` hears of it. What is nested too deeply is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Lists and objects inside each other: readers of JSON stop at a few hundred, and nothing that is meant has ten."""

MAX_PATH: Final = 80
"""Characters of a value's name in a complaint."""


def read(data: str | bytes, complain: Callable[[str], None]) -> Any:
    """The value of a JSON text; `complain` is told once, by name, of what had to be replaced.

    Raises ValueError for what is not JSON, or is nested too deeply.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    reader = _Reader()
    plain = reader.plain(value, "", 0)
    if reader.flaws:
        more = f" (and {reader.flaws - 1} more)" if reader.flaws > 1 else ""
        complain(reader.first + more)
    return plain


class _Reader:
    def __init__(self) -> None:
        self.first = ""
        self.flaws = 0

    def plain(self, value: Any, path: str, depth: int) -> Any:
        match value:
            case float() if not math.isfinite(value):
                self._note(path, "is no finite number, null stands in its place")
                return None
            case str():
                return self._text(value, path)
            case dict() | list() if depth == MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
            case dict():
                found = {}
                for key, item in value.items():
                    name = self._text(key, f"{path}.{key}" if path else key)
                    found[name] = self.plain(item, f"{path}.{name}" if path else name, depth + 1)
                return found
            case list():
                return [self.plain(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value)]
        return value

    def _text(self, text: str, path: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            plain = text.encode("utf-8", "replace").decode()
            self._note(path, "holds half a character, ? stands in its place")
            return plain
        return text

    def _note(self, path: str, what: str) -> None:
        self.flaws += 1
        if not self.first:
            name = "".join(char if char.isprintable() else "?" for char in path[:MAX_PATH]) or "the value"
            self.first = f"{name} {what}"
