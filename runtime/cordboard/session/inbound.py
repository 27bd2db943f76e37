"""Inbound legs: the offer of a call that came in, and a handler's 180, 183, 200 or refusal.

A 183 or 200 leaves when the plane has confirmed the leg's media (limit 1 s, else 500; DESIGN §1). A 200 may wait for
the agent (DESIGN §7.7): the call rings on and costs nothing until somebody is there to speak.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cordboard.contract import commands
from cordboard.sip import events as sip
from cordboard.sip.leg import LegState
from cordboard.sip.offer import LocalMedia, Negotiated, answer, offer

from .objects import Leg, visible
from .steps import Step
from .timers import Timer

if TYPE_CHECKING:
    from .legs import Legs
    from .session import Session

MEDIA_LIMIT = 1.0
"""Seconds a plane may take to confirm a leg before its 200 becomes a 500 (DESIGN §1)."""

READY_LIMIT = 10.0
"""Seconds a call rings on for its agent: what the acknowledgement of a start may take (DESIGN §4)."""

Described: TypeAlias = tuple[bytes, Negotiated | None]
"""Our description, and what was negotiated; None while the offer is ours."""


def describe(sdp: bytes | None, local: LocalMedia) -> Described:
    """Our answer, or our offer to an INVITE without one. Raises SdpError (→ 400), NotAcceptable (→ 488)."""
    return (offer(local), None) if sdp is None else answer(sdp, local)


@dataclass(slots=True)
class Expectant:
    """A call that is answered once an agent is ready."""

    leg: Leg
    step: Step
    args: commands.CallAnswer
    limit: Timer
    agent_failed: bool = False


class Inbound:
    """The call that began a session."""

    def __init__(self, session: "Session", legs: "Legs") -> None:
        self._session = session
        self._legs = legs
        self._expectant: Expectant | None = None

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

    # --- answered when an agent is ready

    def answer(self, step: Step, args: commands.CallAnswer, now: float) -> None:
        """call.answer: now, or when an agent is ready."""
        leg = self._legs.get(step.command.target or "")
        may_wait = leg is not None and leg.incoming and not leg.answered and not leg.hanging_up
        if leg is None or args.when is None or not may_wait or self._session.agents.started:
            self.respond(step, args, 200, now)
            return
        if step.limit is not None:
            step.limit.cancel()  # the leg is answered or over within a limit of its own
        if leg.media_ready:
            self.ring(leg, now)
        else:  # after a 183 that was commanded before and waits for the same
            self._legs.cords.when_media_ready(leg, lambda at: self.ring(leg, at))
        self._legs.when_answered(leg, lambda at: step.done(), now)
        self._legs.when_over(leg, lambda at: step.fail("call_ended", "the call ended before an agent was ready"))
        if not leg.awaits_agent:
            leg.awaits_agent = True
            limit = self._session.services.timers.set(now + READY_LIMIT, self._nobody_ready)
            self._expectant = Expectant(leg, step, args, limit)
            self._legs.when_answered(leg, lambda at: self.give_up_agent(), now)
            self._legs.when_over(leg, lambda at: self.give_up_agent())

    def ring(self, leg: Leg, now: float) -> None:
        """180, where the caller has heard of nothing yet."""
        if leg.state == "ALERTING" and not leg.hanging_up:
            self._session.services.ua.respond(leg.sip, 180, now=now)
            leg.state = "PROGRESSING"

    def agent_ready(self, now: float) -> None:
        """An agent has acknowledged its start."""
        expectant = self._expectant
        if expectant is not None:
            expectant.limit.cancel()
            self.respond(expectant.step, expectant.args, 200, now)

    def agent_failed(self, now: float) -> None:
        """An agent could not be opened or started, or is gone."""
        if self._expectant is not None:
            self._expectant.agent_failed = True
            self.look_for_agent(now)

    def look_for_agent(self, now: float) -> None:
        """Refuse a call whose agent has failed; not while a handler may yet make another, answer or refuse."""
        if self._expectant is not None and self.agent_lost and self._session.turns.current is None:
            self._legs.end_leg(self._expectant.leg, "agent.error", "edge", now, code=480)

    @property
    def agent_lost(self) -> bool:
        """A call waits for an agent that failed, and there is no other."""
        failed = self._expectant is not None and self._expectant.agent_failed
        return failed and not any(agent.live for agent in self._session.agents.all())

    def _nobody_ready(self, now: float) -> None:
        expectant, session = self._expectant, self._session
        if expectant is not None:
            session.note("agent", f"no agent was ready within {READY_LIMIT:g} s", {"leg": expectant.leg.name}, now)
            cause = "agent.error" if session.agents.all() else "limit.no_answer"
            self._legs.end_leg(expectant.leg, cause, "edge", now, code=480)

    def give_up_agent(self) -> None:
        """The call waits for no agent any more: it is answered, over, or in the fallback's hands."""
        if self._expectant is not None:
            self._expectant.limit.cancel()
            self._expectant.leg.awaits_agent = False
            self._expectant = None

    # --- responses

    def respond(self, step: Step, args: commands.CallRespond | commands.CallAnswer, code: int, now: float) -> None:
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

    def _send_response(
        self, leg: Leg, step: Step, code: int, args: commands.CallRespond | commands.CallAnswer, now: float
    ) -> None:
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
