"""Playouts: when what a leg hears of its agent or player has been heard out (DESIGN §1).

It is over once the queue is dry and the agent's turn is over (`turn_ended`, or 400 ms without audio), or after 15 s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cordboard.contract import link

from .board import Board

PLAYOUT_LIMIT = 15.0
"""Seconds a hang-up after playout may wait (DESIGN §1)."""

PLAYOUT_MARGIN = 0.1
"""Seconds after the last packet before a playout counts as heard: it lasts 20 ms and waits in the phone's buffer."""


@dataclass(slots=True)
class _Playout:
    leg: str
    confirm: str
    asked: float
    over_at: float | None = None


class Playouts:
    """Playouts that control waits for."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._waiting: list[_Playout] = []
        self.handlers: dict[type, Callable[[Any, float], None]] = {link.LegPlayout: self._begin}

    def check(self, now: float) -> None:
        """Confirm those that are over; asked in every tick."""
        if self._waiting:
            self._waiting = [each for each in self._waiting if not self._over(each, now)]

    def waits_for(self, leg: str) -> bool:
        """A hang-up waits until that leg has heard all."""
        return any(each.leg == leg for each in self._waiting)

    def clear(self) -> None:
        """Control is another: nobody waits."""
        self._waiting.clear()

    def _begin(self, message: link.LegPlayout, now: float) -> None:
        self._waiting.append(_Playout(message.leg, message.confirm, now))
        self.check(now)

    def _over(self, playout: _Playout, now: float) -> bool:
        leg = self._board.legs.get(playout.leg)
        if leg is None:
            self._board.done(playout.confirm)
            return True
        mouth = self._board.switch.heard_by(playout.leg)
        if mouth is not None:
            heard = mouth.over(now, max(leg.last_sent, playout.asked))
        else:
            heard = leg.source is None or leg.source.empty
        if not heard:
            playout.over_at = None
        elif playout.over_at is None:
            playout.over_at = max(now, leg.last_sent + PLAYOUT_MARGIN)
        if playout.over_at is not None and now >= playout.over_at:
            self._board.done(playout.confirm)
            return True
        if now >= playout.asked + PLAYOUT_LIMIT:
            self._board.done(playout.confirm, message=f"not heard out within {PLAYOUT_LIMIT:g} s")
            return True
        return False
