"""INVITE server transaction: RFC 3261 §17.2.1 (figure 7) with the Accepted state of RFC 6026 §8.3, for UDP.

The core repeats a 2xx until its ACK (§13.3.1.4) through `respond`; this machine repeats the other final responses.
"""

from collections.abc import Callable
from typing import ClassVar

from cordboard.sip.client_invite import response_class
from cordboard.sip.machine import Machine, Table
from cordboard.sip.message import Request, Response


class ServerInvite(Machine):
    """Answers an INVITE."""

    TABLE: ClassVar[Table] = {
        ("proceeding", "request"): ("proceeding", ("resend",)),
        ("proceeding", "1xx"): ("proceeding", ("send",)),
        ("proceeding", "2xx"): ("accepted", ("send", "start_l")),
        ("proceeding", "3xx-6xx"): ("completed", ("send", "start_g", "start_h")),
        ("completed", "request"): ("completed", ("resend",)),
        ("completed", "timer_g"): ("completed", ("resend", "double_g")),
        ("completed", "timer_h"): ("terminated", ()),
        ("completed", "ack"): ("confirmed", ("stop_g", "stop_h", "start_i")),
        ("confirmed", "timer_i"): ("terminated", ()),
        ("accepted", "request"): ("accepted", ()),
        ("accepted", "ack"): ("accepted", ("pass_ack",)),
        ("accepted", "2xx"): ("accepted", ("send_again",)),
        ("accepted", "timer_l"): ("terminated", ()),
    }

    on_ack: Callable[[Request, float], bool] | None = None
    """The core takes the ACK of a 2xx and says whether it was the first."""
    to_tag: str = ""
    _response: Response | None = None
    _data: bytes = b""
    _ack: Request
    _first: bool = True
    _interval: float = 0.0

    def repeated(self, now: float) -> None:
        """The INVITE came again."""
        self.feed("request", now)

    def acknowledged(self, ack: Request, now: float) -> bool:
        """An ACK came; False when it changes nothing."""
        self._ack, self._first = ack, True
        return self.feed("ack", now) and self._first

    def respond(self, response: Response, now: float) -> bool:
        """Send a response of the core; False when a final one was sent before."""
        if (self.state, response_class(response.code)) not in self.TABLE:
            return False
        self._response, self._data = response, response.to_bytes()
        return self.feed(response_class(response.code), now)

    def _send(self, now: float) -> None:
        assert self._response is not None
        self._transmit(self, self._response, self._data, False)

    def _send_again(self, now: float) -> None:
        assert self._response is not None
        self._transmit(self, self._response, self._data, True)

    def _resend(self, now: float) -> None:
        if self._response is not None:
            self._transmit(self, self._response, self._data, True)

    def _pass_ack(self, now: float) -> None:
        if self.on_ack is not None:
            self._first = self.on_ack(self._ack, now)

    def _start_g(self, now: float) -> None:
        self._interval = self._intervals.t1
        self._start("g", self._interval, now)

    def _double_g(self, now: float) -> None:
        self._interval = min(2 * self._interval, self._intervals.t2)
        self._start("g", self._interval, now)

    def _start_h(self, now: float) -> None:
        self._start("h", self._intervals.timeout, now)

    def _start_i(self, now: float) -> None:
        self._start("i", self._intervals.t4, now)

    def _start_l(self, now: float) -> None:
        self._start("l", self._intervals.timeout, now)

    def _stop_g(self, now: float) -> None:
        self._stop("g")

    def _stop_h(self, now: float) -> None:
        self._stop("h")
