"""One heap of what is due when, for everything that control decides."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

Act = Callable[[float], None]


@dataclass(slots=True, order=True)
class Timer:
    """One thing that is due; cancelled ones are passed over."""

    due: float
    order: int
    act: Act | None = field(compare=False)

    def cancel(self) -> None:
        """It will not happen."""
        self.act = None


class Timers:
    """Due in order of time, then of setting."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._count = 0

    def set(self, due: float, act: Act) -> Timer:
        """`act(now)` at `due` or soon after."""
        self._count += 1
        timer = Timer(due, self._count, act)
        heapq.heappush(self._heap, timer)
        return timer

    def next(self) -> float | None:
        """When `run` has something to do."""
        while self._heap and self._heap[0].act is None:
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def run(self, now: float) -> None:
        """Everything that is due."""
        while self._heap and self._heap[0].due <= now:
            act = heapq.heappop(self._heap).act
            if act is not None:
                act(now)
