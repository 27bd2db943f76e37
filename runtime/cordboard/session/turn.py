"""The turn: one event, its rounds, its journal, its retries, and what happens when it fails (DESIGN §4).

    idle ──begin──▶ invoked ──answer: done──▶ idle
                     ▲   │──answer: suspended──▶ parked ──result known──▶ invoked (next round)
                     │   └──lost, timed out, crashed, once──┘
                     └── a second loss, a raised exception, a refused answer, 30 s parked: policy ──▶ idle

A round is atomic: nothing of an answer that is failed, refused or void is executed.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.records import (
    MAX_INVOCATIONS,
    MAX_REQUEST,
    Answer,
    EventRoute,
    Invocation,
    Reply,
    SessionInfo,
    StateSnapshot,
    size_of,
)

from .answer_check import check_answer, check_size
from .breaker import COUNTED
from .effects import Invoke, Log
from .in_flight import PARKED_LIMIT, Posted, Turn
from .policy import Policy, policy_for
from .steps import Journal, Step

if TYPE_CHECKING:
    from .session import Session

HOST_GRACE = 12.0
"""Seconds beyond a round's time after which a silent host is given up: it may wait twice for a free worker."""

ATTEMPTS = 2
"""Tries of a round that is lost, times out, crashes or is throttled."""

THROTTLED_PAUSE = 0.3
"""Seconds before a throttled round is tried again: at once it would be throttled again, and a caller waits."""


class Turns:
    """Runs one turn at a time for one session."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.current: Turn | None = None
        self.invocations = 0
        self.state = StateSnapshot(0)

    def begin(self, posted: Posted, function: str, route: EventRoute, now: float) -> None:
        """Start the turn of an event."""
        session = self._session
        self.current = Turn(
            posted,
            function,
            route,
            session.services.clock.text(now),
            tuple(session.object_records()),
            Journal(posted.event.seq),
        )
        self._invoke(now)

    def answered(self, token: str, raw: Mapping[str, Any], now: float) -> None:
        """A function answered."""
        turn = self._of(token, "answer", now)
        if turn is None:
            return
        if self._session.services.breakers.answered(self._session.release.id, turn.function):
            self._tell_breaker(turn, "closes", now)
        try:
            check_size(raw)
            self._redact_revealed(raw)
            answer = decode(Answer, raw)
            check_answer(
                answer, turn.journal,
                event_id=turn.event.id, round_=turn.round, attempt=turn.attempt, state_version=self.state.version,
            )  # fmt: skip
        except DecodeError as error:
            self._fail("refused", f"the answer of {turn.function} was refused: {error}", now)
            return
        turn.logged += len(answer.logs)
        self._session.journal.answered(answer)
        self._log(turn, answer, now)
        if answer.status == "failed":
            assert answer.error is not None
            data = {"traceback": answer.error.traceback} if answer.error.traceback else {}
            self._fail(answer.error.type, answer.error.message, now, data)
            return
        steps = self._accept(turn, answer)
        if answer.status == "done":
            self._done(turn, answer, steps, now)
        else:
            self._park(turn, answer, steps, now)

    def _redact_revealed(self, raw: Mapping[str, Any]) -> None:
        """Of an answer that is not judged yet: what refuses it may quote it."""
        reads = raw.get("journal")
        for read in reads if isinstance(reads, (list, tuple)) else ():
            if (
                isinstance(read, Mapping)
                and read.get("type") == "secret.reveal"
                and isinstance(read.get("target"), str)
            ):
                self._session.redact_secret(read["target"])

    def lost(self, token: str, kind: str, message: str, now: float) -> None:
        """A round brought no answer: lost, timed out, crashed, throttled, raised outside the contract, too large."""
        turn = self._of(token, kind, now)
        if turn is None:
            return
        self._session.note(
            "round", f"{turn.function} {kind}", {"event": turn.event.id, "round": turn.round, "message": message}, now
        )
        if kind in COUNTED and self._breaker_opens(turn, now):
            self._fail(kind, message, now)
        elif kind == "throttled" and turn.attempt < ATTEMPTS:
            turn.attempt += 1
            self._limit(turn, now + THROTTLED_PAUSE, self._invoke)
        elif kind in ("timeout", "crashed", "lost") and turn.attempt < ATTEMPTS:
            turn.attempt += 1
            self._invoke(now)
        else:
            self._fail(kind, message, now)

    def settled(self, step: Step, now: float) -> None:
        """A step's result is known; a turn that waits for it goes on."""
        turn = self.current
        if turn is not None and turn.state == "parked" and step.id in turn.waiting:
            self._resume(turn, now)
        elif step.status == "failed" and (turn is None or turn.state == "done" or turn.journal.get(step.id) is None):
            self._session.unawaited_failure(step, now)

    def abandon(self, now: float) -> None:
        """The session is over: what is in flight is void."""
        if self.current is not None:
            self._finish(self.current, now)

    # --- rounds

    def _invoke(self, now: float) -> None:
        turn, session = self.current, self._session
        assert turn is not None
        turn.state = "invoked"
        if self.invocations >= MAX_INVOCATIONS and turn.event.type != "session.terminating":
            self._finish(turn, now, resume=False)
            session.end("limit.invocations", now)
            return
        if not session.services.breakers.admits(session.release.id, turn.function, now):
            self._fail("breaker_open", f"{turn.function} gave no answer several times in a row and is not asked", now)
            return
        self.invocations += 1
        turn.token = f"{turn.event.id}:{turn.round}:{turn.attempt}"
        turn.invoked_at = now
        invocation = Invocation(
            session=SessionInfo(
                id=session.id,
                scenario=session.scenario,
                control_url=session.control_url,
                started_at=session.started_text,
                custom_data=session.custom_data,
            ),
            event=turn.event,
            now=turn.now_text,
            attempt=turn.attempt,
            round=turn.round,
            logged=turn.logged,
            release=session.release.id,
            deadline_ms=round(turn.route.timeout * 1000),
            state=self.state,
            objects=turn.objects,
            journal=tuple(turn.journal.entries()),
        )
        payload = encode(invocation)
        assert isinstance(payload, Mapping)
        size = size_of(payload)
        if size > MAX_REQUEST:
            self._fail("too_large", f"the invocation has {size} bytes, more than {MAX_REQUEST}", now)
            return
        session.journal.sent(invocation, turn.function, turn.posted.noted)
        token, timeout = turn.token, turn.route.timeout
        message = f"no answer after {timeout:g} s, and no word of the functions' host"
        self._limit(turn, now + timeout + HOST_GRACE, lambda at: self.lost(token, "timeout", message, at))
        session.services.emit(Invoke(token, session.release.id, turn.function, payload, timeout))

    def _accept(self, turn: Turn, answer: Answer) -> list[Step]:
        """Take the round's reads and commands into the journal; returns the steps to execute."""
        for entry in answer.journal:
            turn.journal.add_read(entry)
        steps = []
        for command in answer.commands:
            if turn.journal.get(command.id) is None:
                step = self._session.new_step(command, turn.posted)
                turn.journal.add_step(step)
                steps.append(step)
        return steps

    def _done(self, turn: Turn, answer: Answer, steps: list[Step], now: float) -> None:
        session = self._session
        if answer.state is not None:
            self.state = StateSnapshot(self.state.version + 1, answer.state.data)
        self._note_round(turn, "done", now)
        turn.state = "done"
        self._tell_failures(turn, now)
        session.execute(steps, now)
        if turn.posted.request:
            session.reply(turn.posted.request, answer.reply or Reply(204), now)
        self._finish(turn, now)

    def _park(self, turn: Turn, answer: Answer, steps: list[Step], now: float) -> None:
        session = self._session
        turn.state = "parked"
        turn.waiting = answer.waiting
        turn.awaited.update(answer.waiting)
        turn.parked_at = now
        self._limit(turn, now + turn.may_park, lambda at: self._fail("parked", f"parked for {PARKED_LIMIT:g} s", at))
        self._note_round(turn, "suspended", now)
        session.execute(steps, now)
        if self.current is turn and turn.state == "parked":
            self._resume(turn, now)

    def _resume(self, turn: Turn, now: float) -> None:
        """Next round if everything that is waited for is known."""
        for waiting in turn.waiting:
            step = turn.journal.get(waiting)
            if isinstance(step, Step) and step.status == "pending":
                return
        turn.may_park -= now - turn.parked_at
        turn.round += 1
        turn.attempt = 1
        self._invoke(now)

    def _limit(self, turn: Turn, due: float, act: Callable[[float], None]) -> None:
        if turn.timer is not None:
            turn.timer.cancel()

        def over(at: float) -> None:
            act(at)

        turn.timer = self._session.services.timers.set(due, over)

    def _fail(self, kind: str, message: str, now: float, data: Mapping[str, Any] | None = None) -> None:
        """The event has failed: its policy applies."""
        turn, session = self.current, self._session
        assert turn is not None
        type_ = turn.event.type
        wanted = session.wanted_by(type_, turn.event.target, turn.event.data)
        chosen = session.release.policy(session.scenario, type_, wanted)
        fallback = session.release.fallback(session.scenario, type_, wanted)
        policy: Policy = "ignore"
        if not session.falling_back.begun:
            subject = session.falling_back.subject()
            policy = policy_for(
                type_,
                chosen,
                without_call=not session.legs.all(),
                ringing=subject is not None and not subject.answered,
                fallback=fallback is not None,
                expected=turn.event.data.get("expected") is True,
            )
            if kind == "breaker_open" and session.shield.would_fall_back():
                policy = "fallback"
        if policy in ("ignore", "reply"):
            session.shield.failed()
        self._void(turn, kind, message, policy, now, data)
        self._tell_failures(turn, now)
        if policy in ("refuse", "terminate") or (
            policy == "fallback" and not session.falling_back.begin(fallback, kind, "handler.failed", now)
        ):
            session.handler_failed(now)
        session.next_turn(now)

    def overtaken(self, why: str, now: float) -> None:
        """The scenario's fallback runs: what is in flight is void, and its answer will be too late."""
        if self.current is not None:
            self._void(self.current, why, "the scenario's fallback did not wait for it", "fallback", now)

    def _void(
        self,
        turn: Turn,
        kind: str,
        message: str,
        policy: Policy,
        now: float,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing more comes of an event; whoever waits for it is told."""
        session = self._session
        facts = {
            "event": turn.event.id,
            "type": turn.event.type,
            "function": turn.function,
            "error": kind,
            "message": message,
            "policy": policy,
        }
        session.note("round", f"{turn.event.type} failed in {turn.function}: {kind}", {**facts, **(data or {})}, now)
        session.journal.failed(turn.event, kind, policy)
        if turn.posted.request:
            bad = {"bad_request": 400, "not_found": 404}.get(kind, 500)
            text = message if bad == 400 else "the handler failed"
            session.problem(turn.posted.request, bad, kind if bad != 500 else "handler_failed", text, now)
        session.agents.tool_failed(turn.event, kind, now)
        self._finish(turn, now, resume=False)

    def _finish(self, turn: Turn, now: float, *, resume: bool = True) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
        if self.current is not turn:
            return  # what it commanded ended it already
        self.current = None
        if resume:
            self._session.next_turn(now)

    def _tell_failures(self, turn: Turn, now: float) -> None:
        """Commands of earlier rounds that failed, and that the handler never waited for."""
        for step in turn.journal.failed():
            if step.id not in turn.awaited:
                self._session.unawaited_failure(step, now)

    # --- the breaker of its function

    def _breaker_opens(self, turn: Turn, now: float) -> bool:
        """A round brought no answer. True where the function is not to be asked again now."""
        session = self._session
        if session.services.breakers.failed(session.release.id, turn.function, now):
            self._tell_breaker(turn, "opens", now)
        return session.services.breakers.open(session.release.id, turn.function)

    def _tell_breaker(self, turn: Turn, what: str, now: float) -> None:
        session, facts = self._session, {"function": turn.function, "release": self._session.release.id}
        session.note("round", f"breaker {what}", facts, now)
        session.services.emit(Log("warning", f"the breaker of a function {what}", facts))

    # --- notes

    def _of(self, token: str, what: str, now: float) -> Turn | None:
        turn = self.current
        if turn is not None and turn.token == token and turn.state == "invoked":
            return turn
        self._session.note("round", f"late {what} dropped", {"round": token}, now)
        return None

    def _note_round(self, turn: Turn, status: str, now: float) -> None:
        data = {
            "event": turn.event.id,
            "round": turn.round,
            "attempt": turn.attempt,
            "waiting": list(turn.waiting) if status == "suspended" else [],
            "ms": round((now - turn.invoked_at) * 1000, 2),
        }
        self._session.note("round", f"{turn.function} {status}", data, now)

    def _log(self, turn: Turn, answer: Answer, now: float) -> None:
        for line in answer.logs:
            data = {"level": line.level, "event": turn.event.id, "attempt": turn.attempt, **line.fields}
            self._session.note("log", line.message, data, now)
