"""The simulated world's time: one heap of (moment, order, act), and chance that a seed fixes.

Nothing here waits: time jumps from one thing that is due to the next. Acts *in transit* are messages on their way
(SIP, link, TCP, an invocation); timers and sound are not, so that `settle` can tell when nothing is left to do now.
"""

import hashlib
import heapq
import random
from collections.abc import Callable

SETTLE_LIMIT = 5.0
"""Virtual seconds that `settle` goes on at most: a chain of messages takes some tenths, a loop of them for ever."""


class NeverSettles(RuntimeError):
    """Messages kept going round for SETTLE_LIMIT virtual seconds."""


class World:
    """Time and chance."""

    def __init__(self, seed: int = 0, *, start: float = 1000.0, record: bool = False) -> None:
        """`record`: keep a digest of everything that travels, for `digest`."""
        self.seed = seed
        self.start = start
        self.now = start
        """Monotonic seconds."""
        self._heap: list[tuple[float, int, Callable[[], None], bool]] = []
        self._order = 0
        self._transit = 0
        self._hash = hashlib.sha256() if record else None

    def rng(self, name: str) -> random.Random:
        """Chance of its own for each part, so that one part's draws do not move another's."""
        return random.Random(f"{self.seed}:{name}")

    def wall(self, moment: float) -> float:
        """Unix time of a moment: the simulated world begins at 2026-01-01T00:00:00Z."""
        return 1767225600.0 + moment - self.start

    def at(self, moment: float, act: Callable[[], None], *, transit: bool = False) -> None:
        """Do something at a moment; what is late is done next."""
        self._order += 1
        self._transit += transit
        heapq.heappush(self._heap, (max(moment, self.now), self._order, act, transit))

    def after(self, seconds: float, act: Callable[[], None], *, transit: bool = True) -> None:
        """A message that arrives in so many seconds."""
        self.at(self.now + seconds, act, transit=transit)

    def advance(self, seconds: float) -> None:
        """Let time go on."""
        self.run_until(self.now + seconds)

    def run_until(self, moment: float) -> None:
        """Everything that is due up to a moment; then it is that moment."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= moment:
            self.now, _, act, transit = pop(heap)
            self._transit -= transit
            act()
        self.now = max(self.now, moment)

    def settle(self) -> None:
        """Until nothing is in transit. Raises NeverSettles."""
        limit = self.now + SETTLE_LIMIT
        while self._transit:
            if self._heap[0][0] > limit:
                raise NeverSettles(f"messages were still in transit after {SETTLE_LIMIT:g} s of virtual time")
            self._step()

    def _step(self) -> None:
        self.now, _, act, transit = heapq.heappop(self._heap)
        self._transit -= transit
        act()

    def record(self, kind: str, data: bytes) -> None:
        """Something travelled; it becomes part of the digest."""
        if self._hash is not None:
            self._hash.update(f"\n{self.now!r} {kind} {len(data)} ".encode())
            self._hash.update(data)

    def digest(self) -> str:
        """Hex digits that two runs share when all that travelled was the same, byte for byte and in time."""
        assert self._hash is not None, "World(record=True) keeps one"
        return self._hash.hexdigest()


class Alarm:
    """One timer that an engine keeps moving; at most one live entry of it stands in the heap."""

    __slots__ = ("_act", "_due", "_entry", "_world")

    def __init__(self, world: World, act: Callable[[], None]) -> None:
        self._world = world
        self._act = act
        self._due: float | None = None
        self._entry: float | None = None
        """The live entry; others of ours in the heap are void."""

    def set(self, due: float | None) -> None:
        """Ring at `due`; None: not at all."""
        self._due = due
        if due is not None and (self._entry is None or due < self._entry):
            self._entry = due
            self._world.at(due, self._ring)

    def _ring(self) -> None:
        now, due = self._world.now, self._due
        if self._entry is not None and self._entry <= now:
            self._entry = None
        if due is None:
            return
        if due <= now:
            self._due = None
            self._act()
        elif self._entry is None:
            self._entry = due
            self._world.at(due, self._ring)
