"""What the caller's, the callee's and the in-dialog code share: identity, legs, dialogs, BYE (RFC 3261 §12, §15)."""

import random
from collections.abc import Callable, Sequence

from cordboard.sip.dialog import Dialog
from cordboard.sip.events import Failed, HungUp
from cordboard.sip.grammar import check_line, is_token
from cordboard.sip.leg import Leg, LegState, State
from cordboard.sip.message import Message, Request, Response, canonical
from cordboard.sip.timers import Intervals
from cordboard.sip.transactions import TransactionLayer
from cordboard.sip.uri import Address, format_host_port

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
ACCEPT = "application/sdp, application/dtmf-relay, application/dtmf"
MAX_FORWARDS = 70  # hops, RFC 3261 §8.1.1.6

_OWN = frozenset(
    (
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "content-length",
        "content-type",
        "record-route",
    )
)


def check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers that we write ourselves, names that are no token, and line breaks. Raises ValueError naming it."""
    for name, value in headers:
        if not is_token(name):
            raise ValueError(f"{name!r} is not a header name")
        if canonical(name) in _OWN:
            raise ValueError(f"{name}: this header is written by the user agent")
        check_line(name, value)


class Core:
    """Identity and registries of one user agent."""

    def __init__(
        self,
        *,
        address: Address,
        advertise: Callable[[Address], str] | None,
        contact_user: str,
        product: str,
        rng: random.Random,
        intervals: Intervals,
    ) -> None:
        self.address = address
        self.layer = TransactionLayer(rng=rng, intervals=intervals)
        self.legs: dict[str, Leg] = {}
        self.dialogs: dict[tuple[str, str, str], tuple[Leg, Dialog]] = {}
        self._advertise = advertise
        self._contact_user = check_line("contact user", contact_user)
        self._product = check_line("product", product)

    # identity

    def via(self, peer: Address, branch: str = "") -> str:
        return f"SIP/2.0/UDP {self._place(peer)};branch={branch or self.layer.branch()};rport"

    def contact(self, peer: Address) -> str:
        return f"<sip:{self._contact_user}@{self._place(peer)}>"

    def _place(self, peer: Address) -> str:
        host = self._advertise(peer) if self._advertise else self.address[0]
        return format_host_port(host, self.address[1])

    def dress(
        self,
        message: Message,
        peer: Address,
        *,
        contact: bool = False,
        headers: Sequence[tuple[str, str]] = (),
        sdp: bytes | None = None,
    ) -> None:
        """Add Contact, Allow, the product, the caller's headers and a body."""
        if contact:
            message.headers.add("Contact", self.contact(peer))
            message.headers.add("Allow", ALLOW)
        message.headers.add("User-Agent" if isinstance(message, Request) else "Server", self._product)
        for name, value in headers:
            message.headers.add(name, value)
        if sdp is not None:
            message.headers.add("Content-Type", "application/sdp")
            message.body = sdp

    # legs

    def leg(self, leg_id: str, verb: str) -> Leg:
        leg = self.legs.get(leg_id)
        if leg is None:
            raise LegState(leg_id, verb, "unknown")
        return leg

    def register(self, leg: Leg, dialog: Dialog) -> None:
        self.dialogs[dialog.key] = (leg, dialog)

    def confirm(self, leg: Leg, dialog: Dialog) -> None:
        """Make `dialog` the leg's own and forget its early siblings."""
        for other in leg.early.values():
            if other is not dialog:
                self.dialogs.pop(other.key, None)
        leg.early.clear()
        leg.dialog = dialog
        self.register(leg, dialog)

    def forget(self, leg: Leg) -> None:
        """The leg is over: no timer, no dialog, no look-up finds it; its transactions absorb what still comes."""
        leg.state = State.OVER
        self.stop_accepted(leg)
        for name in ("cancel_guard", "refresh_1xx"):
            self.layer.timers.cancel(leg, name)
        for dialog in (*leg.early.values(), *([leg.dialog] if leg.dialog else [])):
            if self.dialogs.get(dialog.key, (None, None))[0] is leg:
                del self.dialogs[dialog.key]
        self.legs.pop(leg.id, None)

    def stop_accepted(self, leg: Leg) -> None:
        leg.accepted = None
        self.layer.timers.cancel(leg, "repeat_2xx")
        self.layer.timers.cancel(leg, "ack_missing")

    def finish(self, leg: Leg, code: int, reason: str = "", response: Response | None = None) -> None:
        """End a leg by our will (HungUp) or by failure of our INVITE (Failed)."""
        if leg.state is State.OVER:
            return
        self.forget(leg)
        if leg.hanging_up:
            self.layer.emit(HungUp(leg.id, code))
        else:
            self.layer.emit(Failed(leg.id, code, reason, response))

    # requests in a dialog

    def bye(self, leg: Leg, now: float) -> None:
        """Send BYE in the leg's dialog; HungUp follows."""
        assert leg.dialog is not None
        leg.hanging_up = True
        leg.state = State.ENDING
        self.stop_accepted(leg)
        self._send_bye(
            leg.dialog,
            leg.id,
            leg.bye_headers,
            lambda response, at: self.finish(leg, response.code),
            lambda code, at: self.finish(leg, code),
            now,
        )

    def bye_fork(self, dialog: Dialog, leg: Leg, now: float) -> None:
        """BYE to a fork that lost (§13.2.2.4); nobody waits for its end."""
        reason = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
        self._send_bye(dialog, leg.id, reason, lambda response, at: None, lambda code, at: None, now)

    def _send_bye(
        self,
        dialog: Dialog,
        leg_id: str,
        headers: Sequence[tuple[str, str]],
        on_response: Callable[[Response, float], None],
        on_failure: Callable[[int, float], None],
        now: float,
    ) -> None:
        destination = dialog.destination
        request = dialog.request("BYE", self.via(destination))
        self.dress(request, destination, headers=headers)
        self.layer.start_request(request, destination, leg_id, on_response=on_response, on_failure=on_failure, now=now)

    def ask(self, leg: Leg, request: Request, on_code: Callable[[int], None], now: float) -> None:
        """Send a request in the leg's dialog; 408 and 481 end the leg with BYE (§12.2.1.2) after `on_code`."""
        assert leg.dialog is not None

        def done(code: int, at: float) -> None:
            if leg.state is State.OVER:
                return
            on_code(code)
            if code in (408, 481) and leg.state is State.CONFIRMED:
                self.bye(leg, at)

        self.layer.start_request(
            request,
            leg.dialog.destination,
            leg.id,
            on_response=lambda response, at: done(response.code, at),
            on_failure=done,
            now=now,
        )
