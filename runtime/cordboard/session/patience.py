"""The dead-air shield: what a call hears that nobody speaks to while a function is at work for it (DESIGN §7.8).

    silence ──tone_after──▶ comfort tone ──prompt_after──▶ prompt, once, then the tone ──fallback_after──▶ fallback
       ▲                                                                                                      │
       └── a source, the end of the turns, a hold, keys that are gathered: at once, from any of these         ▼ over

Seconds are counted from the moment at which both are true: an answered call hears nobody, or an agent that has not
acknowledged its start; and an event is in flight or waits, or an agent that it made is being started. An agent that is
gone is heard until its last word. A call that rings still hears nothing, and has the fallback alone. The curve is that
of the event in flight. An event that failed, and left its call in silence and to no end, is taken as one that is late
for ever.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cordboard.contract.commands import Sound
from cordboard.contract.patience import Fallback, Patience

from .objects import Leg
from .player import Ended, Prompt
from .timers import Timer

if TYPE_CHECKING:
    from .session import Session

LEAD = 1.0
"""Seconds before its time that a prompt is loaded by the plane; its sound was made when the session's first event came.
Every call would load it otherwise, and few hear it."""

NOTHING = Patience()

Curve: TypeAlias = tuple[Patience, Fallback | None]
"""What an event's handler, or its scenario, says."""


@dataclass(slots=True, eq=False)
class Watch:
    """One call in silence."""

    leg: Leg
    since: float
    answered: bool
    tone: bool = False
    """It hears the comfort tone wherever it hears nothing else."""
    asked: bool = False
    """The prompt was asked for."""
    prompted: bool = False
    """The prompt's time came."""
    prompt: Prompt | None = None
    """While it is made ready or heard."""


class Shield:
    """One session's dead-air shield."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._busy_since: float | None = None
        self._watches: dict[str, Watch] = {}
        """Leg's unit → its silence."""
        self._quiet: dict[str, float] = {}
        """Unit of an answered leg → since when nobody speaks to it."""
        self._timer: Timer | None = None
        self._last: Curve = NOTHING, None
        """Of the event whose turn was the last."""
        self._failed: Curve | None = None
        """Of an event that failed and left somebody in silence."""
        self._warmed = False
        self._declared = session.release.has_patience(session.scenario)

    def tones(self, leg: Leg) -> bool:
        """A leg hears the comfort tone where it hears nothing else."""
        watch = self._watches.get(leg.unit)
        return watch is not None and watch.tone

    def look(self, now: float) -> None:
        """Who hears what, or whether a function is at work, may have changed, or a step of the curve is due."""
        session = self._session
        if not self._declared:
            return
        patience, fallback = self._curve()
        if patience == NOTHING and not session.busy:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        for leg in session.legs.all():
            watch = self._watches.get(leg.unit)
            if watch is not None and watch.answered != leg.answered:  # what it hears counts from the answer
                self._forget(leg, now)
                watch = None
            silent = self._silent(leg, watch)
            if not silent or not leg.answered:
                self._quiet.pop(leg.unit, None)
            else:
                self._quiet.setdefault(leg.unit, now)
            if patience == NOTHING or not silent:
                self._forget(leg, now)
            elif watch is None:
                self._warm(patience, fallback)
                quiet = self._quiet.get(leg.unit, leg.began)
                since = max(self._busy_since or now, quiet, leg.unbridged_since or 0.0)
                self._watches[leg.unit] = Watch(leg, since, leg.answered)
        for watch in list(self._watches.values()):
            self._step(watch, patience, fallback, now)
        if not self._watches and not any(session.legs.cords.hears_last_words(leg) for leg in session.legs.live()):
            self._failed = None
        self._set_timer(patience, now)

    def failed(self) -> None:
        """The event in flight fails, and nothing follows from it."""
        self._failed = self._curve()

    def would_fall_back(self) -> bool:
        """Whether the event in flight leads to the fallback if it stays without an answer, as things are now."""
        session = self._session
        leg = session.falling_back.subject()
        if self._curve()[0].fallback_after is None or leg is None:
            return False
        return self._silent(leg, self._watches.get(leg.unit)) or session.legs.cords.hears_last_words(leg)

    def forget(self) -> None:
        """Nothing is due any more."""
        if self._timer is not None:
            self._timer.cancel()

    # --- the curve

    def _step(self, watch: Watch, patience: Patience, fallback: Fallback | None, now: float) -> None:
        session, leg = self._session, watch.leg
        if self._watches.get(leg.unit) is not watch:
            return  # what was done for another leg ended its silence
        gone = now - watch.since + 1e-6
        too_late = patience.fallback_after is not None and gone >= patience.fallback_after
        if too_late and leg is session.falling_back.subject():
            session.falling_back.begin(fallback, "late", "handler.late", now)
            return
        if not leg.answered:
            return
        if patience.tone_after is not None and gone >= patience.tone_after and not watch.tone:
            watch.tone = True
            session.legs.cords.update_fallbacks(now)
        if patience.prompt and gone >= patience.prompt_after - LEAD and not watch.asked:
            self._ask(watch, patience.prompt, now)
        if patience.prompt and gone >= patience.prompt_after and not watch.prompted:
            watch.prompted = True
            if watch.prompt is not None and not session.players.awaited_by(leg):
                watch.prompt.play(now)

    def _ask(self, watch: Watch, text: str, now: float) -> None:
        watch.asked = True

        def ended(how: Ended, why: str, at: float) -> None:
            watch.prompt = None

        watch.prompt = self._session.players.held_prompt(watch.leg, [Sound.of(text)], ended, now)

    def _forget(self, leg: Leg, now: float) -> None:
        """Its silence is over."""
        watch = self._watches.pop(leg.unit, None)
        if watch is None:
            return
        if watch.prompt is not None:
            watch.prompt.stop(now)
        if watch.tone:
            self._session.legs.cords.update_fallbacks(now)

    def _set_timer(self, patience: Patience, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        steps = [patience.tone_after, patience.fallback_after]
        steps += [patience.prompt_after - LEAD, patience.prompt_after] if patience.prompt else []
        dues = (w.since + step for w in self._watches.values() for step in steps if step is not None)
        due = min((each for each in dues if each > now + 1e-6), default=None)
        self._timer = None if due is None else self._session.services.timers.set(due, self.look)

    # --- what it goes by

    def _curve(self) -> Curve:
        """Of the event in flight, else of one that failed; NOTHING where the session has an end already."""
        session, turn = self._session, self._session.turns.current
        if session.ending.terminating or session.falling_back.begun:
            return NOTHING, None
        if turn is None:
            starting = any(step.command.type in ("agent.create", "agent.start") for step in session.executor.pending)
            return self._failed or (self._last if starting else (NOTHING, None))
        event = turn.event
        wanted = session.wanted_by(event.type, event.target, event.data)
        patience = session.release.patience(session.scenario, event.type, wanted)
        self._last = patience or NOTHING, session.release.fallback(session.scenario, event.type, wanted)
        return self._last

    def _silent(self, leg: Leg, watch: Watch | None) -> bool:
        """Nobody speaks to it but the shield."""
        session = self._session
        if not leg.live or leg.hanging_up or leg.hangup_pending:
            return False
        if not leg.answered:  # what rings waits for call.alerting alone
            turn = session.turns.current
            return leg.incoming and turn is not None and turn.event.type == "call.alerting"
        if (leg.media is not None and leg.media.on_hold) or session.gathering.runs(leg):
            return False
        own = watch.prompt.unit if watch is not None and watch.prompt is not None else ""
        heard = session.legs.cords.hears(leg)
        agent = session.agents.by_unit(heard)
        return heard in ("", "comfort", own) or (agent is not None and agent.live and agent.state != "STARTED")

    def _warm(self, patience: Patience, fallback: Fallback | None) -> None:
        """Have the prompts made, so that they stand in the cache when they are needed."""
        if not self._warmed:
            self._warmed = True
            texts = (patience.prompt, fallback.prompt if fallback is not None else "")
            self._session.players.warm([Sound.of(text) for text in texts if text])
