"""Faults of a simulated world: what may go wrong, how often, what went wrong, and how it goes wrong once more.

Parts of the world ask `happens(kind, event)` at each opportunity. A fault comes by a rate and the seed's chance, or
because it was ordered: `next` orders one at the n-th opportunity from now, `only` orders exactly those of an earlier
run, and no rate counts. Each fault is known by its kind, the event of its opportunity and how many such opportunities
there had been, so that the same orders give the same run. Leaves out the network's own conditions (network.py), whose
chance a test of the edge sets for a whole world.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    "answer lost": "lost_answers",
    "function crashed": "crashes",
    "answer late": "late_answers",
    "invoked twice": "duplicate_invocations",
    "packet lost": "packet_loss",
    "packet late": "packet_delays",
    "packet doubled": "packet_duplicates",
    "signalling lost": "signalling_loss",
    "agent dropped": "agent_drops",
    "ack late": "agent_slow_ack",
    "storage down": "storage_down",
    "plane died": "plane_death",
}
"""Kind → the name of its rate."""

LATE_ANSWER: Final = 0.5
"""Seconds beyond its limit after which a late answer arrives: the round was tried again long before."""
LATE_PACKET: Final = 0.15
"""Seconds that a late packet is late: more than a jitter buffer waits."""
LATE_ACK: Final = 4.0
"""Seconds until a late ack: below the ten that an agent has, above what a caller likes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something went wrong, or is ordered to."""

    kind: str
    """One of KINDS."""
    event: str
    """Of its opportunity: an event's type and target, `call.connected:consult`; an agent's message; a storage key;
    a SIP method or status code; `rtp`. Ordered: "" is any."""
    nth: int = 1
    """The n-th opportunity of that kind and event since counting began."""
    at: float = 0.0
    """Virtual seconds since the world began."""
    session: str = ""
    """Whose; "" where it is nobody's."""
    ordered: bool = False
    """By `next`."""

    def __str__(self) -> str:
        return f"{self.at:9.3f}  {self.kind}  {self.event} #{self.nth}" + (f"  {self.session}" if self.session else "")


@dataclass(slots=True)
class _Order:
    kind: str
    event: str
    left: int
    own: bool = True
    """By `next`, not of an earlier run."""


class Faults:
    """What goes wrong in one world."""

    def __init__(self, now: Callable[[], float], told: Callable[[Fault], None] = lambda fault: None) -> None:
        """`now`: virtual seconds since the world began; `told` hears of each fault."""
        self.told = told
        self.log: list[Fault] = []
        """Everything that went wrong, in order."""
        self._now = now
        self._rates: dict[str, float] = {}
        self._rngs: dict[str, random.Random] = {}
        self._windows: list[tuple[float, float]] = []
        self._counts: dict[tuple[str, str], int] = {}
        self._orders: list[_Order] = []
        self._exact = False

    def rates(self, seed: int, rates: Mapping[str, float], storage_down: tuple[float, float] | None = None) -> None:
        """From now on: shares of opportunities (0 to 1) by the names in KINDS' values; `storage_down`: from so many
        seconds after now for so many seconds. Replaces earlier rates. ValueError for what is no rate."""
        kinds = {name: kind for kind, name in KINDS.items() if name != "storage_down"}
        found: dict[str, float] = {}
        for name, rate in rates.items():
            if name not in kinds:
                raise ValueError(
                    f"faults: there is no {name!r}; there are {', '.join(sorted((*kinds, 'storage_down')))}"
                )
            if not 0 <= rate <= 1:
                raise ValueError(f"faults: {name}: {rate} is no share, 0 to 1")
            found[kinds[name]] = rate
        if storage_down is not None and min(storage_down) < 0:
            raise ValueError(f"faults: storage_down: {storage_down}: write (seconds until it begins, seconds it lasts)")
        if self._exact:
            return
        self._rates = found
        self._rngs = {kind: random.Random(f"{seed}:{kind}") for kind in found}
        if storage_down is not None:
            begins = self._now() + storage_down[0]
            self._windows = [(begins, begins + storage_down[1])]

    def next(self, kind: str, event: str = "", nth: int = 1) -> None:
        """Order one fault: at the n-th opportunity from now. ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"faults: there is no {kind!r}; there are {', '.join(sorted(KINDS))}")
        if nth < 1:
            raise ValueError(f"faults: nth: {nth}: the next opportunity is the first")
        self._orders.append(_Order(kind, event, nth))

    def only(self, faults: Iterable[Fault]) -> None:
        """These and nothing by rate, counted from now."""
        self._exact = True
        self._orders += [_Order(fault.kind, fault.event, fault.nth, own=False) for fault in faults]

    def restart(self) -> None:
        """Count opportunities from here."""
        self._counts.clear()

    def happens(self, kind: str, event: str, session: str = "") -> bool:
        """An opportunity: whether it goes wrong, which is then on record."""
        count = self._counts[kind, event] = self._counts.get((kind, event), 0) + 1
        due = self._due(kind, event)
        wrong = bool(due)
        if not self._exact and not wrong:
            wrong = self._by_chance(kind)
        if wrong:
            own = any(order.own for order in due)
            fault = Fault(kind, event, count, round(self._now(), 4), session, own)
            self.log.append(fault)
            self.told(fault)
        return wrong

    def _due(self, kind: str, event: str) -> list[_Order]:
        if not self._orders:
            return []
        for order in self._orders:
            if order.kind == kind and order.event in ("", event):
                order.left -= 1
        due = [order for order in self._orders if order.left == 0]
        if due:
            self._orders = [order for order in self._orders if order.left > 0]
        return due

    def _by_chance(self, kind: str) -> bool:
        if kind == "storage down":
            return any(begin <= self._now() < end for begin, end in self._windows)
        rate = self._rates.get(kind)
        return rate is not None and self._rngs[kind].random() < rate
