"""A session: one run of a scenario, with its mailbox, its objects, its timeline and its one end.

Events enter the mailbox in order; those that no function listens to cost nothing. The session ends once, whatever
ends it, and only when nothing of it is left: no leg, no agent, no recording (DESIGN §4, §6).
"""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from cordboard.config.model import Route
from cordboard.contract import link
from cordboard.contract.call_record import LedgerEntry
from cordboard.contract.codec import decode, encode
from cordboard.contract.commands import Command
from cordboard.contract.events import EVENTS, CommandFailed, Event
from cordboard.contract.records import ObjectRecord, Reply
from cordboard.contract.release import Release
from cordboard.contract.transcript import TranscriptEntry

from .agents import Agents
from .capabilities import ENDED, Capabilities, Refusal
from .control_url import Bucket
from .effects import Fetch, ReplyHttp, WriteTimeline, WriteTranscript
from .ending import Ending
from .executor import Executor
from .fallback import FallingBack
from .gathering import Gathering
from .in_flight import Posted
from .journal import SessionJournal
from .legs import Legs
from .patience import Shield
from .players import Players
from .recordings import Recordings
from .services import Services
from .speaking import Speaking
from .steps import Step
from .timeline import Redactor, Timeline
from .timers import Timer
from .transcript import Transcript, line_of
from .turn import Turns

MAX_MAILBOX = 200
"""Events that may wait; a flood of digits or agent events beyond it is dropped and noted."""

ALWAYS_TAKEN = frozenset({"call.connected", "call.failed", "call.disconnected", "call.gathered", "websocket.close",
                          "command.failed"})  # fmt: skip
"""Events that a full mailbox takes all the same: what a handler commands bounds them, and none may be lost."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names of calls, agents and players: they stand in unit ids, file names and the timeline."""

HTTP_PATIENCE = 5.0
"""Seconds until a control request is answered with 202 (HANDLERS §2.3)."""

UNBRIDGED_LIMIT = 10.0
"""Seconds an answered leg may hear nobody and wait for nothing (DESIGN §1)."""


class Session:
    """One session on one plane with one release."""

    def __init__(
        self,
        services: Services,
        *,
        scenario: str,
        release: Release,
        plane: int,
        now: float,
        custom_data: Mapping[str, Any] | None = None,
        route: Route | None = None,
    ) -> None:
        self.services = services
        self.id = f"s_{services.identifier(96)}"
        self.scenario = scenario
        self.release = release
        self.plane = plane
        self.route = route
        self.began = now
        self.started_text = services.clock.text(now)
        self.custom_data: Mapping[str, Any] = custom_data or {}
        limits = services.config.limits
        self.capabilities = Capabilities(self, now)
        self.control_url = f"{services.public_url}/control/{self.capabilities.token}"
        self.redactor = Redactor(self.capabilities.token)
        self.bucket = Bucket(at=now)
        self.legs = Legs(self)
        self.agents = Agents(self)
        self.recordings = Recordings(self)
        self.gathering = Gathering(self)
        self.players = Players(self)
        self.speaking = Speaking(self)
        self.transcript = Transcript(now)
        self.journal = SessionJournal(self)
        self.turns = Turns(self)
        self.ending = Ending(self)
        self.falling_back = FallingBack(self)
        self.shield = Shield(self)
        self.executor = Executor(self)
        self.user_timers: dict[str, Timer] = {}
        self.figures: dict[str, Any] = {}
        self.plane_lost = False
        self._log_only = release.log_only(scenario)
        self._timeline = Timeline(now, self.redactor)
        self._mailbox: deque[Posted] = deque()
        self._seq = 0
        self._beginning = False
        self._requests: dict[str, Timer] = {}
        self._confirms: dict[str, Any] = {}
        self._max_duration = services.timers.set(
            now + limits.max_duration, lambda at: self.end("limit.max_duration", at)
        )

    # --- events

    def wanted_by(self, type_: str, target: str | None, data: Mapping[str, Any]) -> str | None:
        """The target under which a function is looked for: the tool that an event calls, or the event's own."""
        return self.release.routing_target(self.scenario, type_, target, data)

    def listens(self, type_: str, target: str | None, data: Mapping[str, Any]) -> bool:
        """Whether a function listens to an event."""
        return self.release.route(self.scenario, type_, self.wanted_by(type_, target, data)) is not None

    def post(
        self,
        type_: str,
        data: Any,
        now: float,
        *,
        target: str | None = None,
        cause: str = "",
        at: float | None = None,
        request: str = "",
        noted: Mapping[str, Any] | None = None,
    ) -> bool:
        """An event happened; `noted` stands in the timeline instead of its data. False when nobody listens."""
        assert type_ in EVENTS, type_
        fields = encode(data)
        assert isinstance(fields, Mapping)
        shown = dict(fields) if noted is None else noted
        self.note("event", f"{type_}:{target}" if target else type_, shown, now)
        if type_ in self._log_only:
            self.note("log", f"{type_}", {"level": "INFO", **shown}, now)
            self.journal.unheard(type_, target, fields)
            return False
        if self.ending.terminating or not self.falling_back.delivers(type_, target):
            return False
        if not self.listens(type_, target, fields):
            self.journal.unheard(type_, target, fields)
            return False
        if len(self._mailbox) >= MAX_MAILBOX and type_ not in ALWAYS_TAKEN:
            self.note("log", "mailbox full, event dropped", {"type": type_}, now)
            return False
        self._seq += 1
        event = Event(f"{self.id}:{self._seq}", self._seq, type_, self.services.clock.text(now), target, fields)
        moment = now if at is None else at
        self._mailbox.append(Posted(event, moment, cause or "handler.terminate", request, noted))
        self.next_turn(now)
        return True

    def post_last(self, type_: str, data: Any, now: float, *, cause: str) -> None:
        """The one event that is delivered while the session ends."""
        fields = encode(data)
        assert isinstance(fields, Mapping)
        self.note("event", type_, dict(fields), now)
        found = self.release.route(self.scenario, type_, None)
        if found is None:
            self.journal.unheard(type_, None, fields)
            return
        self._seq += 1
        event = Event(f"{self.id}:{self._seq}", self._seq, type_, self.services.clock.text(now), None, fields)
        self.turns.begin(Posted(event, now, cause), found[0], found[1], now)

    def next_turn(self, now: float) -> None:
        """Begin the next event's turn if none is in flight."""
        if self._beginning:
            return  # an event failed while it began: whoever began it goes on
        self._beginning = True
        try:
            self._begin_waiting(now)
        finally:
            self._beginning = False
        self.shield.look(now)
        if self.turns.current is None:
            self.legs.inbound.look_for_agent(now)
            self.ending.idle(now)

    def _begin_waiting(self, now: float) -> None:
        while self.turns.current is None and self._mailbox and not self.ending.over:
            posted = self._mailbox.popleft()
            event = posted.event
            wanted = self.wanted_by(event.type, event.target, event.data)
            found = self.release.route(self.scenario, event.type, wanted)
            if found is None:
                continue
            self.turns.begin(posted, found[0], found[1], now)

    def drop_mailbox(self, now: float, refusal: Refusal = ENDED) -> None:
        """No more events for handlers; requests that wait are told why."""
        while self._mailbox:
            posted = self._mailbox.popleft()
            if posted.request:
                self.problem(posted.request, refusal.status, refusal.code, refusal.detail, now)

    @property
    def busy(self) -> bool:
        """A turn is in flight or events wait."""
        return self.turns.current is not None or bool(self._mailbox)

    def object_records(self) -> list[ObjectRecord]:
        """Live objects."""
        found = [leg.record() for leg in self.legs.all() if leg.live]
        found += [agent.record() for agent in self.agents.all() if agent.live]
        found += [player.record() for player in self.players.all()]
        found += [recording.record() for recording in self.recordings.live()]
        return found

    # --- commands

    def new_step(self, command: Command, posted: Posted) -> Step:
        """A command about to be executed."""
        return Step(command, posted.cause, posted.at, self._settled)

    def _settled(self, step: Step) -> None:
        self.turns.settled(step, self.services.now)
        if step.status == "failed" and step.command.type in ("agent.create", "agent.start"):
            self.legs.inbound.agent_failed(self.services.now)

    def name_is_free(self, step: Step, name: str) -> bool:
        """Whether a new call, agent or player may have that name; else the step fails."""
        if not NAME.fullmatch(name):
            step.fail("invalid", f"name: {name!r} is not 1 to 64 letters, digits, - or _")
        elif any(kind.get(name) is not None for kind in (self.legs, self.agents, self.players)):
            step.fail("refused", f"something named {name!r} is live; give this one another name")
        return step.status == "pending"

    def execute(self, steps: list[Step], now: float) -> None:
        """Start commands in order."""
        self.executor.start_all(steps, now)

    def unawaited_failure(self, step: Step, now: float) -> None:
        """A command that nobody awaits has failed."""
        assert step.error is not None
        data = CommandFailed(step.command.type, step.error.code, step.error.message, step.command.target)
        self.post("command.failed", data, now, target=None)

    def confirm(self, then: Any) -> str:
        """A token for a plane's Done; `then(done, now)` is called with it."""
        token = f"{self.id}#{len(self._confirms)}{self.services.identifier(16)}"
        self._confirms[token] = then
        return token

    def settling(self, step: Step) -> str:
        """A token whose Done settles a step."""

        def settle(done: link.Done, at: float) -> None:
            if done.ok:
                step.done()
            else:
                step.fail(done.code, done.message)

        return self.confirm(settle)

    def done(self, message: link.Done, now: float) -> None:
        """A plane's Done."""
        then = self._confirms.pop(message.confirm, None)
        if then is not None:
            then(message, now)

    def fetch(
        self,
        url: str,
        then: Callable[[int, bytes, float], None],
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: float,
        limit: int,
    ) -> None:
        """Perform an HTTP request; `then(status, body, now)`, with status 0 and the reason when no answer came."""
        self.services.emit(Fetch(self.confirm(then), method, url, timeout, limit, headers or {}, body))

    def fetched(self, token: str, status: int, body: bytes, now: float) -> None:
        """The answer of `fetch`."""
        then = self._confirms.pop(token, None)
        if then is not None:
            then(status, body, now)

    def send_plane(self, message: Any) -> None:
        """A message to this session's plane."""
        self.services.planes.send(self.plane, message)

    # --- HTTP

    def request_came(self, request: str, now: float) -> None:
        """A control request waits for its turn, at most HTTP_PATIENCE."""
        self._requests[request] = self.services.timers.set(
            now + HTTP_PATIENCE, lambda at: self._answer(request, Reply(202, '{"accepted": true}'))
        )

    def reply(self, request: str, reply: Reply, now: float) -> None:
        """A handler's reply; too late after 202."""
        self._answer(request, reply)

    def problem(self, request: str, status: int, code: str, detail: str, now: float) -> None:
        """An RFC 9457 problem."""
        body = json.dumps({"title": code, "status": status, "code": code, "detail": detail, "session": self.id})
        self._answer(request, Reply(status, body, {"Content-Type": "application/problem+json"}))

    def _answer(self, request: str, reply: Reply) -> None:
        timer = self._requests.pop(request, None)
        if timer is None:
            return
        timer.cancel()
        headers = {"Cache-Control": "no-store", **reply.headers}
        content = reply.content()
        if content and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        self.services.emit(ReplyHttp(request, reply.status, content, headers))
        self.note("http", f"replied {reply.status}", {"bytes": len(content)}, self.services.now)

    def close_requests(self) -> None:
        """The session is over: whoever still waits is told."""
        for request in list(self._requests):
            self._answer(request, Reply(202, '{"accepted": true}'))

    # --- notes

    def note(self, kind: str, what: str, data: Mapping[str, Any], now: float) -> None:
        """An entry of the timeline."""
        entry = self._timeline.entry(kind, what, data, now)
        if entry is not None:
            self.services.emit(WriteTimeline(self.id, entry))

    def redact_secret(self, name: str) -> None:
        """A handler revealed a secret: its value stands in nothing that is written down from now on."""
        try:
            self.redactor.add(self.services.resolve_secret(name)[0])
        except KeyError:
            self.note("log", f"secret {name!r} was revealed and is not known to the edge", {}, self.services.now)

    def write_transcript(self, ledger: tuple[LedgerEntry, ...]) -> None:
        """The whole transcript, now that the ledger is known."""
        if not self.services.config.transcribes:
            return
        callers = {leg.name for leg in self.legs.all() if leg.incoming}
        for entry in self.transcript.entries(ledger, callers):
            clean = decode(TranscriptEntry, self.redactor.value(encode(entry)))
            self.services.emit(WriteTranscript(self.id, clean, line_of(clean)))

    # --- the end

    def end(self, cause: str, now: float) -> None:
        """End the session at once."""
        self.ending.begin(cause, now)

    def handler_failed(self, now: float) -> None:
        """An event failed whose policy is the end; an unanswered caller gets 480 (DESIGN §4)."""
        self.ending.failed(now)

    def check_unbridged(self, now: float) -> None:
        """An answered leg that hears nobody and waits for nothing ends after 10 s (DESIGN §1). A timer that was set to
        run out within [limits].idle_session of the silence is something to wait for; a later one is not."""
        if self.busy or self.executor.pending:
            return
        patience = self.services.config.limits.idle_session
        for leg in self.legs.live():
            since = leg.unbridged_since
            if not leg.answered or leg.hanging_up or since is None or now - since < UNBRIDGED_LIMIT:
                continue
            if self.gathering.runs(leg):
                continue
            if self.players.awaited_by(leg):
                continue
            if any(timer.due <= since + patience for timer in self.user_timers.values()):
                continue
            self.note("media", f"{leg.name} has heard nobody for {UNBRIDGED_LIMIT:g} s", {}, now)
            last_resort = self.release.last_resort(self.scenario)
            is_subject = last_resort is not None and leg is self.falling_back.subject()
            if is_subject and self.falling_back.begin(last_resort, "alone", "limit.unbridged", now):
                return
            self.legs.end_leg(leg, "limit.unbridged", "edge", now)

    def closed(self, ledger: tuple[LedgerEntry, ...], figures: Mapping[str, Any], now: float) -> None:
        """The plane has closed everything."""
        self.ending.plane_closed(ledger, figures, now)

    def forget_timers(self) -> None:
        """Nothing is due any more."""
        self._max_duration.cancel()
        for timer in (*self.user_timers.values(), *self._requests.values()):
            timer.cancel()
        self.user_timers.clear()
        self.gathering.forget()
        self.shield.forget()
