"""The caller's side: INVITE, forks, ACK, CANCEL (RFC 3261 §8.1, §9.1, §13.2; RFC 6026).

Leaves out, each at a visible place: 100rel and PRACK (`_provisional`), digest (401 and 407 are Failed), 3xx recursion
(Failed carries the Contacts), our own re-INVITE. A registration would be one more user of `Core.layer.start_request`.
"""

from collections.abc import Sequence

from cordboard.sip.body import UnsupportedBody, sdp_of
from cordboard.sip.client_invite import hop_by_hop
from cordboard.sip.core import MAX_FORWARDS, Core, check_headers
from cordboard.sip.dialog import DialogState, dialog_of_client, next_hop, restore_dialog
from cordboard.sip.events import Answered, Provisional
from cordboard.sip.leg import Leg, State
from cordboard.sip.message import REASONS, Headers, Message, Request, Response, canonical
from cordboard.sip.uri import Address, make_name_addr

MAX_FORKS = 16  # dialogs of one INVITE; a hunt group rarely rings more, and each costs state that a peer can ask for


class Uac:
    """Calls that we make."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._layer = core.layer
        self.source: Address = ("", 0)
        """Where the response at hand came from; set by the agent before it feeds one."""

    def invite(
        self,
        *,
        to: str,
        from_: str,
        sdp: bytes,
        now: float,
        destination: Address | None,
        headers: Sequence[tuple[str, str]],
        display_name: str,
    ) -> str:
        if not sdp:
            raise ValueError("sdp: an INVITE of ours carries an offer, ACK is sent by itself")
        check_headers(headers)
        routes = [value for name, value in headers if canonical(name) == "route"]
        target, caller = make_name_addr(to), make_name_addr(from_, display_name)
        destination = destination or next_hop(routes, to, None)
        leg = Leg(self._layer.token(), True, State.CALLING, destination, self._layer.token())
        lines = Headers([("Via", self._core.via(destination)), ("Max-Forwards", str(MAX_FORWARDS))])
        lines.add("From", str(caller.with_tag(leg.local_tag)))
        lines.add("To", str(target))
        lines.add("Call-ID", self._layer.token(128))
        lines.add("CSeq", f"{self._layer.rng.randrange(1, 10_000)} INVITE")
        leg.invite = Request(lines, b"", "INVITE", to)
        self._core.dress(leg.invite, destination, contact=True, headers=headers, sdp=sdp)
        self._start(leg, now)
        return leg.id

    def _start(self, leg: Leg, now: float, *, resume: bool = False) -> None:
        assert leg.invite is not None
        self._core.legs[leg.id] = leg
        leg.client = self._layer.start_invite(
            leg.invite,
            leg.peer,
            leg.id,
            on_response=lambda response, at: self._responded(leg, response, at),
            on_failure=lambda code, at: self._core.finish(leg, code, REASONS[code]),
            now=now,
            resume=resume,
        )

    def hangup(self, leg: Leg, now: float) -> None:
        """End a call that is not answered: CANCEL now, or as soon as a provisional response has come (§9.1)."""
        leg.hanging_up = True
        if leg.state is State.PROCEEDING:
            self._cancel(leg, now)

    def _cancel(self, leg: Leg, now: float) -> None:
        assert leg.invite is not None
        leg.state = State.CANCELLING
        cancel = hop_by_hop(leg.invite, "CANCEL", leg.invite.headers.get("To") or "")
        self._core.dress(cancel, leg.peer, headers=leg.bye_headers)
        # What CANCEL is answered with does not matter: the INVITE's own final response ends the leg, or the guard.
        self._layer.start_request(
            cancel, leg.peer, leg.id, on_response=lambda response, at: None, on_failure=lambda code, at: None, now=now
        )
        guard = now + self._layer.intervals.timeout
        self._layer.timers.set(leg, "cancel_guard", guard, lambda at: self._give_up(leg, at))

    def _give_up(self, leg: Leg, now: float) -> None:
        """No final response within 64*T1 of CANCEL: the INVITE counts as cancelled (§9.1)."""
        assert leg.client is not None
        leg.client.feed("abandon", now)
        self._core.finish(leg, 408)

    def _responded(self, leg: Leg, response: Response, now: float) -> None:
        if response.code < 200:
            self._provisional(leg, response, now)
        elif response.code < 300:
            self._success(leg, response, now)
        else:
            self._core.finish(leg, response.code, response.reason, response)

    def _provisional(self, leg: Leg, response: Response, now: float) -> None:
        if leg.state is State.OVER or leg.answered:
            return
        assert leg.invite is not None
        tag = response.to.tag
        if tag and response.code > 100 and tag not in leg.early and len(leg.early) < MAX_FORKS:
            leg.early[tag] = dialog_of_client(leg.invite, response, self.source)
            self._core.register(leg, leg.early[tag])
        if leg.state is State.CALLING:
            leg.state = State.PROCEEDING
            if leg.hanging_up:
                self._cancel(leg, now)
        if response.code > 100 and not leg.hanging_up:
            sdp = _sdp_or_none(response)
            self._layer.emit(Provisional(leg.id, response.code, response.reason, sdp, tag, response))

    def _success(self, leg: Leg, response: Response, now: float) -> None:
        assert leg.invite is not None
        tag = response.to.tag
        known = leg.acks.get(tag)
        if known is not None:
            ack, destination = known
            self._layer.transmit(ack, destination, leg=leg.id, retransmission=True)
            return
        if len(leg.acks) >= MAX_FORKS:
            return
        # The route set of the answer counts, not that of the early dialog (§13.2.2.4); its CSeq state is kept.
        dialog = dialog_of_client(leg.invite, response, self.source)
        early = leg.early.get(tag)
        if early is not None:
            dialog.local_cseq, dialog.remote_cseq = early.local_cseq, early.remote_cseq
        destination = dialog.destination
        ack = dialog.request("ACK", self._core.via(destination), cseq=leg.invite.cseq.number)
        self._core.dress(ack, destination)
        leg.acks[tag] = (ack, destination)
        self._layer.transmit(ack, destination, leg=leg.id)
        if leg.dialog is not None or leg.state is State.OVER:
            self._core.bye_fork(dialog, leg, now)
            return
        self._layer.timers.cancel(leg, "cancel_guard")
        self._core.confirm(leg, dialog)
        leg.state = State.CONFIRMED
        if leg.hanging_up:
            self._core.bye(leg, now)  # the answer crossed our CANCEL (§15)
        else:
            self._layer.emit(Answered(leg.id, _sdp_or_none(response), response))

    # a former life

    def state(self, leg: Leg) -> DialogState | None:
        """What a next life needs for this call while nobody has answered: the parts of CANCEL."""
        if leg.invite is None:
            return None
        invite = leg.invite
        return DialogState(
            invite.call_id,
            str(invite.from_.with_tag("")),
            leg.local_tag,
            invite.headers.get("To") or "",
            "",
            tuple(invite.headers.all("Route")),
            invite.uri,
            invite.cseq.number,
            leg.peer,
            True,
            str(invite.via),
        )

    def restore(self, state: DialogState, now: float) -> str:
        """A call of ours of a former life: answered (BYE will end it) or not (CANCEL will)."""
        leg = Leg(self._layer.token(), state.uac, State.CONFIRMED, state.destination, state.local_tag)
        if not state.invite_via:
            self._core.legs[leg.id] = leg
            self._core.confirm(leg, restore_dialog(state))
            return leg.id
        lines = Headers([("Via", state.invite_via), ("Max-Forwards", str(MAX_FORWARDS))])
        lines.add("From", f"{state.local_uri};tag={state.local_tag}")
        lines.add("To", state.remote_uri)
        lines.add("Call-ID", state.call_id)
        lines.add("CSeq", f"{state.local_cseq} INVITE")
        for route in state.route_set:
            lines.add("Route", route)
        leg.invite = Request(lines, b"", "INVITE", state.remote_target)
        leg.state = State.PROCEEDING  # whether a provisional response came is not known; CANCEL must not wait for one
        self._start(leg, now, resume=True)
        return leg.id


def _sdp_or_none(message: Message) -> bytes | None:
    """The SDP of a response; a body of another type is no reason to fail a call."""
    try:
        return sdp_of(message)
    except UnsupportedBody:
        return None
