"""Which of a call's events its program is answering, and which answers come too late: those to what the caller cut off.

Follows reference cartesia-protocols §3.4 and §3.5 (`responding_to`, the end of a response). An SDK before 0.2.19 never
says that it is done; what is remembered is bounded.
"""

from __future__ import annotations

from typing import Final

MAX_STALE: Final = 100
"""Answered events remembered whose late messages are dropped; SDKs before 0.2.19 never say that they are done."""

PREFIX: Final = "ev_"
"""Of our event ids."""

OPENING: Final = ""
"""Stands for the events of the SDK's own, which the harness has never seen (§3.4): the opening turn."""


class Answers:
    """Of one call."""

    def __init__(self) -> None:
        self._count = 0
        self._open: set[str] = {OPENING}
        self._stale: dict[str, None] = {}

    def next_id(self) -> str:
        """The id of one more event."""
        self._count += 1
        return f"{PREFIX}{self._count}"

    def key(self, responding_to: str | None) -> str:
        """Our event that is answered; `OPENING` for any other."""
        number = (responding_to or "").removeprefix(PREFIX)
        ours = number.isascii() and number.isdigit() and len(number) < 10 and 0 < int(number) <= self._count
        return f"{PREFIX}{int(number)}" if ours else OPENING

    def expect(self, event_id: str) -> None:
        """An event is to be answered, or is being answered."""
        self._open.add(event_id)

    def cut(self) -> None:
        """The caller speaks: answers to all that was asked come too late from now on."""
        self._stale.update(dict.fromkeys(self._open))
        self._open.clear()
        while len(self._stale) > MAX_STALE:
            del self._stale[next(iter(self._stale))]

    def hear_opening(self) -> None:
        """What answers no event of ours is heard again: nothing tells an SDK's new text without ids from its old."""
        self._stale.pop(OPENING, None)

    def end(self, key: str) -> None:
        """The program is done with one."""
        self._open.discard(key)
        self._stale.pop(key, None)

    def too_late(self, key: str) -> bool:
        """The caller has spoken since it was asked."""
        return key in self._stale
