"""UserAgent: the SIP core of the edge, the softphone and the simulator (RFC 3261, 3264, 3311, 3581, 6026, 6086).

Datagrams in, datagrams and events out; no socket, no clock. After each `receive_datagram`, command or `on_timer` the
owner sends `data_to_send(now)`, handles `next_event()` until it is None, and sets one alarm at `next_timer()`.

Seams for what is not here: TCP and TLS (`transactions` and `parser` say where), digest and registration (`uac`), SRTP
(a profile in `offer`), 100rel (`uac`, `uas`), DNS (`dialog.next_hop`).
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from cordboard.sip.body import UnsupportedBody, sdp_of
from cordboard.sip.core import ACCEPT, ALLOW, MAX_FORWARDS, Core, check_headers
from cordboard.sip.dialog import DialogState
from cordboard.sip.events import Dropped, Event, Pong, Traced
from cordboard.sip.grammar import GrammarError, check_line
from cordboard.sip.guard import (
    IN_DIALOG_BURST,
    IN_DIALOG_PER_SECOND,
    NEW_REQUESTS_BURST,
    NEW_REQUESTS_PER_SECOND,
    RateGuard,
)
from cordboard.sip.in_dialog import InDialog
from cordboard.sip.leg import Leg, LegState, State
from cordboard.sip.message import Request, Response, make_response
from cordboard.sip.parser import MessageError, parse
from cordboard.sip.server_invite import ServerInvite
from cordboard.sip.server_non_invite import ServerNonInvite
from cordboard.sip.timers import T1, Intervals
from cordboard.sip.transactions import mark_received
from cordboard.sip.uac import Uac
from cordboard.sip.uas import Uas
from cordboard.sip.uri import Address, SipUri, UnsupportedScheme, parse_uri

DRAIN_RETRY_AFTER = 30  # s, told to callers refused by refuse_new: about what a restart takes
_IN_DIALOG = ("INVITE", "BYE", "UPDATE", "INFO", "OPTIONS")
_KNOWN = frozenset(("MESSAGE", "NOTIFY", "PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE"))  # known, not allowed


class UserAgent:
    """One SIP user agent on one bound UDP address.

    `accept(source)` is asked before a new out-of-dialog request costs any state; None lets all pass. `advertise(peer)`
    names the host to write into Via and Contact for that peer; without it the bound host is written.
    """

    def __init__(
        self,
        *,
        address: Address,
        advertise: Callable[[Address], str] | None = None,
        contact_user: str = "cordboard",
        product: str = "Cordboard",
        rng: random.Random,
        t1: float = T1,
    ) -> None:
        self.accept: Callable[[Address], bool] | None = None
        self.dropped: dict[str, int] = {}
        """Datagrams dropped so far, by the reason in Dropped."""
        self._core = Core(
            address=address,
            advertise=advertise,
            contact_user=contact_user,
            product=product,
            rng=rng,
            intervals=Intervals(t1),
        )
        self._layer = self._core.layer
        self._uac = Uac(self._core)
        self._uas = Uas(self._core)
        self._in_dialog = InDialog(self._core, self._uas, self._describe)
        self._sources = RateGuard(NEW_REQUESTS_PER_SECOND, NEW_REQUESTS_BURST)
        self._leg_rates = RateGuard(IN_DIALOG_PER_SECOND, IN_DIALOG_BURST)
        self._refusing: int | None = None

    # out

    def data_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """The datagrams to send now, in order; each is handed out once."""
        out = self._layer.outbox[:]
        self._layer.outbox.clear()
        return out

    def next_event(self) -> Event | None:
        return self._layer.events.popleft() if self._layer.events else None

    def next_timer(self) -> float | None:
        """When `on_timer` must be called at the latest; None when nothing is pending."""
        return self._layer.timers.next()

    def on_timer(self, now: float) -> None:
        self._layer.timers.fire(now)

    def transport_failed(self, destination: Address, now: float) -> None:
        """The socket refused to send to `destination` (no route, no such host): calls begun there fail with 503."""
        self._layer.transport_failed(destination, now)

    @property
    def legs(self) -> tuple[str, ...]:
        """Ids of all legs that are not over."""
        return tuple(self._core.legs)

    # in

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram. Raises nothing on any bytes; what cannot be taken is answered or reported as Dropped."""
        if not data.strip(b"\r\n\0 "):
            return  # keep-alive (RFC 5626 §3.5.1)
        if data[0] < 0x09 or data[0] > 0x7E:
            self._drop("not_sip", source)  # STUN, RTP, noise
            return
        try:
            message = parse(data)
        except MessageError as error:
            self._malformed(error, data, source, now)
            return
        mark = len(self._layer.events)
        if isinstance(message, Response):
            taken = self._receive_response(message, source, now)
        else:
            taken = self._receive_request(message, source, now)
        if taken is not None:
            leg, retransmission = taken
            self._layer.events.insert(mark, Traced("in", data, source, leg, message.summary, retransmission))

    def _drop(self, reason: str, source: Address) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self._layer.emit(Dropped(reason, source))

    def _admit(self, source: Address, now: float) -> bool:
        if self.accept is not None and not self.accept(source):
            self._drop("unknown_source", source)
        elif not self._sources.allow(source[0], now):
            self._drop("rate", source)
        else:
            return True
        return False

    def _malformed(self, error: MessageError, data: bytes, source: Address, now: float) -> None:
        request = error.request
        if request is None or request.method == "ACK":
            self._drop("malformed", source)
        elif self._admit(source, now):
            self._layer.emit(Traced("in", data, source, None, request.summary))
            mark_received(request, source)
            tag = hashlib.sha256(data).hexdigest()[:16]  # the same for each copy: no state is kept (§8.2.7)
            self._layer.answer_without_state(request, source, error.code, tag)

    def _receive_response(self, response: Response, source: Address, now: float) -> tuple[str | None, bool] | None:
        machine = self._layer.client_of(response)
        if machine is None:  # nor does it cost state: forks of a call that is over are absorbed by its transaction
            self._drop("stray_response", source)
            return None
        self._uac.source = source
        before = machine.state
        taken = machine.receive(response, now)
        again = not taken or (before == machine.state and before in ("accepted", "completed"))
        return machine.leg, again

    def _receive_request(self, request: Request, source: Address, now: float) -> tuple[str | None, bool] | None:
        mark_received(request, source)
        machine = self._layer.server_of(request)
        if request.method == "ACK":
            return self._receive_ack(request, machine, source, now)
        if machine is not None:
            machine.repeated(now)
            return machine.leg, True
        leg, dialog = self._core.dialogs.get((request.call_id, request.to.tag, request.from_.tag), (None, None))
        if request.method == "CANCEL":
            target = self._layer.server_of(request, "INVITE")
            if isinstance(target, ServerInvite):
                return self._receive_cancel(request, target, source, now)
        if leg is None and not self._admit(source, now):
            return None
        if leg is not None and request.method != "BYE" and not self._leg_rates.allow(leg.id, now):
            self._drop("rate", source)
            return None
        if self._layer.full and not (leg and request.method == "BYE"):
            if request.method != "INVITE":
                self._drop("busy", source)
                return None
            self._layer.answer_without_state(request, source, 503, self._layer.token())
            return (leg.id if leg else None), False
        merged = not request.to.tag and self._layer.is_merged(request)
        opens = self._layer.open_invite if request.method == "INVITE" else self._layer.open_request
        server: ServerInvite | ServerNonInvite = opens(request, source)
        server.to_tag = self._layer.token()
        refusal = self._refusal(request, leg, merged, server.to_tag)
        if refusal is not None:
            self._core.dress(refusal, source)
            server.leg = leg.id if leg else None
            server.respond(refusal, now)
        elif leg is not None and dialog is not None:
            self._in_dialog.receive(leg, dialog, request, server, source, now)
        elif isinstance(server, ServerInvite):
            self._uas.incoming(request, server, source, sdp_of(request), now)
        else:
            response = make_response(request, 200, to_tag=server.to_tag)
            self._describe(response)
            server.respond(response, now)
        return server.leg, False

    def _refusal(self, request: Request, leg: Leg | None, merged: bool, tag: str) -> Response | None:
        """What §8.2 refuses before a core sees the request; None when it may go on."""
        code, headers = self._verdict(request, leg, merged)
        if code == 0:
            return None
        response = make_response(request, code, to_tag=leg.local_tag if leg else tag)
        for name, value in headers:
            response.headers.add(name, value)
        return response

    def _verdict(self, request: Request, leg: Leg | None, merged: bool) -> tuple[int, tuple[tuple[str, str], ...]]:
        if request.method not in (*_IN_DIALOG, "CANCEL"):
            return (405 if request.method in _KNOWN else 501), (("Allow", ALLOW),)
        if merged:
            return 482, ()
        try:
            required = [] if request.method == "CANCEL" else request.headers.listed("Require")
            if leg is None and request.method in ("INVITE", "OPTIONS"):
                target = parse_uri(request.uri)
                if isinstance(target, SipUri) and target.headers:
                    return 400, ()  # §19.1.1: no headers in a Request-URI
            if request.method == "INVITE":
                sdp_of(request)
        except UnsupportedScheme:
            return 416, ()
        except GrammarError:
            return 400, ()
        except UnsupportedBody:
            return 415, (("Accept", ACCEPT),)
        if required:
            return 420, (("Unsupported", ", ".join(required)),)
        if leg is not None:
            return 0, ()
        if request.to.tag or request.method not in ("INVITE", "OPTIONS"):
            return 481, ()
        if request.method == "INVITE":
            # An end point may ignore Max-Forwards (RFC 4475 §3.3.11), but we bridge calls onward: a loop must die here.
            if int(request.headers.get("Max-Forwards") or MAX_FORWARDS) == 0:
                return 483, ()
            if self._refusing is not None:
                return self._refusing, (("Retry-After", str(DRAIN_RETRY_AFTER)),)
        return 0, ()

    def _describe(self, response: Response) -> None:
        """What OPTIONS is answered with (§11.2). No extension is supported, hence the empty Supported."""
        for name, value in (("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", "")):
            response.headers.add(name, value)
        self._core.dress(response, self._core.address)

    def _receive_ack(
        self, ack: Request, machine: ServerInvite | ServerNonInvite | None, source: Address, now: float
    ) -> tuple[str | None, bool] | None:
        if isinstance(machine, ServerInvite):
            return machine.leg, not machine.acknowledged(ack, now)
        leg, dialog = self._core.dialogs.get((ack.call_id, ack.to.tag, ack.from_.tag), (None, None))
        if leg is None or dialog is None:
            self._drop("stray_ack", source)
            return None
        return leg.id, not self._uas.acknowledged(leg, ack, now)

    def _receive_cancel(
        self, cancel: Request, target: ServerInvite, source: Address, now: float
    ) -> tuple[str | None, bool]:
        server = self._layer.open_request(cancel, source)
        server.leg = target.leg
        leg = self._core.legs.get(target.leg or "")
        response = make_response(cancel, 200, to_tag=target.to_tag)
        self._core.dress(response, source)
        server.respond(response, now)
        if leg is not None and leg.state is State.RINGING and leg.server is target:
            self._uas.cancelled(leg, cancel, now)
        elif leg is not None and leg.offer is target:
            self._in_dialog.cancel_offer(leg, now)
        return target.leg, False

    # caller

    def invite(
        self,
        *,
        to: str,
        from_: str,
        sdp: bytes,
        now: float,
        destination: Address | None = None,
        headers: Sequence[tuple[str, str]] = (),
        display_name: str = "",
    ) -> str:
        """Call `to`; returns the leg. `to` and `from_` are URIs (sip:, sips:, tel:).

        Without `destination` the first Route among `headers`, else `to`, must name an IP address. Raises ValueError
        for that, for a malformed URI and for a header that is ours to write or holds a line break.
        """
        return self._uac.invite(
            to=to,
            from_=from_,
            sdp=sdp,
            now=now,
            destination=destination,
            headers=headers,
            display_name=display_name,
        )

    # callee

    def respond(
        self,
        leg: str,
        code: int,
        reason: str = "",
        *,
        sdp: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        now: float,
    ) -> None:
        """Answer the INVITE of an incoming leg with 101 to 699. 3xx to 6xx end the leg: HungUp(leg, code) follows.

        Raises LegState unless the leg is ringing, ValueError for a 2xx without SDP or an unfit header.
        """
        check_line("reason", reason)
        found = self._core.leg(leg, f"send {code}")
        if found.uac:
            raise LegState(leg, f"send {code}", "a call of ours")
        self._uas.respond(found, code, reason, sdp=sdp, headers=headers, now=now)

    # either

    def hangup(self, leg: str, now: float, *, headers: Sequence[tuple[str, str]] = (), code: int = 480) -> None:
        """End a leg in whatever way its state asks; HungUp follows. A leg that is over or ending is left alone.

        CANCEL (held until a provisional response came), BYE (a callee's after ACK), or `code` to an unanswered INVITE.
        """
        check_headers(headers)
        if not 300 <= code <= 699:
            raise ValueError(f"code: {code} does not refuse a call")
        found = self._core.legs.get(leg)
        if found is None or found.hanging_up:
            return
        found.bye_headers = tuple(headers)
        self._in_dialog.drop_offer(found, now)
        if found.state is State.CONFIRMED:
            self._core.bye(found, now)
        elif found.uac:
            self._uac.hangup(found, now)
        else:
            self._uas.hangup(found, code, headers, now)

    def answer_offer(self, leg: str, *, sdp: bytes | None, code: int = 200, now: float) -> None:
        """Answer what Offered reported. Raises LegState when no offer is open, ValueError for a 2xx without SDP."""
        self._in_dialog.answer_offer(self._core.leg(leg, "answer an offer"), sdp=sdp, code=code, now=now)

    def ping(self, leg: str, now: float) -> None:
        """Ask by OPTIONS whether the other side is there; Pong follows. Raises LegState unless confirmed."""
        found, request = self._ask(leg, "OPTIONS", now)
        request.headers.add("Accept", ACCEPT)
        self._core.ask(found, request, lambda code: self._layer.emit(Pong(leg, code)), now)

    def info(self, leg: str, content_type: str, body: bytes, now: float) -> None:
        """Send INFO in the dialog. Raises LegState unless confirmed, ValueError for an unfit content type."""
        check_line("Content-Type", content_type)
        found, request = self._ask(leg, "INFO", now)
        request.headers.add("Content-Type", content_type)
        self._core.ask(found, replace(request, body=body), lambda code: None, now)

    def _ask(self, leg: str, method: str, now: float) -> tuple[Leg, Request]:
        found = self._core.leg(leg, f"send {method}")
        if found.state is not State.CONFIRMED or found.dialog is None:
            raise LegState(leg, f"send {method}", found.state.value)
        destination = found.dialog.destination
        request = found.dialog.request(method, self._core.via(destination))
        self._core.dress(request, destination, contact=True)
        return found, request

    def dialog(self, leg: str) -> DialogState | None:
        """What a next life needs to end this leg by `restore` and `hangup`.

        For a call of ours that is not answered it is enough for CANCEL. None for an unknown leg and for an incoming
        call without a 2xx of ours: nothing can end that from another life but the caller's own patience.
        """
        found = self._core.legs.get(leg)
        if found is None:
            return None
        dialog = self._uas.state_of(found)
        return dialog.state() if dialog else self._uac.state(found) if found.uac else None

    def restore(self, state: DialogState, now: float) -> str:
        """Take over a dialog of a former life; the new leg can be hung up, pinged and can receive BYE."""
        return self._uac.restore(state, now)

    def refuse_new(self, code: int = 503) -> None:
        """From now on answer new INVITEs with `code` and Retry-After."""
        if not 300 <= code <= 699:
            raise ValueError(f"code: {code} does not refuse a call")
        self._refusing = code
