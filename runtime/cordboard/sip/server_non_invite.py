"""Non-INVITE server transaction: RFC 3261 §17.2.2 (figure 8), for UDP."""

from typing import ClassVar

from cordboard.sip.machine import Machine, Table
from cordboard.sip.message import Response


class ServerNonInvite(Machine):
    """Answers anything but INVITE and ACK."""

    TABLE: ClassVar[Table] = {
        ("trying", "1xx"): ("proceeding", ("send",)),
        ("trying", "final"): ("completed", ("send", "start_j")),
        ("proceeding", "request"): ("proceeding", ("resend",)),
        ("proceeding", "1xx"): ("proceeding", ("send",)),
        ("proceeding", "final"): ("completed", ("send", "start_j")),
        ("completed", "request"): ("completed", ("resend",)),
        ("completed", "timer_j"): ("terminated", ()),
    }

    to_tag: str = ""
    _response: Response
    _data: bytes = b""

    def repeated(self, now: float) -> None:
        """The request came again."""
        self.feed("request", now)

    def respond(self, response: Response, now: float) -> bool:
        """Send a response of the core; False when a final one was sent before."""
        what = "1xx" if response.code < 200 else "final"
        if (self.state, what) not in self.TABLE:
            return False
        self._response, self._data = response, response.to_bytes()
        return self.feed(what, now)

    def _send(self, now: float) -> None:
        self._transmit(self, self._response, self._data, False)

    def _resend(self, now: float) -> None:
        self._transmit(self, self._response, self._data, True)

    def _start_j(self, now: float) -> None:
        self._start("j", self._intervals.timeout, now)
