"""Asks today's function about one recorded event, round by round, and finds the first difference (DESIGN §4, §7).

Each round gets the results that the recorded one got, under today's ids; the comparison ends at the first difference,
for what comes behind it was never answered. Rounds that brought no answer then are not asked again.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from itertools import zip_longest
from typing import Any

from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.commands import COMMANDS, Command
from cordboard.contract.journal import MASK
from cordboard.contract.patience import Fallback
from cordboard.contract.records import (
    Answer,
    EventRoute,
    Invocation,
    JournalEntry,
    ObjectRecord,
    Reply,
    SessionInfo,
    StateSnapshot,
)
from cordboard.contract.release import Release
from cordboard.hosts.errors import FunctionError
from cordboard.scenario.secret import redact
from cordboard.simulator.functions import NotInVirtualTime

from .differences import Difference, What, shown_command, shown_read
from .functions import OfflineFunctions
from .masks import changes, fill, masks, same, without
from .offline import Offline
from .reads import RecordedReads
from .recorded import RecordedCall, RecordedEvent, RecordedRound


class _Differs(Exception):
    """Ends an event."""

    def __init__(self, what: What, recorded: Any, today: Any, *, certain: bool = False) -> None:
        """`certain`: whatever the handler knew that the journal may not say."""
        super().__init__(what)
        self.certain = certain
        self.what: What = what
        self.recorded = recorded
        self.today = today


@dataclass(slots=True)
class _Step:
    """A step of today's handler, and the recorded one that it is."""

    entry: JournalEntry
    recorded_id: str


class EventReplay:
    """One event of one call."""

    def __init__(
        self,
        functions: OfflineFunctions,
        reads: RecordedReads,
        call: RecordedCall,
        event: RecordedEvent,
        state: Mapping[str, Any],
        guess: str = MASK,
    ) -> None:
        """`state`: session.state as the handler shall get it; `guess`: as in `fill`, of state and results."""
        self._functions = functions
        self._reads = reads
        self._call = call
        self._event = event
        self._told = event.told.event
        self._guess = guess
        self._state = fill(state, guess)
        self._steps: list[_Step] = []
        self._commands: dict[str, str] = {}
        """Recorded id → today's id."""
        self._logged = 0
        self.hidden: list[str] = []
        """Paths of what the handler got masked of state and results."""
        self._defaults: Mapping[str, Any] = {}
        """What session.state holds of fields that nobody has set: one that is new today differs in nothing yet."""
        self.after: Mapping[str, Any] = self._state
        """session.state after the event, by today's handler as far as it went."""

    def run(self) -> Difference | None:
        """The first difference; None: there is none."""
        event = self._told
        found = _route(self._functions.release, self._call.began.scenario, event.type, event.target, event.data)
        if found is None or event.type in self._functions.release.log_only(self._call.began.scenario):
            return self._difference("listened", self._event.told.function, None)
        self._defaults = self._functions.release.functions[found[0]].state
        self.hidden += masks(self._state, "state")
        unknown = list(masks(fill(event.data), "event")) or (["event"] if self._event.masked else [])
        answers = [each.answer for each in self._event.rounds if each.answer is not None]
        self._reads.load((entry for answer in answers for entry in answer.journal), self._guess)
        try:
            for each in self._event.rounds:
                self._learn(each)
                if each.answer is not None:
                    self._round(found[0], each, each.answer)
            if self._reads.left() and not self._event.unanswered:
                raise _Differs("read", shown_read(self._reads.left()[0]), None)
            self._policy()
        except _Differs as differs:
            if unknown and not differs.certain:
                return self._difference("masked", ", ".join(unknown), None)
            return self._difference(differs.what, differs.recorded, without(differs.today, self._guess))
        return None

    # --- one round

    def _learn(self, each: RecordedRound) -> None:
        """Results come in under today's ids."""
        by_id = {entry.id: entry for entry in each.results}
        for step in self._steps:
            known = by_id.get(step.recorded_id)
            if known is not None:
                result = fill(known.result, self._guess)
                self.hidden += masks(result, step.entry.type)
                step.entry = replace(step.entry, status=known.status, result=result, error=known.error)

    def _round(self, function: str, each: RecordedRound, then: Answer) -> None:
        answer = self._ask(function, each)
        self._logged += len(answer.logs)
        self._failures(then, answer)
        self._same_commands(then, answer)
        for entry in answer.journal:
            self.hidden += masks(entry.result, entry.type)
        self._same_ends(then, answer)

    def _ask(self, function: str, each: RecordedRound) -> Answer:
        told, began = self._event.told, self._call.began
        invocation = Invocation(
            session=SessionInfo(
                id=began.session,
                scenario=began.scenario,
                control_url=fill(began.control_url),
                started_at=began.started_at,
                custom_data=fill(began.custom_data),
            ),
            event=replace(self._told, data=fill(self._told.data)),
            now=told.now,
            attempt=each.attempt,
            round=each.number,
            release=began.release,
            deadline_ms=told.deadline_ms,
            state=StateSnapshot(told.state_version, self._state),
            objects=tuple(_filled(each) for each in told.objects),
            journal=tuple(step.entry for step in self._steps),
            logged=self._logged,
        )
        payload = encode(invocation)
        assert isinstance(payload, Mapping)
        try:
            return decode(Answer, self._functions.invoke(function, payload, told.deadline_ms / 1000))
        except Offline as error:
            raise _Differs("failure", _ended(each.answer), f"Offline: {error}", certain=True) from None
        except (FunctionError, NotInVirtualTime, DecodeError) as error:
            raise _Differs("failure", _ended(each.answer), f"{type(error).__name__}: {error}") from None

    def _failures(self, then: Answer, now: Answer) -> None:
        if then.status != "failed" and now.status != "failed":
            return
        if then.error is not None and now.error is not None and then.error.type == now.error.type:
            return
        if now.error is not None and now.error.type == "NotRecorded":
            raise _Differs("read", None, now.error.message)
        raise _Differs("failure", _ended(then), _ended(now))

    def _same_commands(self, then: Answer, now: Answer) -> None:
        for before, command in zip_longest(then.commands, now.commands):
            after = None if command is None else _redacted(command)
            if before is None or after is None or not _same_command(before, after):
                raise _Differs(
                    "command",
                    None if before is None else shown_command(before),
                    None if after is None else shown_command(after),
                )
        taken: list[tuple[int, _Step]] = []
        for before, command in zip(then.commands, now.commands, strict=True):
            self._commands[before.id] = command.id
            entry = JournalEntry(command.id, command.type, command.hash, "pending", None, None, command.target,
                                 command.line)  # fmt: skip
            taken.append((_number(command.id), _Step(entry, before.id)))
        taken += [(_number(read.id), _Step(read, "")) for read in now.journal]
        self._steps += [step for _, step in sorted(taken, key=lambda pair: pair[0])]

    def _same_ends(self, then: Answer, now: Answer) -> None:
        waiting = [self._commands.get(each, each) for each in then.waiting]
        if then.status != now.status or sorted(waiting) != sorted(now.waiting):
            raise _Differs("waiting", self._awaits(then, waiting), self._awaits(now, now.waiting))
        if now.status != "done":
            return
        before = {**self._defaults, **(self._state if then.state is None else then.state.data)}
        after = {**self._defaults, **(self._state if now.state is None else now.state.data)}
        if now.state is not None:
            self.after = after
        changed = list(changes(_clean(before), _clean(after), "state"))
        if changed:
            raise _Differs("state", before, changed)
        changed = list(changes(_reply(then.reply), _clean(_reply(now.reply)), "reply"))
        if changed:
            raise _Differs("reply", _reply(then.reply), changed)

    def _awaits(self, answer: Answer, waiting: Any) -> str:
        if answer.status != "suspended":
            return f"the handler is {answer.status}"
        named = {step.entry.id: f"{step.entry.type} at {step.entry.line}" for step in self._steps}
        return "awaits " + ", ".join(named.get(each, each) for each in waiting)

    # --- the event

    def _policy(self) -> None:
        """What handler or scenario says of a failure; what was done for it depends on the moment, too."""
        failed = self._event.failed
        if failed is None:
            return
        release, event, scenario = self._functions.release, self._told, self._call.began.scenario
        wanted = release.routing_target(scenario, event.type, event.target, event.data)
        chosen = release.policy(scenario, event.type, wanted)
        fallback = release.fallback(scenario, event.type, wanted)
        if (chosen, fallback) != (failed.chosen, failed.fallback):
            raise _Differs("policy", _declared(failed.chosen, failed.fallback), _declared(chosen, fallback))

    def _difference(self, what: What, recorded: Any, today: Any) -> Difference:
        event = self._told
        return Difference(self._call.began.session, event.seq, event.type, event.target, what, recorded, today)


def _route(
    release: Release, scenario: str, type_: str, target: str | None, data: Mapping[str, Any]
) -> tuple[str, EventRoute] | None:
    return release.route(scenario, type_, release.routing_target(scenario, type_, target, data))


def _same_command(then: Command, now: Command) -> bool:
    if then.type != now.type or not same(then.target, now.target):
        return False
    return same(_whole_args(then), _whole_args(now))


def _whole_args(command: Command) -> dict[str, Any]:
    """With the arguments that one side's release of Cordboard did not have yet, as it took them: by default."""
    kind = COMMANDS.get(command.type)
    whole = dict(command.args)
    for item in () if kind is None else fields(kind):
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if default is not MISSING and default is not None:
            whole.setdefault(item.name.rstrip("_"), encode(default))
    return whole


def _redacted(command: Command) -> Command:
    return replace(command, args=_clean(command.args))


def _clean(value: Any) -> Any:
    """Without the token that was filled in."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def _filled(record: ObjectRecord) -> ObjectRecord:
    return replace(record, headers=fill(record.headers))


def _reply(reply: Reply | None) -> Any:
    return None if reply is None else encode(reply)


def _ended(answer: Answer | None) -> str:
    if answer is None or answer.error is None:
        return "the handler does not fail"
    return f"{answer.error.type}: {answer.error.message}"


def _declared(chosen: str | None, fallback: Fallback | None) -> dict[str, Any]:
    return {"on_error": chosen, "fallback": None if fallback is None else encode(fallback)}


def _number(step_id: str) -> int:
    return int(step_id.rpartition(".")[2])
