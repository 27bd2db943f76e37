"""Plays the edge for a scenario under test: builds invocations, answers commands, drives an event to its end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cordboard.contract.codec import decode, encode
from cordboard.contract.events import Event
from cordboard.contract.records import (
    Answer,
    Invocation,
    JournalEntry,
    ObjectRecord,
    SessionInfo,
    StateSnapshot,
    StepError,
)
from cordboard.scenario import Scenario
from cordboard.scenario.binding import Stores

CONTROL_URL = "https://edge.example/control/t0k3n-of-the-session"
CALLER = ObjectRecord("caller", "call", "leg-1", "ALERTING", "+18005550100", "+15551234567", "Ann", True)
AGENT = ObjectRecord("agent", "agent", "ws-1", "STARTED", web_socket_id="socket-1")
ALERTING = {"callerid": "+15551234567", "destination": "+18005550100"}

Run = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
Result = StepError | object
"""What the edge gives for a command: a StepError, or its result."""


@dataclass
class Played:
    """One event, driven through all its rounds."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def last(self) -> Answer:
        return self.answers[-1]

    @property
    def commands(self) -> list[str]:
        """`type target` of every command, in order."""
        return [" ".join(filter(None, (c.type, c.target))) for answer in self.answers for c in answer.commands]

    @property
    def logs(self) -> list[str]:
        return [line.message for answer in self.answers for line in answer.logs]


def invocation(
    type_: str = "call.alerting",
    target: str | None = "caller",
    data: Mapping[str, Any] | None = None,
    *,
    session: str = "s_1",
    seq: int = 7,
    objects: Sequence[ObjectRecord] = (CALLER,),
    state: Mapping[str, Any] | None = None,
    journal: Sequence[JournalEntry] = (),
    round_: int = 0,
    logged: int = 0,
    custom_data: Mapping[str, Any] | None = None,
) -> Invocation:
    info = SessionInfo(session, "test", CONTROL_URL, "2026-11-20T20:00:00.000+00:00", custom_data or {})
    given = ALERTING if data is None and type_ == "call.alerting" else data or {}
    event = Event(f"{session}:{seq}", seq, type_, "2026-11-20T20:00:01.123+00:00", target, given)
    return Invocation(
        info, event, "2026-11-20T20:00:01.200+00:00", round=round_, journal=tuple(journal), logged=logged,
        objects=tuple(objects), state=StateSnapshot(3, state or {}),
    )  # fmt: skip


def payload(invoked: Invocation) -> dict[str, Any]:
    value = encode(invoked)
    assert isinstance(value, dict)
    return value


def in_process(scenario: Scenario[Any], stores: Stores | None = None) -> Run:
    """A host that is no host: the scenario's own async form."""

    async def run(request: dict[str, Any]) -> dict[str, Any]:
        return await scenario.run(request, stores=stores or Stores())

    return run


async def play(run: Run, invoked: Invocation, results: Mapping[str, Result] | None = None) -> Played:
    """Drive an event as the edge does; `results` by command type, None (done) for those it does not name."""
    played = Played()
    journal: list[JournalEntry] = list(invoked.journal)
    for round_ in range(16):
        logged = sum(len(answer.logs) for answer in played.answers)
        request = Invocation(
            invoked.session, invoked.event, invoked.now, round=round_, journal=tuple(journal), logged=logged,
            objects=invoked.objects, state=invoked.state,
        )  # fmt: skip
        answer = decode(Answer, await run(payload(request)))
        assert (answer.event_id, answer.round, answer.attempt) == (invoked.event.id, round_, 1)
        played.answers.append(answer)
        if answer.status != "suspended":
            return played
        journal += steps_of(answer)
        journal = [finish(entry, answer.waiting, results or {}) for entry in journal]
    raise AssertionError("the event does not end")


def steps_of(answer: Answer) -> list[JournalEntry]:
    """Commands (pending) and reads of one answer, in the order of their ids."""
    pending = [JournalEntry(c.id, c.type, c.hash, "pending", target=c.target, line=c.line) for c in answer.commands]
    return sorted([*pending, *answer.journal], key=lambda entry: int(entry.id.split(".")[1]))


def finish(entry: JournalEntry, waiting: Sequence[str], results: Mapping[str, Result]) -> JournalEntry:
    """Give an awaited command its result; others stay pending, as they would behind a slow edge."""
    if entry.status != "pending" or entry.id not in waiting:
        return entry
    result = results.get(entry.type)
    if isinstance(result, StepError):
        return JournalEntry(entry.id, entry.type, entry.hash, "failed", None, result, entry.target, entry.line)
    return JournalEntry(entry.id, entry.type, entry.hash, "done", result, None, entry.target, entry.line)


def played(scenario: Scenario[Any], invoked: Invocation, results: Mapping[str, Result] | None = None,
           stores: Stores | None = None) -> Played:  # fmt: skip
    """`play` in a loop of its own."""
    return asyncio.run(play(in_process(scenario, stores), invoked, results))
