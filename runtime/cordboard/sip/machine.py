"""What the four transactions share: a table of states, timers by name, bytes to send (RFC 3261 §17).

TABLE maps (state, input) to (next state, actions). An input that has no row is ignored: the RFC says so for every such
case. An action is the name of a method without its underscore.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from cordboard.sip.message import Request, Response
from cordboard.sip.timers import Intervals, TimerQueue
from cordboard.sip.uri import Address

Row = tuple[str, tuple[str, ...]]
Table = Mapping[tuple[str, str], Row]
Transmit = Callable[[Request | Response, bytes, bool], None]
"""message, its bytes, whether it is a retransmission"""


class Machine:
    """One transaction. `transmit` sends; `on_end` is called once, when it is terminated."""

    TABLE: ClassVar[Table] = {}

    def __init__(
        self,
        request: Request,
        destination: Address,
        *,
        state: str,
        intervals: Intervals,
        timers: TimerQueue,
        transmit: "Callable[[Machine, Request | Response, bytes, bool], None]",
        on_end: "Callable[[Machine], None]",
        leg: str | None = None,
    ) -> None:
        self.request = request
        self.destination = destination
        self.state = state
        self.leg = leg
        self._intervals = intervals
        self._timers = timers
        self._names: set[str] = set()
        self._transmit = transmit
        self._on_end = on_end

    def feed(self, what: str, now: float) -> bool:
        """Take an input; False when the table has no row for it."""
        row = self.TABLE.get((self.state, what))
        if row is None:
            return False
        self.state, actions = row
        if self.state == "terminated":
            for name in self._names:
                self._timers.cancel(self, name)
            self._on_end(self)
        for name in actions:
            action: Callable[[float], None] = getattr(self, f"_{name}")
            action(now)
        return True

    def _start(self, name: str, delay: float, now: float) -> None:
        self._names.add(name)
        self._timers.set(self, name, now + delay, lambda at: self.feed(f"timer_{name}", at))

    def _stop(self, name: str) -> None:
        self._timers.cancel(self, name)
