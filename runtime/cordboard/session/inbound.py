"""Inbound legs: the offer of a call that came in, and a handler's 180, 183, 200 or refusal.

A 183 or 200 leaves when the plane has confirmed the leg's media (limit 1 s, else 500; DESIGN §1).
"""

from typing import TYPE_CHECKING, TypeAlias

from cordboard.contract import commands
from cordboard.sip import events as sip
from cordboard.sip.leg import LegState
from cordboard.sip.offer import LocalMedia, Negotiated, answer, offer

from .objects import Leg, visible
from .steps import Step

if TYPE_CHECKING:
    from .legs import Legs
    from .session import Session

MEDIA_LIMIT = 1.0
"""Seconds a plane may take to confirm a leg before its 200 becomes a 500 (DESIGN §1)."""


Described: TypeAlias = tuple[bytes, Negotiated | None]
"""Our description, and what was negotiated; None while the offer is ours."""


def describe(sdp: bytes | None, local: LocalMedia) -> Described:
    """Our answer, or our offer to an INVITE without one. Raises SdpError (→ 400), NotAcceptable (→ 488)."""
    return (offer(local), None) if sdp is None else answer(sdp, local)


class Inbound:
    """The call that began a session."""

    def __init__(self, session: "Session", legs: "Legs") -> None:
        self._session = session
        self._legs = legs

    def incoming(
        self, event: sip.IncomingInvite, local: LocalMedia, described: Described, trunk: str | None, now: float
    ) -> Leg:
        """The session's first leg."""
        services = self._session.services
        leg = Leg(
            name="caller",
            unit=self._legs.unit_for("caller"),
            sip=event.leg,
            incoming=True,
            port=local.port,
            local=local,
            number=event.callee,
            callerid=event.caller,
            display_name=event.display_name,
            headers=visible(event.request.headers),
            began=now,
            call_id=event.request.call_id,
        )
        leg.late_offer = event.sdp is None
        leg.answer, leg.media = described
        leg.trunk = trunk
        self._legs.add(leg)
        self._legs.keep_invite(leg, event, now)
        self._legs.cords.send_media(leg, now)
        limit = services.config.limits.no_answer
        leg.no_answer = services.timers.set(now + limit, lambda at: self._not_answered(leg, at))
        return leg

    def _not_answered(self, leg: Leg, now: float) -> None:
        if leg.live and not leg.answered:
            self._legs.end_leg(leg, "limit.no_answer", "edge", now, code=480)

    def respond(self, step: Step, args: commands.CallRespond, code: int, now: float) -> None:
        """180, 183 or 200 to an inbound call."""
        leg = self._legs.get(step.command.target or "")
        if leg is None or not leg.incoming or leg.hanging_up:
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
                self._legs.end_leg(leg, "plane.lost", "edge", at, code=500)

        timer = self._session.services.timers.set(now + MEDIA_LIMIT, late)

        def ready(at: float) -> None:
            timer.cancel()
            if leg.live and step.status == "pending":
                self.respond(step, args, code, at)

        self._legs.cords.when_media_ready(leg, ready)

    def _send_response(self, leg: Leg, step: Step, code: int, args: commands.CallRespond, now: float) -> None:
        session = self._session
        # Our own offer may not stand in an unreliable response (RFC 3261 §13.2.1): it waits for the 200.
        body = leg.answer if code == 200 or (code == 183 and not leg.late_offer) else None
        try:
            session.services.ua.respond(leg.sip, code, sdp=body, headers=tuple(args.headers.items()), now=now)
        except (LegState, ValueError) as error:
            step.fail("invalid", str(error))
            return
        leg.state = "PROGRESSING"
        if code == 200:
            self._legs.connected(leg, {}, now)
        step.done()

    def reject(self, step: Step, args: commands.CallReject, now: float) -> None:
        """A final refusal of an inbound call."""
        leg = self._legs.get(step.command.target or "")
        if leg is None or not leg.incoming or leg.answered:
            step.fail("object_ended", f"call {step.command.target!r} cannot be rejected now")
            return
        self._legs.end_leg(leg, "handler.refused", "us", now, code=args.code, headers=args.headers)
        step.done()
