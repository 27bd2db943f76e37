"""Non-INVITE client transaction: RFC 3261 §17.1.2 (figure 6), for UDP."""

from collections.abc import Callable
from typing import ClassVar

from cordboard.sip.machine import Machine, Table
from cordboard.sip.message import Response


class ClientNonInvite(Machine):
    """Sends BYE, CANCEL, OPTIONS or INFO until a final response."""

    TABLE: ClassVar[Table] = {
        ("initial", "start"): ("trying", ("send", "start_e", "start_f")),
        ("trying", "timer_e"): ("trying", ("resend", "double_e")),
        ("trying", "timer_f"): ("terminated", ("time_out",)),
        ("trying", "transport_error"): ("terminated", ("fail",)),
        ("trying", "1xx"): ("proceeding", ()),
        ("trying", "final"): ("completed", ("stop_e", "stop_f", "start_k", "pass_up")),
        ("proceeding", "timer_e"): ("proceeding", ("resend", "slow_e")),
        ("proceeding", "timer_f"): ("terminated", ("time_out",)),
        ("proceeding", "transport_error"): ("terminated", ("fail",)),
        ("proceeding", "final"): ("completed", ("stop_e", "stop_f", "start_k", "pass_up")),
        ("completed", "timer_k"): ("terminated", ()),
    }

    on_response: Callable[[Response, float], None]
    on_failure: Callable[[int, float], None]
    """No final response: 408 after the timeout, 503 when the transport failed (§8.1.3.1)."""
    _response: Response
    _interval: float = 0.0

    def receive(self, response: Response, now: float) -> bool:
        """Take a response; False when it changes nothing."""
        self._response = response
        return self.feed("1xx" if response.code < 200 else "final", now)

    def _send(self, now: float) -> None:
        self._transmit(self, self.request, self.request.to_bytes(), False)

    def _resend(self, now: float) -> None:
        self._transmit(self, self.request, self.request.to_bytes(), True)

    def _start_e(self, now: float) -> None:
        self._interval = self._intervals.t1
        self._start("e", self._interval, now)

    def _double_e(self, now: float) -> None:
        self._interval = min(2 * self._interval, self._intervals.t2)
        self._start("e", self._interval, now)

    def _slow_e(self, now: float) -> None:
        self._start("e", self._intervals.t2, now)

    def _start_f(self, now: float) -> None:
        self._start("f", self._intervals.timeout, now)

    def _start_k(self, now: float) -> None:
        self._start("k", self._intervals.t4, now)

    def _stop_e(self, now: float) -> None:
        self._stop("e")

    def _stop_f(self, now: float) -> None:
        self._stop("f")

    def _pass_up(self, now: float) -> None:
        self.on_response(self._response, now)

    def _time_out(self, now: float) -> None:
        self.on_failure(408, now)

    def _fail(self, now: float) -> None:
        self.on_failure(503, now)
