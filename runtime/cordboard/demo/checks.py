"""Assertions of the demo, counted and shown as they are made."""

import sys
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Checks:
    """Every check of a run."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def that(self, what: str, good: bool, found: object = "") -> bool:
        """One check; `found` says what was seen."""
        mark = self._paint("ok  ", 32) if good else self._paint("FAIL", 31)
        detail = f"  ({found})" if found != "" else ""
        self.stream.write(f"  {mark} {what}{detail}\n")
        self.stream.flush()
        if good:
            self.passed += 1
        else:
            self.failed.append(what)
        return good

    def missed(self, what: str, error: Exception) -> None:
        """Something that a check waited for did not happen."""
        self.that(what, False, error)

    def _paint(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.stream.isatty() else text
