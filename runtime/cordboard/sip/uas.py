"""The callee's side: new INVITEs, our answers to them, ACK, CANCEL (RFC 3261 §8.2, §9.2, §13.3, §15).

Leaves out reliable provisional responses (RFC 3262): a caller that requires them gets 420. Replaces and 3xx forwarding
are `respond` with the right code; a transfer would begin at `Request.headers` of IncomingInvite.
"""

from collections.abc import Sequence

from cordboard.sip.core import Core, check_headers
from cordboard.sip.dialog import Dialog, dialog_of_server
from cordboard.sip.events import Acked, AckMissing, Ended, HungUp, IncomingInvite
from cordboard.sip.leg import Leg, LegState, State
from cordboard.sip.message import Request, Response, make_response
from cordboard.sip.server_invite import ServerInvite
from cordboard.sip.uri import Address, number_of, readable

PROVISIONAL_REFRESH = 60.0  # s; a proxy on the way cancels a call that rings 3 minutes in silence (§13.3.1.1, §16.6)


class Uas:
    """Calls that come in."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._layer = core.layer

    def incoming(self, request: Request, server: ServerInvite, source: Address, sdp: bytes | None, now: float) -> str:
        """A new INVITE that passed all checks: 100 goes out at once (§17.2.1 allows 200 ms)."""
        leg = Leg(self._layer.token(), False, State.RINGING, source, server.to_tag, invite=request, server=server)
        server.leg = leg.id
        server.on_ack = lambda ack, at: self.acknowledged(leg, ack, at)
        self._core.legs[leg.id] = leg
        server.respond(make_response(request, 100), now)
        caller = request.from_
        self._layer.emit(
            IncomingInvite(
                leg.id,
                request,
                source,
                sdp,
                caller.uri,
                request.to.uri,
                request.uri,
                number_of(caller.uri),
                number_of(request.uri),
                readable(caller.display_name),
            )
        )
        return leg.id

    def respond(
        self,
        leg: Leg,
        code: int,
        reason: str,
        *,
        sdp: bytes | None,
        headers: Sequence[tuple[str, str]],
        now: float,
    ) -> None:
        if not 101 <= code <= 699:
            raise ValueError(f"code: {code} is not a response that can be chosen (100 is sent by itself)")
        if 200 <= code < 300 and not sdp:
            raise ValueError("sdp: a 2xx to an INVITE carries the answer, or the offer")
        check_headers(headers)
        if leg.state is not State.RINGING or leg.server is None:
            raise LegState(leg.id, f"send {code}", leg.state.value)
        assert leg.invite is not None
        response = make_response(leg.invite, code, reason, to_tag=leg.local_tag)
        if code < 300:
            for value in leg.invite.headers.all("Record-Route"):
                response.headers.add("Record-Route", value)
            self._form_dialog(leg, leg.invite)
        self._core.dress(response, leg.peer, contact=code < 300, headers=headers, sdp=sdp)
        leg.server.respond(response, now)
        if code >= 300:
            leg.hanging_up = True
            self._core.forget(leg)
            self._layer.emit(HungUp(leg.id, code))
        elif code >= 200:
            self._layer.timers.cancel(leg, "refresh_1xx")
            leg.state = State.ANSWERED
            self.await_ack(leg, leg.server, response, now)
        else:
            self._refresh_later(leg, response, now)

    def _refresh_later(self, leg: Leg, response: Response, now: float) -> None:
        """Say once a minute that the call still rings."""

        def refresh(at: float) -> None:
            if leg.server is not None and leg.state is State.RINGING:
                leg.server.respond(response, at)
                self._refresh_later(leg, response, at)

        self._layer.timers.set(leg, "refresh_1xx", now + PROVISIONAL_REFRESH, refresh)

    def _form_dialog(self, leg: Leg, invite: Request) -> None:
        if leg.dialog is None:
            dialog = dialog_of_server(invite, leg.local_tag, leg.peer)
            self._core.confirm(leg, dialog)

    # 2xx until ACK (§13.3.1.4)

    def await_ack(self, leg: Leg, server: ServerInvite, response: Response, now: float) -> None:
        """Repeat a 2xx at T1, doubling to T2, until its ACK; after 64*T1 give up with BYE."""
        leg.server, leg.accepted = server, response
        leg.interval = self._layer.intervals.t1
        timers = self._layer.timers
        timers.set(leg, "repeat_2xx", now + leg.interval, lambda at: self._repeat(leg, at))
        timers.set(leg, "ack_missing", now + self._layer.intervals.timeout, lambda at: self._ack_missing(leg, at))

    def _repeat(self, leg: Leg, now: float) -> None:
        assert leg.server is not None
        assert leg.accepted is not None
        leg.server.respond(leg.accepted, now)
        leg.interval = min(2 * leg.interval, self._layer.intervals.t2)
        self._layer.timers.set(leg, "repeat_2xx", now + leg.interval, lambda at: self._repeat(leg, at))

    def _ack_missing(self, leg: Leg, now: float) -> None:
        self._core.stop_accepted(leg)
        self._layer.emit(AckMissing(leg.id))
        self._core.bye(leg, now)

    def acknowledged(self, leg: Leg, ack: Request, now: float) -> bool:
        """An ACK in the leg's dialog; False when it is a repetition or belongs to nothing."""
        if leg.accepted is None or leg.server is None or leg.server.request.cseq.number != ack.cseq.number:
            return False
        self._core.stop_accepted(leg)
        if leg.state is State.ANSWERED:
            leg.state = State.CONFIRMED
        if leg.hanging_up and leg.state is State.CONFIRMED:
            self._core.bye(leg, now)  # hangup was called before the ACK (§15)
        elif not leg.hanging_up:
            # A body that is no SDP cannot be refused in an ACK: it counts as absent.
            sdp = ack.body if (ack.headers.get("Content-Type") or "").lower().startswith("application/sdp") else None
            self._layer.emit(Acked(leg.id, sdp or None))
        return True

    # ends

    def hangup(self, leg: Leg, code: int, headers: Sequence[tuple[str, str]], now: float) -> None:
        """Refuse an unanswered call with `code`; an answered one waits for its ACK (§15)."""
        if leg.state is State.RINGING:
            self.respond(leg, code, "", sdp=None, headers=headers, now=now)
        else:
            leg.hanging_up = True

    def cancelled(self, leg: Leg, cancel: Request, now: float) -> None:
        """CANCEL came in time: 487 to the INVITE (§9.2)."""
        self.terminate_invite(leg, now)
        self._core.forget(leg)
        self._layer.emit(Ended(leg.id, "cancel", cancel.headers.get("Reason") or "", cancel))

    def terminate_invite(self, leg: Leg, now: float) -> None:
        """487 to an unanswered INVITE."""
        assert leg.server is not None
        assert leg.invite is not None
        response = make_response(leg.invite, 487, to_tag=leg.local_tag)
        self._core.dress(response, leg.peer)
        leg.server.respond(response, now)

    def state_of(self, leg: Leg) -> Dialog | None:
        """The dialog once a 2xx was sent: before that the callee has nothing that a next life could end."""
        return leg.dialog if leg.answered else None
