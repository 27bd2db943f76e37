"""Writes a session's journal: each event with its rounds, answers and results, without secrets (contract/journal.py).

What may not be written is masked where it stands; `JournalEvent.masked` says that the handler knew more than the file.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cordboard.contract.codec import encode
from cordboard.contract.commands import Command
from cordboard.contract.events import Event, tool_called
from cordboard.contract.journal import (
    MASK,
    JournalAnswer,
    JournalBegan,
    JournalEvent,
    JournalFailed,
    JournalLine,
    JournalRound,
    JournalUnheard,
)
from cordboard.contract.records import Answer, Invocation, JournalEntry, ObjectRecord, Reply, StateChange, StepError

from .effects import WriteJournal

if TYPE_CHECKING:
    from .session import Session

MAX_UNHEARD = 1_000
"""Kinds of events that nobody heard and that are written; tools have names of the agent's making."""


class SessionJournal:
    """The journal of one session; nothing is written where [privacy] or [retention] says so."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._on = session.services.config.journals
        self._begun = False
        self._unheard: set[tuple[str, str | None, str | None]] = set()
        self._event_id = ""
        """The event that was sent last."""
        self._told: dict[str, str] = {}
        """Commands of the event in flight → status that its handler was last told."""
        self._private: set[str] = set()
        """Realtime players whose texts are private."""

    def unheard(self, type_: str, target: str | None, data: Mapping[str, Any]) -> None:
        """An event came that no function listens to."""
        kind = (type_, target, tool_called(type_, data))
        if self._on and kind not in self._unheard and len(self._unheard) < MAX_UNHEARD:
            self._unheard.add(kind)
            self._write(JournalUnheard(type_, target, None if kind[2] is None else self._clean(kind[2])))

    def sent(self, invocation: Invocation, function: str, noted: Mapping[str, Any] | None) -> None:
        """A round leaves for its function; `noted` may be written in place of the event's data."""
        if not self._on:
            return
        event = invocation.event
        if invocation.round == 0 and invocation.attempt == 1:
            self._told.clear()
            self._event_id = event.id
            self._write(self._event(invocation, function, noted))
        results = []
        for entry in invocation.journal:
            if entry.id in self._told and self._told[entry.id] != entry.status:
                self._told[entry.id] = entry.status
                results.append(self._entry(entry))
        self._write(JournalRound(event.id, invocation.round, invocation.attempt, tuple(results)))

    def answered(self, answer: Answer) -> None:
        """The round's answer was accepted."""
        if not self._on:
            return
        for command in answer.commands:
            self._told[command.id] = "pending"
            key = command.args.get("api_key")
            if isinstance(key, str):
                self._session.redactor.add(key)  # before it is executed, the answer is written
        state = answer.state
        clean = replace(
            answer,
            commands=tuple(self._command(command) for command in answer.commands),
            journal=tuple(self._entry(entry) for entry in answer.journal),
            state=None if state is None else StateChange(state.base_version, self._clean(encode(state.data))),
            reply=None if answer.reply is None else self._reply(answer.reply),
            error=None if answer.error is None else replace(
                answer.error, message=self._clean(answer.error.message), traceback=""
            ),
            logs=(),
        )  # fmt: skip
        self._write(JournalAnswer(clean))

    def failed(self, event: Event, error: str, policy: str) -> None:
        """The event failed; one that was never sent stands in no journal."""
        if not self._on or event.id != self._event_id:
            return
        session = self._session
        wanted = session.wanted_by(event.type, event.target, event.data)
        chosen = session.release.policy(session.scenario, event.type, wanted)
        fallback = session.release.fallback(session.scenario, event.type, wanted)
        self._write(JournalFailed(event.id, self._clean(error), policy, chosen, fallback))

    # --- parts

    def _event(self, invocation: Invocation, function: str, noted: Mapping[str, Any] | None) -> JournalEvent:
        event = invocation.event
        data = event.data if noted is None else noted
        return JournalEvent(
            event=replace(event, data=self._clean(encode(data))),
            function=function,
            now=invocation.now,
            deadline_ms=invocation.deadline_ms,
            state_version=invocation.state.version,
            objects=tuple(self._object(each) for each in invocation.objects),
            masked=noted is not None,
        )

    def _object(self, record: ObjectRecord) -> ObjectRecord:
        return replace(
            record,
            number=self._clean(record.number),
            callerid=self._clean(record.callerid),
            display_name=self._clean(record.display_name),
            headers=self._clean(record.headers),
        )

    def _command(self, command: Command) -> Command:
        args = dict(command.args)
        if command.type == "player.create_realtime" and command.target is not None:
            (self._private.add if args.get("privacy") else self._private.discard)(command.target)
        if command.target in self._private:
            args.update({name: MASK for name in ("text", "request") if name in args})
        target = None if command.target is None else self._clean(command.target)
        return replace(command, hash="", target=target, args=self._clean(encode(args)))

    def _entry(self, entry: JournalEntry) -> JournalEntry:
        """A read keeps its hash, by which it is found again, unless a few secret digits could be found by it."""
        error = entry.error
        known = entry.id in self._told or self._session.redactor.has_digits
        return replace(
            entry,
            hash="" if known else entry.hash,
            target=None if entry.target is None else self._clean(entry.target),
            result=self._clean(encode(entry.result)),
            error=None if error is None else StepError(error.code, self._clean(error.message)),
        )

    def _reply(self, reply: Reply) -> Reply:
        return replace(reply, body=self._clean(reply.body), headers=self._clean(reply.headers))

    def _clean(self, value: Any) -> Any:
        return self._session.redactor.whole(value)

    def _write(self, line: JournalLine) -> None:
        session = self._session
        if not self._begun:
            self._begun = True
            began = JournalBegan(
                session=session.id,
                scenario=session.scenario,
                release=session.release.id,
                started_at=session.started_text,
                control_url=self._clean(session.control_url),
                custom_data=self._clean(encode(session.custom_data)),
            )
            self._write(began)
        session.services.emit(WriteJournal(session.id, line))
