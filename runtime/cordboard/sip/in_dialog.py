"""Requests of the other side in a dialog: BYE, re-INVITE, UPDATE, OPTIONS, INFO (RFC 3261 §12.2.2, §14.2, §15.1.2;
RFC 3311; RFC 6086), and our answers to their offers.

An offer that comes while theirs is open gets 500 with Retry-After, one that crosses an offer of ours 491 (§14.2,
RFC 3311 §5.2). Leaves out REFER, NOTIFY and PRACK: they get 405. Session timers (RFC 4028) are not offered; a refresh
by the other side is an ordinary re-INVITE or an UPDATE without a body.
"""

from collections.abc import Callable

from cordboard.sip.body import UnsupportedBody, sdp_of
from cordboard.sip.core import ACCEPT, Core
from cordboard.sip.dialog import Dialog
from cordboard.sip.events import Ended, InfoReceived, Offered, OfferWithdrawn
from cordboard.sip.leg import Leg, LegState, State
from cordboard.sip.message import Request, Response, make_response
from cordboard.sip.server_invite import ServerInvite
from cordboard.sip.server_non_invite import ServerNonInvite
from cordboard.sip.uas import Uas
from cordboard.sip.uri import Address

RETRY_AFTER = 10  # s, upper bound of the random wait that §14.2 asks for


class InDialog:
    """Serves the dialogs of all legs."""

    def __init__(self, core: Core, uas: Uas, answer_options: Callable[[Response], None]) -> None:
        self._core = core
        self._layer = core.layer
        self._uas = uas
        self._answer_options = answer_options

    def receive(
        self,
        leg: Leg,
        dialog: Dialog,
        request: Request,
        server: ServerInvite | ServerNonInvite,
        source: Address,
        now: float,
    ) -> None:
        """A new request (not ACK, not CANCEL) that belongs to `dialog`."""
        server.leg = leg.id
        server.to_tag = dialog.local_tag
        number = request.cseq.number
        if dialog.remote_cseq is not None and number <= dialog.remote_cseq:
            self._reply(server, 500, now, "CSeq Out Of Order")
            return
        dialog.remote_cseq = number
        dialog.source = source
        if request.method == "BYE":
            self._bye(leg, request, server, now)
        elif request.method in ("INVITE", "UPDATE"):
            self._offer(leg, dialog, request, server, now)
        elif request.method == "INFO":
            self._reply(server, 200, now)
            if leg.state is not State.ENDING:
                kind = request.headers.get("Content-Type") or ""
                self._layer.emit(InfoReceived(leg.id, kind, request.body))
        else:
            response = make_response(request, 200)
            self._answer_options(response)
            server.respond(response, now)

    def _reply(
        self, server: ServerInvite | ServerNonInvite, code: int, now: float, reason: str = "", retry: bool = False
    ) -> None:
        response = make_response(server.request, code, reason, to_tag=server.to_tag)
        if retry:
            response.headers.add("Retry-After", str(self._layer.rng.randint(0, RETRY_AFTER)))
        self._core.dress(response, server.destination)
        server.respond(response, now)

    def _bye(self, leg: Leg, request: Request, server: ServerInvite | ServerNonInvite, now: float) -> None:
        self._reply(server, 200, now)
        if leg.offer is not None:
            self._reply(leg.offer, 487, now)  # §15.1.2: what is pending gets 487
            leg.offer = None
        if leg.state is State.ENDING:
            return  # the two BYEs crossed: ours ends the leg
        if leg.state is State.RINGING:
            self._uas.terminate_invite(leg, now)
        elif leg.uac and not leg.answered and leg.client is not None:
            leg.client.feed("abandon", now)
        hanging_up = leg.hanging_up
        if hanging_up:
            self._core.finish(leg, 487)
            return
        self._core.forget(leg)
        self._layer.emit(Ended(leg.id, "bye", request.headers.get("Reason") or "", request))

    def _offer(
        self, leg: Leg, dialog: Dialog, request: Request, server: ServerInvite | ServerNonInvite, now: float
    ) -> None:
        try:
            sdp = sdp_of(request)
        except UnsupportedBody:
            response = make_response(request, 415, to_tag=server.to_tag)
            response.headers.add("Accept", ACCEPT)
            self._core.dress(response, server.destination)
            server.respond(response, now)
            return
        if leg.state is State.ENDING:
            self._reply(server, 481, now)
        elif request.method == "UPDATE" and sdp is None:
            dialog.refresh_target(request)
            response = make_response(request, 200)
            self._core.dress(response, server.destination, contact=True)
            server.respond(response, now)
        elif leg.offer is not None or leg.state is State.RINGING:
            self._reply(server, 500, now, retry=True)
        elif (leg.uac and not leg.answered) or leg.accepted is not None:
            self._reply(server, 491, now)
        else:
            if isinstance(server, ServerInvite):
                server.respond(make_response(request, 100), now)
                server.on_ack = lambda ack, at: self._uas.acknowledged(leg, ack, at)
            leg.offer = server
            self._layer.emit(Offered(leg.id, sdp, "INVITE" if isinstance(server, ServerInvite) else "UPDATE"))

    def answer_offer(self, leg: Leg, *, sdp: bytes | None, code: int, now: float) -> None:
        """Answer the open re-INVITE or UPDATE; a 2xx to a re-INVITE is repeated until its ACK."""
        if not 200 <= code <= 699:
            raise ValueError(f"code: {code} is not a final response")
        if code < 300 and not sdp:
            raise ValueError("sdp: a 2xx to an offer carries the answer")
        server = leg.offer
        if server is None or leg.dialog is None:
            raise LegState(leg.id, "answer an offer", f"{leg.state.value} with no open offer")
        leg.offer = None
        response = make_response(server.request, code)
        success = code < 300
        self._core.dress(response, server.destination, contact=success, sdp=sdp if success else None)
        if success:
            leg.dialog.refresh_target(server.request)
        server.respond(response, now)
        if success and isinstance(server, ServerInvite):
            self._uas.await_ack(leg, server, response, now)

    def cancel_offer(self, leg: Leg, now: float) -> None:
        """The open re-INVITE was cancelled."""
        assert leg.offer is not None
        self._reply(leg.offer, 487, now)
        leg.offer = None
        self._layer.emit(OfferWithdrawn(leg.id))

    def drop_offer(self, leg: Leg, now: float) -> None:
        """We hang up while an offer of theirs is open: 487 to it, without an event."""
        if leg.offer is not None:
            self._reply(leg.offer, 487, now)
            leg.offer = None
