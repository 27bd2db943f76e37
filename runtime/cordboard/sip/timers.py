"""Time: the intervals of RFC 3261 table 4, and a queue of what is due (no clock: `now` comes from outside)."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

T1 = 0.5  # s, round-trip estimate, RFC 3261 §17.1.1.1
T2 = 4.0  # s, longest interval between retransmissions
T4 = 5.0  # s, longest time that a message stays in the network


@dataclass(frozen=True, slots=True)
class Intervals:
    """T1, T2 and T4 in seconds, and what follows from them for an unreliable transport."""

    t1: float = T1
    t2: float = T2
    t4: float = T4

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L, M and the wait for ACK; also D, whose least value is 32 s."""
        return 64 * self.t1


class TimerQueue:
    """Named timers of many owners. Setting one again moves it. Equal times fire in the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, tuple[object, str]]] = []
        self._live: dict[tuple[object, str], tuple[int, Callable[[float], Any]]] = {}
        self._serial = 0

    def set(self, owner: object, name: str, when: float, action: Callable[[float], Any]) -> None:
        self._serial += 1
        self._live[(owner, name)] = (self._serial, action)
        heapq.heappush(self._heap, (when, self._serial, (owner, name)))

    def cancel(self, owner: object, name: str) -> None:
        self._live.pop((owner, name), None)

    def next(self) -> float | None:
        """When the earliest timer is due; None when there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def fire(self, now: float) -> None:
        """Run everything that is due at `now`, each action with the time at which it was due or `now` if later."""
        while True:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now:
                return
            _, _, key = heapq.heappop(self._heap)
            _, action = self._live.pop(key)
            action(now)

    def _drop_stale(self) -> None:
        while self._heap:
            live = self._live.get(self._heap[0][2])
            if live is not None and live[0] == self._heap[0][1]:
                return
            heapq.heappop(self._heap)

    def __len__(self) -> int:
        return len(self._live)
