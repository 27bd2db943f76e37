"""A session's legs: what the user agent and the plane tell of them, and how each of them ends, once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cordboard.contract import commands, link
from cordboard.contract.call_record import DialogRecord
from cordboard.contract.events import CallDisconnected, CallFailed, CallProgress, CallTone
from cordboard.sip import events as sip
from cordboard.sip.dialog import DialogState
from cordboard.sip.info import parse_info_digit
from cordboard.sip.leg import LegState
from cordboard.sip.offer import Negotiated, NotAcceptable, accept_answer, answer, offer
from cordboard.sip.sdp import SdpError

from .cords import Cords
from .dialling import Dialling
from .effects import DropDialog, KeepDialog
from .gathering import MASKED
from .inbound import Inbound
from .objects import Leg, visible
from .steps import Step

if TYPE_CHECKING:
    from .session import Session


HANG_UP_LIMIT = 8.0
"""Seconds until a leg whose peer leaves our BYE unanswered is over for its session: four retransmissions (RFC 3261
§17.1.2.2); timer F lasts 32 s, and no leg may stay up for more than 15 s (DESIGN §1)."""


class Legs:
    """All legs of one session."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._legs: list[Leg] = []
        self._up: dict[str, list[Callable[[float], None]]] = {}
        self._after: dict[str, list[Callable[[float], None]]] = {}
        self.last_over: Leg | None = None
        """The leg that ended last."""
        self.cords = Cords(session, self)
        self.inbound = Inbound(session, self)
        self.dialling = Dialling(session, self)

    def all(self) -> list[Leg]:
        """Every leg, in the order they were made."""
        return list(self._legs)

    def get(self, name: str) -> Leg | None:
        """The live leg of that name."""
        return next((leg for leg in self._legs if leg.name == name and leg.live), None)

    def by_sip(self, sip_leg: str) -> Leg | None:
        """The leg that the user agent speaks of."""
        return next((leg for leg in self._legs if leg.sip == sip_leg), None)

    def by_unit(self, unit: str) -> Leg | None:
        """The leg that the plane speaks of."""
        return next((leg for leg in self._legs if leg.unit == unit), None)

    def live(self) -> list[Leg]:
        """Legs that are not over."""
        return [leg for leg in self._legs if leg.live]

    def unit_for(self, name: str) -> str:
        """A unit id that no earlier leg of this session had."""
        used = sum(1 for leg in self._legs if leg.name == name)
        return f"{self._session.id}/{name}" if not used else f"{self._session.id}/{name}~{used + 1}"

    def add(self, leg: Leg) -> None:
        """A new leg."""
        self._legs.append(leg)
        if leg.sip:
            self.register(leg)

    def register(self, leg: Leg) -> None:
        """The user agent's name of a leg is known."""
        services = self._session.services
        services.legs[leg.sip] = services.traced[leg.sip] = self._session.id
        if leg.trunk is not None:
            services.trunk_of[leg.sip] = leg.trunk

    def hang_up(self, step: Step, args: commands.CallHangup, now: float) -> None:
        """End a leg, now or after playout."""
        leg = self.get(step.command.target or "")
        if leg is None or leg.hanging_up:
            step.done()
            return
        if args.after == "now" or not leg.answered:
            self.end_leg(leg, step.cause, "us", now, headers=args.headers)
            step.done()
            return
        if leg.hangup_pending:
            self.when_over(leg, lambda at: step.done())
            return
        leg.hangup_pending = True

        def heard_out(done: link.Done, at: float) -> None:
            if done.message:
                self._session.note("media", "playout cut", {"leg": leg.name, "why": done.message}, at)
            if leg.live:
                self.end_leg(leg, step.cause, "us", at, headers=args.headers)

        def ask(at: float) -> None:
            self._session.send_plane(link.LegPlayout(leg.unit, self._session.confirm(heard_out)))

        self.when_over(leg, lambda at: step.done())
        self._session.players.when_placed(leg, ask, now)  # a prompt that is being prepared is heard, too
        # The plane answers within 15 s; should it not, the leg ends all the same.
        self._session.services.timers.set(
            now + 16.0, lambda at: self.end_leg(leg, step.cause, "us", at) if leg.live else None
        )

    # --- the user agent tells

    def sip_event(self, event: sip.Event, leg: Leg, now: float) -> None:
        """Anything about one of our legs."""
        match event:
            case sip.Provisional():
                self.dialling.provisional(leg, event, now)
            case sip.Answered():
                self.dialling.answered(leg, event, now)
            case sip.Failed():
                self.over(leg, "them", event.code, event.reason, now, headers=event.response)
            case sip.Acked():
                self._acked(leg, event, now)
            case sip.AckMissing():
                leg.end_cause = leg.end_cause or f"{leg.name}.no_ack"
            case sip.Ended():
                code = 487 if event.by == "cancel" else 200
                self.over(leg, "them", code, event.reason, now, headers=event.request)
            case sip.HungUp():
                self.over(leg, leg.ended_by if leg.hanging_up else "edge", event.code, "", now)
            case sip.Offered():
                self._offered(leg, event, now)
            case sip.InfoReceived():
                digit = parse_info_digit(event.content_type, event.body)
                if digit is not None:
                    self._session.send_plane(link.LegInfoDigit(leg.unit, digit.digit))
            case sip.Pong():
                self._pong(leg, event, now)
            case _:
                pass

    def _acked(self, leg: Leg, event: sip.Acked, now: float) -> None:
        if event.sdp is None or leg.local is None:
            return
        try:
            media = accept_answer(event.sdp, leg.local)
        except (SdpError, NotAcceptable) as error:
            self._session.note("sip", "unusable answer in ACK", {"problem": str(error)}, now)
            self.end_leg(leg, f"{leg.name}.failed", "edge", now)
            return
        self._renegotiated(leg, media, now)

    def _offered(self, leg: Leg, event: sip.Offered, now: float) -> None:
        ua = self._session.services.ua
        assert leg.local is not None
        local = replace(leg.local, version=leg.local.version + 1)
        if event.sdp is None:
            leg.local = local
            ua.answer_offer(leg.sip, sdp=offer(local), now=now)
            return
        try:
            body, media = answer(event.sdp, local)
        except SdpError:
            ua.answer_offer(leg.sip, sdp=None, code=400, now=now)
            return
        except NotAcceptable:
            ua.answer_offer(leg.sip, sdp=None, code=488, now=now)
            return
        leg.local = local
        ua.answer_offer(leg.sip, sdp=body, now=now)
        self.keep_dialog(leg, now)  # the peer's address may be another one now
        self._renegotiated(leg, media, now)

    def _renegotiated(self, leg: Leg, media: Negotiated, now: float) -> None:
        held = leg.media is not None and leg.media.on_hold
        leg.media = media
        self.cords.send_media(leg, now)
        if media.on_hold != held:
            self._session.shield.look(now)
            self._session.post("call.hold" if media.on_hold else "call.unhold", CallProgress(), now, target=leg.name)

    def _pong(self, leg: Leg, event: sip.Pong, now: float) -> None:
        if leg.asked is not None:
            leg.asked.cancel()
            leg.asked = None
        if event.code in (408, 481):
            self._media_lost(leg, now)
        else:
            self.cords.send_media(leg, now)  # it lives: the plane counts its silence anew

    def _media_lost(self, leg: Leg, now: float) -> None:
        """The peer is gone."""
        leg.end_cause = leg.end_cause or "media.lost"
        self.end_leg(leg, "media.lost", "edge", now)

    def connected(self, leg: Leg, headers: Mapping[str, str], now: float) -> None:
        """A leg is up."""
        leg.state = "CONNECTED"
        leg.awaits_agent = False
        leg.answered_at = now
        leg.unbridged_since = now
        if leg.no_answer is not None:
            leg.no_answer.cancel()
        self.keep_dialog(leg, now)
        self.cords.send_media(leg, now)
        self._session.post("call.connected", CallProgress(headers), now, target=leg.name)
        self.cords.update_fallbacks(now)
        for act in self._up.pop(leg.unit, ()):
            act(now)

    def when_answered(self, leg: Leg, act: Callable[[float], None], now: float) -> None:
        """Call `act` when the leg is up: now, if it is; never, if it ends before."""
        if leg.answered:
            act(now)
        elif leg.live:
            self._up.setdefault(leg.unit, []).append(act)

    def over(self, leg: Leg, by: str, code: int, reason: str, now: float, *, headers: object = None) -> None:
        """A leg is over, exactly once."""
        if not leg.live:
            return
        session = self._session
        was_answered = leg.answered
        leg.state = "TERMINATED"
        leg.ended_at = now
        leg.ended_by = by
        self.last_over = leg
        leg.end_code = leg.end_code or code
        if not leg.end_cause:
            what = "hangup" if was_answered else "cancelled" if leg.incoming else "failed"
            leg.end_cause = f"{leg.name}.{what}"
        for timer in (leg.no_answer, leg.asked):
            if timer is not None:
                timer.cancel()
        session.services.legs.pop(leg.sip, None)
        session.services.trunk_of.pop(leg.sip, None)
        if leg.dialog_kept:
            session.services.emit(DropDialog(leg.unit.replace("/", "_")))
        session.send_plane(link.LegClose(leg.unit))
        self.cords.forget(leg)
        self._up.pop(leg.unit, None)
        session.gathering.leg_over(leg, now)
        session.players.leg_over(leg, now)
        found = visible(getattr(headers, "headers", ()))
        if was_answered:
            duration = round(now - (leg.answered_at or now), 3)
            data = CallDisconnected(reason, duration, "them" if by == "them" else "us" if by == "us" else "edge", found)
            session.post("call.disconnected", data, now, target=leg.name, cause=leg.end_cause)
        else:
            session.post(
                "call.failed", CallFailed(leg.end_code, reason, found), now, target=leg.name, cause=leg.end_cause
            )
        for act in self._after.pop(leg.unit, ()):
            act(now)
        self.cords.update_fallbacks(now)
        if not self.live():
            session.executor.fail_pending("call_ended", "the last call of the session has ended")
        session.ending.progress(now)

    # --- the plane tells

    def digit(self, message: link.LegDigit, now: float) -> None:
        """A key press, counted once."""
        leg = self.by_unit(message.leg)
        if leg is None or not leg.live:
            return
        if message.gather:
            self._session.gathering.digit(message, now)
        elif leg.tones:
            noted = {"tone": MASKED} if self._session.gathering.secret(leg) else None
            self._session.post("call.tone", CallTone(message.digit), now, target=leg.name, noted=noted)

    def silent(self, message: link.LegSilent, now: float) -> None:
        """20 s without RTP: ask the peer."""
        leg = self.by_unit(message.leg)
        if leg is None or not leg.answered or leg.hanging_up:
            return
        self._session.note("media", "no RTP for 20 s, asking the peer", {"leg": leg.name}, now)
        try:
            self._session.services.ua.ping(leg.sip, now)
        except LegState as error:
            self._session.note("sip", "cannot ask the peer", {"problem": str(error)}, now)
            return
        if leg.asked is None:
            limit = now + HANG_UP_LIMIT
            leg.asked = self._session.services.timers.set(limit, lambda at: self._media_lost(leg, at))

    # --- ends

    def end_leg(
        self,
        leg: Leg,
        cause: str,
        by: str,
        now: float,
        *,
        code: int = 480,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Hang up, cancel or refuse, whatever the leg's state asks; once."""
        if not leg.live or leg.hanging_up:
            return
        leg.hanging_up = True
        leg.ended_by = by
        leg.end_cause = leg.end_cause or cause
        if leg.incoming and not leg.answered:
            leg.end_code = code
        if not leg.sip:
            self.over(leg, by, code, "", now)
            return
        try:
            self._session.services.ua.hangup(leg.sip, now, code=code, headers=tuple((headers or {}).items()))
        except ValueError as error:
            self._session.note("sip", "headers of the hang-up refused", {"problem": str(error)}, now)
            self._session.services.ua.hangup(leg.sip, now, code=code)
        self.cords.update_fallbacks(now)
        self.give_up_after(leg, HANG_UP_LIMIT, now)

    def give_up_after(self, leg: Leg, seconds: float, now: float) -> None:
        """A peer that leaves our BYE or CANCEL unanswered does not hold the session; the user agent goes on alone."""

        def unanswered(at: float) -> None:
            self.over(leg, leg.ended_by, 408, "", at)

        self._session.services.timers.set(now + seconds, unanswered)

    def when_over(self, leg: Leg, act: Callable[[float], None]) -> None:
        """Call `act` when the leg is over."""
        if leg.live:
            self._after.setdefault(leg.unit, []).append(act)
        else:
            act(leg.ended_at or 0.0)

    # --- dialogs on disk

    def keep_dialog(self, leg: Leg, now: float) -> None:
        """The dialog outlives this control."""
        state: DialogState | None = self._session.services.ua.dialog(leg.sip)
        if state is None:
            return
        self._keep(leg, {"state": state.to_json()}, now)

    def keep_invite(self, leg: Leg, event: sip.IncomingInvite, now: float) -> None:
        """An inbound call that is not answered yet outlives this control, too: the next one refuses it."""
        text = event.request.to_bytes().decode("utf-8", "surrogateescape")
        self._keep(leg, {"invite": text, "source": list(event.source)}, now)

    def _keep(self, leg: Leg, dialog: Mapping[str, Any], now: float) -> None:
        leg.dialog_kept = True
        record = DialogRecord(self._session.id, leg.name, dialog, self._session.services.clock.text(now))
        self._session.services.emit(KeepDialog(leg.unit.replace("/", "_"), record))
