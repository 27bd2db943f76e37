"""The scenario's last word on a call: what becomes of it without its function (DESIGN §4, §7.8).

    failed, late, alone ──▶ dialling ──answered──▶ bridged ──either hangs up──▶ over
                 │              └──not reached──▶ prompting ──heard out──▶ over
                 └── nobody to dial ──▶ prompting; a call that is not answered is refused

From then on the session is in its hands: the turn in flight and the events that wait are void, agents are closed, other
legs end, and handlers hear of nothing but the end of the call and of its recordings.
"""

from typing import TYPE_CHECKING, Any

from cordboard.contract import commands
from cordboard.contract.commands import Sound
from cordboard.contract.patience import Fallback

from .capabilities import TAKEN_OVER
from .objects import Leg
from .player import Ended
from .steps import Step

if TYPE_CHECKING:
    from .session import Session

NAME = "fallback"
"""Name of the leg that is dialled."""


class FallingBack:
    """One session's fallback: it runs once, or never."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._leg: Leg | None = None
        self._to: Leg | None = None
        self._fallback = Fallback()
        self._cause = ""

    @property
    def begun(self) -> bool:
        """The session is in its hands."""
        return self._leg is not None

    def subject(self) -> Leg | None:
        """The call that it is about: the first that came in, else the first; None where it is ending."""
        live = self._session.legs.live()
        leg = next((each for each in live if each.incoming), live[0] if live else None)
        return None if leg is None or leg.hanging_up or leg.hangup_pending else leg

    def delivers(self, type_: str, target: str | None) -> bool:
        """Whether an event still goes to its handler."""
        if self._leg is None:
            return True
        return type_.startswith("record.") or (
            type_ in ("call.disconnected", "call.failed") and target == self._leg.name
        )

    def begin(self, fallback: Fallback | None, why: str, cause: str, now: float) -> bool:
        """Take the session over; `cause`: what the call's end is put down to. False where there is no call to save."""
        session, leg = self._session, self.subject()
        if leg is None or self.begun or session.ending.terminating:
            return False
        self._leg, self._fallback, self._cause = leg, fallback or Fallback(), cause
        session.note("cause", "fallback", {"why": why, "leg": leg.name}, now)
        session.turns.overtaken(why, now)
        session.drop_mailbox(now, TAKEN_OVER)
        session.legs.inbound.give_up_agent()
        session.executor.fail_pending("fallback", "the scenario's fallback runs")
        session.executor.forget_timers()
        session.agents.close_all()
        for player in session.players.all():
            session.players.end(player, "fallback", now)
        for other in session.legs.live():
            session.gathering.give_up(other, now)
            if other is not leg:
                session.legs.end_leg(other, cause, "edge", now)
        session.legs.cords.unroute_all(leg, now)
        if self._fallback.to:
            self._dial(leg, now)
        else:
            self._prompt(leg, now)
        return True

    def _dial(self, leg: Leg, now: float) -> None:
        session, args = self._session, self._fallback
        if not leg.answered:
            session.legs.inbound.ring(leg, now)
        dial = commands.CallDial(args.to, args.callerid, timeout=args.timeout, trunk=args.trunk)
        to = self._to = session.legs.dialling.place(NAME, dial, now)
        if not to.live:
            self._prompt(leg, now)
            return
        session.legs.when_answered(to, lambda at: self._reached(leg, to, at), now)
        session.legs.when_over(to, lambda at: self._left(leg, to, at))
        session.legs.when_over(leg, lambda at: session.legs.end_leg(to, leg.end_cause, "edge", at))

    def _reached(self, leg: Leg, to: Leg, now: float) -> None:
        def bridge(at: float) -> None:
            if to.live and leg.live:
                cords = self._session.legs.cords
                cords.route(to.unit, leg.unit, at)
                cords.route(leg.unit, to.unit, at)

        inbound = self._session.legs.inbound
        if not leg.answered:
            inbound.respond(self._own_step("call.answer", leg, now), commands.CallAnswer(), 200, now)
        self._session.legs.when_answered(leg, bridge, now)

    def _left(self, leg: Leg, to: Leg, now: float) -> None:
        if to.answered_at is None:
            self._prompt(leg, now)
        else:
            self._session.legs.end_leg(leg, f"{NAME}.hangup", "edge", now)

    def _prompt(self, leg: Leg, now: float) -> None:
        """The prompt, then the end."""
        if not leg.live or leg.hanging_up:
            return
        if not leg.answered or not self._fallback.prompt:
            self._end(leg, now)
            return

        def ended(how: Ended, why: str, at: float) -> None:
            self._end(leg, at)

        def play(at: float) -> None:
            if leg.live and not leg.hanging_up:
                self._session.players.prompt(leg, [Sound.of(self._fallback.prompt)], ended, at)

        self._session.legs.cords.when_heard_out(leg, play, now)

    def _end(self, leg: Leg, now: float) -> None:
        self._session.legs.end_leg(leg, self._cause, "edge", now, code=self._fallback.code)

    def _own_step(self, type_: str, leg: Leg, now: float) -> Step:
        def settled(step: Step) -> Any:
            if step.error is not None:
                self._session.note("cause", "the fallback failed", {"message": step.error.message}, now)

        return Step(commands.Command(NAME, type_, NAME, leg.name), self._cause, now, settled)
