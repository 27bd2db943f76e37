"""INVITE client transaction: RFC 3261 §17.1.1 (figure 5) with the Accepted state of RFC 6026 §8.4, for UDP.

ACK for a non-2xx is sent here (§17.1.1.3); ACK for a 2xx is the core's.
"""

from collections.abc import Callable
from typing import ClassVar

from cordboard.sip.machine import Machine, Table
from cordboard.sip.message import Headers, Request, Response

TIMER_D = 32.0  # s, least time in Completed for UDP, RFC 3261 §17.1.1.2


def response_class(code: int) -> str:
    """How the tables name a response: 1xx, 2xx or 3xx-6xx."""
    return "1xx" if code < 200 else "2xx" if code < 300 else "3xx-6xx"


class ClientInvite(Machine):
    """Sends an INVITE until something answers."""

    TABLE: ClassVar[Table] = {
        ("initial", "start"): ("calling", ("send", "start_a", "start_b")),
        ("initial", "resume"): ("proceeding", ()),  # an INVITE sent in a former life
        ("calling", "timer_a"): ("calling", ("resend", "double_a")),
        ("calling", "timer_b"): ("terminated", ("time_out",)),
        ("calling", "1xx"): ("proceeding", ("stop_a", "stop_b", "pass_up")),
        ("calling", "2xx"): ("accepted", ("stop_a", "stop_b", "start_m", "pass_up")),
        ("calling", "3xx-6xx"): ("completed", ("stop_a", "stop_b", "acknowledge", "start_d", "pass_up")),
        ("calling", "transport_error"): ("terminated", ("fail",)),
        ("calling", "abandon"): ("terminated", ()),
        ("proceeding", "1xx"): ("proceeding", ("pass_up",)),
        ("proceeding", "2xx"): ("accepted", ("start_m", "pass_up")),
        ("proceeding", "3xx-6xx"): ("completed", ("acknowledge", "start_d", "pass_up")),
        ("proceeding", "abandon"): ("terminated", ()),
        ("completed", "3xx-6xx"): ("completed", ("acknowledge_again",)),
        ("completed", "timer_d"): ("terminated", ()),
        ("accepted", "2xx"): ("accepted", ("pass_up",)),
        ("accepted", "timer_m"): ("terminated", ()),
    }

    on_response: Callable[[Response, float], None]
    on_failure: Callable[[int, float], None]
    """No final response: 408 after the timeout, 503 when the transport failed (§8.1.3.1)."""
    _response: Response
    _interval: float = 0.0

    def receive(self, response: Response, now: float) -> bool:
        """Take a response; False when it changes nothing."""
        self._response = response
        return self.feed(response_class(response.code), now)

    def _send(self, now: float) -> None:
        self._transmit(self, self.request, self.request.to_bytes(), False)

    def _resend(self, now: float) -> None:
        self._transmit(self, self.request, self.request.to_bytes(), True)

    def _start_a(self, now: float) -> None:
        self._interval = self._intervals.t1
        self._start("a", self._interval, now)

    def _double_a(self, now: float) -> None:
        self._interval *= 2  # timer A has no ceiling, unlike E and G
        self._start("a", self._interval, now)

    def _start_b(self, now: float) -> None:
        self._start("b", self._intervals.timeout, now)

    def _start_d(self, now: float) -> None:
        self._start("d", max(TIMER_D, self._intervals.timeout), now)

    def _start_m(self, now: float) -> None:
        self._start("m", self._intervals.timeout, now)

    def _stop_a(self, now: float) -> None:
        self._stop("a")

    def _stop_b(self, now: float) -> None:
        self._stop("b")

    def _acknowledge(self, now: float) -> None:
        ack = hop_by_hop(self.request, "ACK", self._response.headers.get("To") or "")
        self._transmit(self, ack, ack.to_bytes(), False)

    def _acknowledge_again(self, now: float) -> None:
        ack = hop_by_hop(self.request, "ACK", self._response.headers.get("To") or "")
        self._transmit(self, ack, ack.to_bytes(), True)

    def _pass_up(self, now: float) -> None:
        self.on_response(self._response, now)

    def _time_out(self, now: float) -> None:
        self.on_failure(408, now)

    def _fail(self, now: float) -> None:
        self.on_failure(503, now)


def hop_by_hop(invite: Request, method: str, to: str) -> Request:
    """ACK for a non-2xx (§17.1.1.3) or CANCEL (§9.1): same URI, top Via, Route, From, Call-ID and CSeq number."""
    headers = Headers([("Via", str(invite.via)), ("Max-Forwards", "70")])
    headers.add("From", invite.headers.get("From") or "")
    headers.add("To", to)
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    return Request(headers, b"", method, invite.uri)
