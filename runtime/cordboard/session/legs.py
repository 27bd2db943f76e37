"""A session's legs: commands towards the user agent, and what the user agent and the plane tell of them.

A 183 or 200 leaves when the plane has confirmed the leg's media (limit 1 s, else 500; DESIGN §1).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cordboard.contract import commands, link
from cordboard.contract.events import CallDisconnected, CallFailed, CallProgress, CallTone
from cordboard.contract.records import DialogRecord
from cordboard.sip import events as sip
from cordboard.sip.dialog import DialogState
from cordboard.sip.info import parse_info_digit
from cordboard.sip.leg import LegState
from cordboard.sip.offer import LocalMedia, Negotiated, NotAcceptable, accept_answer, answer, offer
from cordboard.sip.sdp import SdpError

from .dialling import Dialling
from .effects import DropDialog, KeepDialog
from .objects import Leg, visible
from .steps import Step

if TYPE_CHECKING:
    from .session import Session

MEDIA_LIMIT = 1.0
"""Seconds a plane may take to confirm a leg before its 200 becomes a 500 (DESIGN §1)."""


class Legs:
    """All legs of one session."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._legs: list[Leg] = []
        self._routes: dict[str, str] = {}
        """Sink unit → source unit."""
        self._after: dict[str, list[Callable[[float], None]]] = {}
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
            self._session.services.legs[leg.sip] = self._session.id

    # --- inbound

    def incoming(self, event: sip.IncomingInvite, port: int, now: float) -> Leg:
        """The session's first leg. Raises SdpError (→ 400), NotAcceptable (→ 488)."""
        services = self._session.services
        local = LocalMedia(
            host=services.media_host(event.source), port=port, session_id=services.rng.getrandbits(48), version=1
        )
        leg = Leg(
            name="caller",
            unit=self.unit_for("caller"),
            sip=event.leg,
            incoming=True,
            port=port,
            local=local,
            number=event.callee,
            callerid=event.caller,
            display_name=event.display_name,
            headers=visible(event.request.headers),
            began=now,
            call_id=event.request.call_id,
        )
        if event.sdp is None:
            leg.late_offer = True
            leg.answer = offer(local)
        else:
            leg.answer, leg.media = answer(event.sdp, local)
        self.add(leg)
        self.send_media(leg, now)
        limit = services.config.limits.no_answer
        leg.no_answer = services.timers.set(now + limit, lambda at: self._not_answered(leg, at))
        return leg

    def _not_answered(self, leg: Leg, now: float) -> None:
        if leg.live and not leg.answered:
            self._session.at(now)
            self.end_leg(leg, "limit.no_answer", "edge", now, code=480)

    def respond(self, step: Step, args: commands.CallRespond, code: int, now: float) -> None:
        """180, 183 or 200 to an inbound call."""
        leg = self.get(step.command.target or "")
        if leg is None or not leg.incoming:
            step.fail("object_ended", f"call {step.command.target!r} is over or was dialled by us")
            return
        if leg.answered:
            if code == 200:
                step.done()
            else:
                step.fail("refused", f"call {leg.name!r} is answered already")
            return
        if code == 180:
            self._send_response(leg, step, code, args, now)
            return
        if leg.media_ready:
            self._send_response(leg, step, code, args, now)
            return

        def late(at: float) -> None:
            if leg.live and not leg.answered and step.status == "pending":
                step.fail("media_timeout", f"the media plane did not confirm the leg within {MEDIA_LIMIT:g} s")
                self.end_leg(leg, "plane.lost", "edge", at, code=500)

        timer = self._session.services.timers.set(now + MEDIA_LIMIT, late)

        def ready(at: float) -> None:
            timer.cancel()
            if leg.live and step.status == "pending":
                self._send_response(leg, step, code, args, at)

        self.when_media_ready(leg, ready)

    def _send_response(self, leg: Leg, step: Step, code: int, args: commands.CallRespond, now: float) -> None:
        session = self._session
        body = leg.answer if code != 180 else None
        try:
            session.services.ua.respond(leg.sip, code, sdp=body, headers=tuple(args.headers.items()), now=now)
        except (LegState, ValueError) as error:
            step.fail("invalid", str(error))
            return
        leg.state = "PROGRESSING"
        if code == 183:
            leg.early_sent = True
        if code == 200:
            leg.state = "CONNECTED"
            leg.answered_at = now
            leg.unbridged_since = now
            if leg.no_answer is not None:
                leg.no_answer.cancel()
            self.keep_dialog(leg, now)
            self.send_media(leg, now)
            session.post("call.connected", CallProgress(), now, target=leg.name)
            self.update_fallbacks(now)
        step.done()

    def reject(self, step: Step, args: commands.CallReject, now: float) -> None:
        """A final refusal of an inbound call."""
        leg = self.get(step.command.target or "")
        if leg is None or not leg.incoming or leg.answered:
            step.fail("object_ended", f"call {step.command.target!r} cannot be rejected now")
            return
        self.end_leg(leg, "handler.refused", "us", now, code=args.code, headers=args.headers)
        step.done()

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

        self.when_over(leg, lambda at: step.done())
        self._session.send_plane(link.LegPlayout(leg.unit, self._session.confirm(heard_out)))
        # The plane answers within 15 s; should it not, the leg ends all the same.
        self._session.services.timers.set(
            now + 16.0, lambda at: self.end_leg(leg, step.cause, "us", at) if leg.live else None
        )

    def dial(self, step: Step, args: commands.CallDial, now: float) -> None:
        """A new outbound leg."""
        self.dialling.dial(step, args, now)

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
            leg.media = accept_answer(event.sdp, leg.local)
        except (SdpError, NotAcceptable) as error:
            self._session.note("sip", "unusable answer in ACK", {"problem": str(error)}, now)
            self.end_leg(leg, f"{leg.name}.failed", "edge", now)
            return
        self.send_media(leg, now)

    def _offered(self, leg: Leg, event: sip.Offered, now: float) -> None:
        ua = self._session.services.ua
        assert leg.local is not None
        local = leg.local
        leg.local = LocalMedia(local.host, local.port, local.session_id, local.version + 1)
        if event.sdp is None:
            ua.answer_offer(leg.sip, sdp=offer(leg.local), now=now)
            return
        held = leg.media is not None and leg.media.on_hold
        try:
            body, media = answer(event.sdp, leg.local)
        except SdpError:
            ua.answer_offer(leg.sip, sdp=None, code=400, now=now)
            return
        except NotAcceptable:
            ua.answer_offer(leg.sip, sdp=None, code=488, now=now)
            return
        leg.media = media
        ua.answer_offer(leg.sip, sdp=body, now=now)
        self.send_media(leg, now)
        if media.on_hold != held:
            self._session.post("call.hold" if media.on_hold else "call.unhold", CallProgress(), now, target=leg.name)

    def _pong(self, leg: Leg, event: sip.Pong, now: float) -> None:
        if event.code in (408, 481):
            leg.end_cause = "media.lost"
            self.end_leg(leg, "media.lost", "edge", now)
        else:
            self.send_media(leg, now)  # it lives: the plane counts its silence anew

    def over(self, leg: Leg, by: str, code: int, reason: str, now: float, *, headers: object = None) -> None:
        """A leg is over, exactly once."""
        if not leg.live:
            return
        session = self._session
        was_answered = leg.answered
        leg.state = "TERMINATED"
        leg.ended_at = now
        leg.ended_by = by
        leg.end_code = leg.end_code or code
        if not leg.end_cause:
            what = "hangup" if was_answered else "cancelled" if leg.incoming else "failed"
            leg.end_cause = f"{leg.name}.{what}"
        if leg.no_answer is not None:
            leg.no_answer.cancel()
        session.services.legs.pop(leg.sip, None)
        if leg.dialog_kept:
            session.services.emit(DropDialog(leg.unit.replace("/", "_")))
        session.send_plane(link.LegClose(leg.unit))
        self._routes = {sink: src for sink, src in self._routes.items() if leg.unit not in (sink, src)}
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
        self.update_fallbacks(now)
        if not self.live():
            session.executor.fail_pending("call_ended", "the last call of the session has ended")
        session.ending.progress(now)

    # --- the plane tells

    def digit(self, message: link.LegDigit, now: float) -> None:
        """A key press, counted once."""
        leg = self.by_unit(message.leg)
        if leg is not None and leg.live and leg.tones:
            self._session.post("call.tone", CallTone(message.digit), now, target=leg.name)

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

    def when_over(self, leg: Leg, act: Callable[[float], None]) -> None:
        """Call `act` when the leg is over."""
        if leg.live:
            self._after.setdefault(leg.unit, []).append(act)
        else:
            act(leg.ended_at or 0.0)

    def hanging_up_after(self, source: str) -> Leg | None:
        """The leg fed by `source` whose hang-up waits for the playout."""
        sink = next((sink for sink, src in self._routes.items() if src == source), None)
        leg = self.by_unit(sink) if sink is not None else None
        return leg if leg is not None and leg.live and leg.hangup_pending else None

    # --- media

    def send_media(self, leg: Leg, now: float) -> None:
        """Tell the plane what is negotiated."""
        session = self._session
        media: Negotiated | None = leg.media

        def confirmed(done: link.Done, at: float) -> None:
            if done.ok:
                leg.media_ready = True
                for act in self._waiting_media.pop(leg.unit, ()):
                    act(at)

        message = link.LegMedia(
            leg=leg.unit,
            port=leg.port,
            codec="PCMA" if media is not None and media.codec == "PCMA" else "PCMU",
            remote=media.remote if media is not None else (),
            remote_rtcp=media.remote_rtcp if media is not None else (),
            send_payload_type=media.send_payload_type if media is not None else 0,
            dtmf_send=media.dtmf_send if media is not None else None,
            dtmf_receive=media.dtmf_receive if media is not None else None,
            direction=media.direction if media is not None else "sendrecv",
            on_hold=media.on_hold if media is not None else False,
            answered=leg.answered,
            confirm=session.confirm(confirmed),
        )
        session.send_plane(message)

    @property
    def _waiting_media(self) -> dict[str, list[Callable[[float], None]]]:
        return self.dialling.waiting_media

    def when_media_ready(self, leg: Leg, act: Callable[[float], None]) -> None:
        """Call `act` when the plane has confirmed the leg."""
        self._waiting_media.setdefault(leg.unit, []).append(act)

    def route(self, source: str, sink: str, now: float) -> None:
        """`sink` hears `source`."""
        self._routes[sink] = source
        self._session.send_plane(link.Route(source, sink))
        self.update_fallbacks(now)

    def unroute(self, source: str, sink: str, now: float) -> None:
        """`sink` hears `source` no more."""
        if self._routes.get(sink) == source:
            del self._routes[sink]
        self._session.send_plane(link.Unroute(source, sink))
        self.update_fallbacks(now)

    def source_gone(self, unit: str, now: float) -> None:
        """An agent is closed: its listeners have no source once its words are heard out."""
        self._routes = {sink: src for sink, src in self._routes.items() if unit != src or self._pending_for(sink)}
        self._routes.pop(unit, None)
        self.update_fallbacks(now)

    def _pending_for(self, sink: str) -> bool:
        leg = self.by_unit(sink)
        return leg is not None and leg.live and leg.hangup_pending

    def bridged(self, leg: Leg) -> bool:
        """It hears somebody."""
        return leg.unit in self._routes

    def update_fallbacks(self, now: float) -> None:
        """An answered leg without a source hears the newest ringing leg's early media, else ringback (DESIGN §1)."""
        ringing = [
            leg for leg in self._legs if leg.live and not leg.incoming and not leg.answered and not leg.hanging_up
        ]
        wanted = ""
        if ringing:
            newest = ringing[-1]
            wanted = newest.unit if newest.early_media else "ringback"
        for leg in self._legs:
            if not leg.live or not leg.answered:
                continue
            fallback = "" if self.bridged(leg) or leg.hangup_pending else wanted
            if fallback != leg.fallback:
                leg.fallback = fallback
                self._session.send_plane(link.LegFallback(leg.unit, fallback))
                what = {"": "nothing", "ringback": "ringback"}.get(fallback, "early media")
                self._session.note("media", f"{leg.name} hears {what}", {}, now)
            lonely = not self.bridged(leg) and not wanted and not leg.hangup_pending
            leg.unbridged_since = (leg.unbridged_since if leg.unbridged_since is not None else now) if lonely else None

    # --- dialogs on disk

    def keep_dialog(self, leg: Leg, now: float) -> None:
        """The dialog outlives this control."""
        state: DialogState | None = self._session.services.ua.dialog(leg.sip)
        if state is None:
            return
        leg.dialog_kept = True
        record = DialogRecord(
            self._session.id, leg.name, {"state": state.to_json()}, self._session.services.clock.text(now)
        )
        self._session.services.emit(KeepDialog(leg.unit.replace("/", "_"), record))
