"""One event, played round by round as the edge plays it, every answer judged before it is taken.

Follows DESIGN §4 and `session.turn`: the same fence and the same checks, and beside them what the edge forgives but the
contract asks for: ids without gaps, no command twice, commands whose arguments decode.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal

from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.commands import COMMANDS, Command, NotYet
from cordboard.contract.events import Event
from cordboard.contract.records import (
    MAX_LOG_LINES,
    MAX_REPLY,
    MAX_ROUNDS,
    Answer,
    Invocation,
    SessionInfo,
    StateSnapshot,
)
from cordboard.session.answer_check import check_answer
from cordboard.session.steps import Journal, Step

from .judge import Violation, refused
from .samples import CONTROL_URL, Sample

SEQ: Final = 7
"""Position of a played event in its session."""
_NOW: Final = "2026-01-02T03:04:05.678Z"
_NO_TARGET: Final = ("session.terminate", "control_url.mint")

Outcome = Literal["all done", "awaited alone done", "failed"]
"""What becomes of commands: all are done; those that nobody awaits stay pending; one awaited step fails."""


@dataclass(slots=True)
class Play:
    """One event of one session. `invocation` is what to ask next, `take` judges and takes the answer."""

    sample: Sample
    session: str = "s_conformance"
    seq: int = SEQ
    outcome: Outcome = "all done"
    fails: int = -1
    """With failed: number of the wait, from 0, whose steps fail."""
    state: StateSnapshot = field(default_factory=lambda: StateSnapshot(0))
    answers: list[Answer] = field(default_factory=list)
    _journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.seq)

    @property
    def over(self) -> bool:
        """The handler is done, or raised."""
        return bool(self.answers) and self.answers[-1].status != "suspended"

    @property
    def waits(self) -> int:
        """How often it waited."""
        return sum(answer.status == "suspended" for answer in self.answers)

    def invocation(self, attempt: int = 1) -> dict[str, Any]:
        """The next round, as JSON."""
        sample = self.sample
        found = encode(
            Invocation(
                SessionInfo(self.session, "conformance", f"{CONTROL_URL}-{self.session}", _NOW, sample.custom_data),
                Event(f"{self.session}:{self.seq}", self.seq, sample.type, _NOW, sample.target, sample.data),
                _NOW, attempt, len(self.answers), "conformance", round(sample.timeout * 1000), self.state,
                sample.objects(), tuple(self._journal.entries()), sum(len(each.logs) for each in self.answers),
            )
        )  # fmt: skip
        assert isinstance(found, dict)
        return found

    def take(self, raw: Mapping[str, Any], attempt: int = 1) -> Answer:
        """Judge the answer to `invocation(attempt)`, and settle what it waits for. Raises Violation."""
        answer = self.judge(raw, attempt)
        self._accept(answer)
        return answer

    def judge(self, raw: Mapping[str, Any], attempt: int = 1) -> Answer:
        """The answer to `invocation(attempt)`, which changes nothing yet. Raises Violation."""
        try:
            answer = decode(Answer, raw)
            if answer.status == "suspended" and len(self.answers) + 1 >= MAX_ROUNDS:
                advice = "an event may take 16 rounds: await less, or do the rest at a later event"
                raise Violation("replay", f"still suspended after {MAX_ROUNDS} rounds", advice)
            check_answer(
                answer, self._journal, event_id=f"{self.session}:{self.seq}", round_=len(self.answers),
                attempt=attempt, state_version=self.state.version,
            )  # fmt: skip
            self._check(answer)
        except DecodeError as error:
            raise refused(error) from None
        return answer

    def _check(self, answer: Answer) -> None:
        """What the edge forgives. Raises DecodeError, Violation."""
        if answer.error is not None and answer.error.type == "nondeterminism":
            advice = "what may differ between rounds is read from the invocation or from the journal"
            raise Violation("replay", f"the replay differs: {answer.error.message}", advice)
        if answer.error is not None and answer.error.type == "not_found":
            advice = "describe what handlers listen to, and nothing else"
            raise Violation("describe", f"no handler for what it says it listens to: {answer.error.message}", advice)
        if answer.status != "done" and answer.state is not None:
            raise DecodeError("state", f"comes with {answer.status!r}; only a handler that is done changes it")
        if answer.reply is not None and (answer.status != "done" or self.sample.type != "http.request"):
            raise DecodeError("reply", f"comes with {answer.status!r} of {self.sample.type}; nobody waits for it")
        if answer.reply is not None and (size := len(answer.reply.content())) > MAX_REPLY:
            raise DecodeError("reply.body", f"has {size} bytes, more than {MAX_REPLY}")
        if len(answer.logs) > MAX_LOG_LINES:
            raise DecodeError("logs", f"has {len(answer.logs)} lines, more than {MAX_LOG_LINES}")
        for index, command in enumerate(answer.commands):
            self._check_command(command, f"commands[{index}]")
        self._check_ids(answer)
        if answer.status == "suspended" and all(self._settled(step) for step in answer.waiting):
            raise DecodeError("waiting", f"{', '.join(answer.waiting)} has its result in the journal")

    def _check_command(self, command: Command, path: str) -> None:
        if self._journal.get(command.id) is not None:
            advice = "send the steps alone that the journal has not; the results of the others stand in it"
            raise Violation("replay", f"{path}.id: {command.id} is in the journal, and comes again", advice)
        kind = COMMANDS.get(command.type)
        if kind is None or kind is NotYet:
            raise DecodeError(f"{path}.type", f"{command.type!r} is no command of this release")
        decode(kind, command.args, path=f"{path}.args")
        if not command.target and command.type not in _NO_TARGET:
            raise DecodeError(f"{path}.target", f"is missing; {command.type} acts on an object")

    def _check_ids(self, answer: Answer) -> None:
        number = len(self._journal.entries())
        commands = [command.id for command in answer.commands]
        reads = [entry.id for entry in answer.journal]
        for path, ids in (("commands", commands), ("journal", reads)):
            numbers = [self._journal.number(each) or 0 for each in ids]
            for index, (one, next_) in enumerate(pairwise(numbers)):
                if one > next_:
                    raise DecodeError(f"{path}[{index + 1}].id", f"{ids[index + 1]} stands after {ids[index]}")
        expected = [f"{self.seq}.{number + n}" for n in range(len(commands) + len(reads))]
        for index, (path, id_) in enumerate([("commands", c) for c in commands] + [("journal", r) for r in reads]):
            if id_ not in expected:
                at = index if path == "commands" else index - len(commands)
                raise DecodeError(f"{path}[{at}].id", f"is {id_}; the round's new steps are {' '.join(expected)}")

    def _settled(self, step_id: str) -> bool:
        found = self._journal.get(step_id)
        return found is not None and found.status != "pending"

    def _accept(self, answer: Answer) -> None:
        wait = self.waits
        self.answers.append(answer)
        for entry in answer.journal:
            self._journal.add_read(entry)
        for command in answer.commands:
            self._journal.add_step(Step(command, "conformance", 0.0, lambda _: None))
        for entry in self._journal.entries():
            step = self._journal.get(entry.id)
            if not isinstance(step, Step) or step.status != "pending":
                continue
            awaited = entry.id in answer.waiting
            if awaited and self.outcome == "failed" and wait == self.fails:
                step.fail("call_ended", "the call has ended")
            elif awaited or self.outcome != "awaited alone done":
                step.done(_result(step.command))


def _result(command: Command) -> Any:
    """What the edge gives for a command that is done."""
    match command.type:
        case "agent.create":
            return {"name": command.target, "web_socket_id": "ws_2", "id": "unit_9"}
        case "control_url.mint":
            return {"url": f"{CONTROL_URL}-narrow"}
        case "player.generate":
            return {"context_id": str(command.args.get("request", {}).get("context_id", "context_1"))}
        case "call.say" | "call.play" | "player.create" | "player.create_realtime" | "call.dial" | "call.record":
            return {"name": command.args.get("name", command.target), "id": "unit_8"}
        case _:
            return None


def difference(a: Answer, b: Answer) -> str:
    """How two answers to one invocation differ; empty if they do not.

    What follows a read from outside that gave another result may differ; logs and source lines never count.
    """
    before = _unlike_read(a, b)
    ours, theirs = _commands(a, before), _commands(b, before)
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return f"one command was {_short(one)} and then {_short(other)}"
    if before is not None:
        return ""
    if len(ours) != len(theirs):
        return f"commands were {len(ours)} and then {len(theirs)}"
    for name in ("status", "waiting", "state", "reply"):
        if (was := _json(getattr(a, name))) != (now := _json(getattr(b, name))):
            return f"{name} was {_short(was)} and then {_short(now)}"
    return ""


def divergence(a: Sequence[Answer], b: Sequence[Answer]) -> str:
    """The first difference of two plays of one event; empty from where reads from outside gave other results."""
    for one, other in zip(a, b, strict=False):
        if found := difference(one, other):
            return found
        if _unlike_read(one, other) is not None:
            return ""
    return "" if len(a) == len(b) else f"{len(a)} rounds, and then {len(b)}"


def _json(value: object) -> Any:
    return None if value is None else encode(value)


def _unlike_read(a: Answer, b: Answer) -> int | None:
    results = {entry.id: (entry.status, _json(entry.result)) for entry in a.journal}
    unlike = [e.id for e in b.journal if results.get(e.id, ("", None)) != (e.status, _json(e.result))]
    numbers = [int(each.partition(".")[2]) for each in unlike]
    return min(numbers) if numbers else None


def _commands(answer: Answer, before: int | None) -> list[Any]:
    found = [(c.id, [c.id, c.type, c.target, encode(c.args)]) for c in answer.commands]
    return [value for id_, value in found if before is None or int(id_.partition(".")[2]) < before]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}…"
