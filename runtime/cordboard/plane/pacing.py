"""When a leg's frames leave: a wheel of 5 ms with absolute deadlines carries 20 ms frames (DESIGN §5).

Calls are spread over four slots. A spurt's first packet leaves on arrival, and the leg moves to the slot that serves
its next frame not later than 20 ms after (performance.md §3: 0.06 ms instead of 9 ms at the median).
"""

from typing import Generic, TypeVar

TICK = 0.005
"""Seconds between two ticks (performance.md §6: four slots cost nothing measurable)."""

FRAME = 0.020
"""Seconds of a frame."""

SLOTS = 4
"""Ticks in a frame."""

MAX_CATCH_UP = 1.0
"""Seconds of missed ticks that are made up for; after a longer stop of the process the rest is skipped."""

Leg = TypeVar("Leg")


class Wheel(Generic[Leg]):
    """Which legs are served at which tick."""

    def __init__(self, now: float) -> None:
        self._start = now
        self._tick = 0
        self._slots: tuple[dict[Leg, None], ...] = tuple({} for _ in range(SLOTS))
        self._where: dict[Leg, int] = {}
        self.skipped = 0
        """Ticks never made up for."""

    @property
    def tick_at(self) -> float:
        """When the next tick is due."""
        return self._start + self._tick * TICK

    @property
    def count(self) -> int:
        """Ticks so far."""
        return self._tick

    def __contains__(self, leg: Leg) -> bool:
        return leg in self._where

    def put(self, leg: Leg, due: float) -> None:
        """Serve `leg` from the last tick not later than `due` on, every 20 ms."""
        self.remove(leg)
        slot = max(int((due - self._start) / TICK + 1e-6), self._tick) % SLOTS
        self._slots[slot][leg] = None
        self._where[leg] = slot

    def remove(self, leg: Leg) -> None:
        """Serve it no more."""
        slot = self._where.pop(leg, None)
        if slot is not None:
            del self._slots[slot][leg]

    def due(self, now: float) -> tuple[float, list[Leg]] | None:
        """(its own time, its legs) of the next tick if it is due at `now`, else None."""
        late = now - self.tick_at
        if late < -1e-6:
            return None
        if late > MAX_CATCH_UP:
            missed = int((late - MAX_CATCH_UP) / TICK) // SLOTS * SLOTS  # whole frames: slots keep their legs
            self._tick += missed
            self.skipped += missed
        moment = self.tick_at
        slot = self._slots[self._tick % SLOTS]
        self._tick += 1
        return moment, list(slot)
