"""How many messages a call's program may send: a rate with a burst, so that no program starves the other calls' audio.

Every message costs one, a long one as many as it has KiB: what has to be read, kept and passed on grows with both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PER_SECOND: Final = 200
"""Messages a second: a model that streams 200 pieces a second is far ahead of speech, which takes four."""

AT_ONCE: Final = 2000
"""Messages beyond that at once: the pieces of ten minutes of speech, from a model that is faster still."""

MESSAGE: Final = 1024
"""Bytes that count as one message; the SDK cuts a tool's result at 30,000 characters."""


class Allowance:
    """Of one call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._left = float(AT_ONCE)
        self._at = clock()

    def take(self, size: int) -> bool:
        """A message of so many bytes came; whether it was allowed."""
        now = self._clock()
        self._left = min(float(AT_ONCE), self._left + (now - self._at) * PER_SECOND)
        self._at = now
        self._left -= 1 + size // MESSAGE
        return self._left >= 0
