"""How long a program may say nothing to its caller before the call's record tells of it.

A program need not answer a turn, and one whose run filter leaves turns out never does: so nothing is ended here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 10.0
"""Seconds after the caller's turn; most callers ask whether anybody is there after five."""


class Patience:
    """Of one call, inside its loop."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._timer: asyncio.TimerHandle | None = None

    def asked(self) -> None:
        """The caller's turn is over."""
        self.stop()
        told = f"agent: nothing came for {PATIENCE:g} s after the caller's turn"
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._complain, told)

    def stop(self) -> None:
        """The program sent something, the caller speaks again, or the call is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
