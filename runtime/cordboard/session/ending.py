"""The end of a session: once, with its cause, and only when nothing is left (DESIGN §6, §7.2).

live ──terminate, a failure──▶ terminating ──no playout waits──▶ ending ──legs over, plane closed──▶ over
live ──cause of the edge──────────────────────────────▶ ending
live ──last leg over, mailbox empty, no timer───────────▶ ending
live ──no leg, or none any more but a timer, for [limits].idle_session──▶ ending
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cordboard.contract import link
from cordboard.contract.call_record import CallEnded, LedgerEntry
from cordboard.contract.commands import CallHangup, Command
from cordboard.contract.events import SessionTerminating

from .causes import fault_of
from .effects import ReleaseDone, SessionEnded
from .steps import Step
from .timers import Timer

if TYPE_CHECKING:
    from .session import Session

LEGS_LIMIT = 8.0
"""Seconds that ending legs may take before the record is written all the same; the user agent goes on with its BYEs
(timer F, 32 s). An edge that is asked to stop is gone within 10 s (DESIGN §1)."""

PLANE_LIMIT = 2.0
"""Seconds a plane may take to close a session."""

TERMINATING_LIMIT = 5.0
"""Seconds the turn in flight and the handler of session.terminating have once the plane is closed."""

STOPPING = {LEGS_LIMIT: 3.0, PLANE_LIMIT: 1.0, TERMINATING_LIMIT: 2.0}
"""The same when the edge stops: together below the 7.5 s that control waits for its sessions' records, so that the edge
is gone within 10 s even with a peer that answers nothing."""

_REFUSED_WITH = {"plane.lost": 500, "edge.shutdown": 503}
"""Cause → status for a call that was not answered yet; else 480 (DESIGN §4)."""


class Ending:
    """One session's end."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.terminating = False
        """No more handlers but Terminating."""
        self.begun = False
        """Everything is being ended."""
        self.over = False
        """The record is written."""
        self._cause = ""
        self._told = False
        """session.terminating was delivered, or nobody listens to it."""
        self._closing = False
        self._closed: tuple[tuple[LedgerEntry, ...], Mapping[str, Any]] | None = None
        self._terminate: list[Step] = []
        self._timer: Timer | None = None
        self._idle: Timer | None = None

    # --- ways into the end

    def terminate(self, step: Step, now: float) -> None:
        """The handler's command: waits for hang-ups after playout, then ends every leg."""
        if self.begun:
            step.done()
            return
        self._cause = self._cause or step.cause
        self.terminating = True
        self._terminate.append(step)
        self._session.drop_mailbox(now)
        self._go_on(now)

    def begin(self, cause: str, now: float) -> None:
        """End everything now."""
        if self.begun:
            return
        session = self._session
        self.begun = self.terminating = True
        self._cause = cause
        session.note("cause", cause, {"fault": fault_of(cause)}, now)
        session.drop_mailbox(now)
        session.executor.fail_pending("call_ended", "the session has ended")
        by = "us" if cause.startswith("handler.") else "edge"
        for leg in session.legs.live():
            session.legs.end_leg(leg, cause, by, now, code=_REFUSED_WITH.get(cause, 480))
        session.agents.close_all()
        self._timer = session.services.timers.set(now + self._limit(LEGS_LIMIT), self._close_plane)
        self.progress(now)

    def idle(self, now: float) -> None:
        """No turn is in flight: with no live leg and nothing to come the session is over."""
        session = self._session
        if self.over:
            return
        if self.terminating and not self.begun:
            self._go_on(now)
            return
        if self.begun:
            self.progress(now)
            return
        if session.legs.live() or session.busy:
            return
        if session.legs.all() and not session.user_timers:
            self.begin(self._last_cause(), now)
        elif self._idle is None:
            limit = session.services.config.limits.idle_session
            self._idle = session.services.timers.set(now + limit, self._idle_over)

    def _idle_over(self, now: float) -> None:
        session, self._idle = self._session, None
        if self.begun or session.legs.live():
            return
        limit = session.services.config.limits.idle_session
        since = max((leg.ended_at or 0.0 for leg in session.legs.all()), default=0.0)
        if now < since + limit:  # a leg came and went meanwhile
            self._idle = session.services.timers.set(since + limit, self._idle_over)
        elif not session.busy:  # else the end of its turn asks again
            self.begin(self._last_cause() or "limit.idle_session", now)

    def progress(self, now: float) -> None:
        """A leg or agent is over."""
        session = self._session
        if self.terminating and not self.begun:
            self._go_on(now)
        elif self.begun:
            if not session.legs.live() and not self._closing:
                self._close_plane(now)
            elif self._closing:
                self._tell_handlers(now)
                if self._closed is not None and self._told and not session.busy:
                    self._finish(now)
        elif not session.busy:
            self.idle(now)

    def _go_on(self, now: float) -> None:
        """Terminating: when no hang-up waits for a playout, end the rest."""
        session = self._session
        if self.begun or any(leg.hangup_pending for leg in session.legs.live()):
            return
        last = self._last_cause()
        self.begin(self._cause if session.legs.live() or not last else self._preferred(last), now)

    def _preferred(self, last: str) -> str:
        """Legs that ended before terminate tell the cause better than the command."""
        return last if self._cause.startswith("handler.") else self._cause

    def _last_cause(self) -> str:
        last = self._session.legs.last_over
        return last.end_cause if last is not None else ""

    def failed(self, now: float) -> None:
        """A handler's failure ends the session; where its last call was over before, or waited for an agent that
        failed, that is the cause. What an agent said last is heard out."""
        legs = self._session.legs
        if legs.all() and not legs.live():
            self.begin(self._last_cause(), now)
            return
        cause = "agent.error" if legs.inbound.agent_lost else "handler.failed"
        listening = [leg for leg in legs.live() if legs.cords.hears_last_words(leg)]
        if self.terminating or not listening:
            self.begin(cause, now)
            return
        self._cause, self.terminating = cause, True
        self._session.drop_mailbox(now)
        for leg in listening:
            command = Command("failed", "call.hangup", "failed", leg.name)
            step = Step(command, cause, now, lambda step: None)
            legs.hang_up(step, CallHangup(after="playout"), now)

    # --- out

    def _close_plane(self, now: float) -> None:
        if self._closing:
            return
        self._closing = True
        session = self._session
        if self._timer is not None:
            self._timer.cancel()
        for step in self._terminate:
            step.done()
        self._tell_handlers(now)
        if self._closed is None and session.plane_lost:
            self._closed = (), {}  # its ledger died with it
        if self._closed is not None:
            self._settle(now)
            return
        session.send_plane(link.SessionClose(session.id))
        limit = self._limit(PLANE_LIMIT)
        self._timer = session.services.timers.set(now + limit, lambda at: self.plane_closed((), {}, at))

    def _tell_handlers(self, now: float) -> None:
        """session.terminating, once the turn in flight has come to its return: its handler may write and store, but its
        commands reach nothing any more."""
        session = self._session
        if not self._told and session.turns.current is None:
            self._told = True
            session.post_last("session.terminating", SessionTerminating(self._cause), now, cause=self._cause)

    def plane_closed(self, ledger: tuple[LedgerEntry, ...], figures: Mapping[str, Any], now: float) -> None:
        """Nothing is left on the plane. Unasked (its lease ran out) it is the session's end: legs hear of it by BYE."""
        if self._closed is not None:
            return
        self._closed = ledger, figures
        if self._closing:
            self._settle(now)
        else:
            self.begin("plane.lost", now)

    def _settle(self, now: float) -> None:
        """The plane is closed: the turn in flight comes to its return, then the record is written."""
        session = self._session
        if self._timer is not None:
            self._timer.cancel()
        if session.busy or not self._told:
            self._timer = session.services.timers.set(now + self._limit(TERMINATING_LIMIT), self._finish)
        else:
            self._finish(now)

    def _limit(self, seconds: float) -> float:
        return STOPPING[seconds] if self._cause == "edge.shutdown" else seconds

    def _finish(self, now: float) -> None:
        """Write the record, once."""
        if self.over or self._closed is None:
            return
        self.over = True
        ledger, figures = self._closed
        session = self._session
        services = session.services
        for timer in (self._timer, self._idle):
            if timer is not None:
                timer.cancel()
        session.turns.abandon(now)
        session.close_requests()
        session.forget_timers()
        for entry in ledger:
            session.note("ledger", f"{_name(entry.source)} → {_name(entry.sink)}", _facts(entry), now)
        session.write_transcript(ledger)
        for leg in session.legs.live():
            services.legs.pop(leg.sip, None)
        first = next(iter(session.legs.all()), None)
        record = CallEnded(
            session=session.id,
            scenario=session.scenario,
            cause=self._cause,
            fault=fault_of(self._cause),
            started_at=session.started_text,
            ended_at=services.clock.text(now),
            duration=round(now - session.began, 3),
            from_=first.callerid if first is not None else "",
            to=first.number if first is not None else "",
            release=session.release.id,
            legs=tuple(leg.leg_record(now) for leg in session.legs.all()),
            ledger=ledger,
            figures={**session.figures, **figures},
            recordings=session.recordings.files(),
            invocations=session.turns.invocations,
        )
        session.note("event", "call.ended", {"cause": record.cause, "fault": record.fault}, now)
        services.emit(SessionEnded(record, session.recordings.jobs()))
        services.emit(ReleaseDone(session.release.id))


def _name(unit: str) -> str:
    return unit.partition("/")[2] or unit


def _facts(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "rate": entry.rate,
        "received": entry.received,
        "sent": entry.sent,
        "cleared": entry.cleared,
        "discarded": dict(entry.discarded),
        "queued": entry.queued,
    }
