"""Steps of an event: the commands that were executed, their results, and the reads that handlers journalled.

The edge executes an id once, for ever; a step that was executed answers every later replay with what it became.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.contract.codec import DecodeError, encode
from cordboard.contract.commands import Command
from cordboard.contract.records import MAX_JOURNAL_RESULT, JournalEntry, StepError, size_of

from .timers import Timer

LIMITS: dict[str, float] = {
    "agent.create": 5.0,
    "agent.start": 10.0,
    "call.hangup": 17.0,
    "agent.close": 17.0,
    "session.terminate": 17.0,
}
"""Seconds a command may take (DESIGN §4); hang-up, close and terminate may wait 15 s for a playout and 2 s more."""

LIMIT = 2.0
"""Seconds for every other command."""


@dataclass(slots=True)
class Step:
    """One executed command."""

    command: Command
    cause: str
    """What a leg's end would be put down to."""
    at: float
    """Monotonic seconds of the event that asked for it."""
    settled: Callable[["Step"], None]
    """Called once, when the result is known."""
    status: Literal["pending", "done", "failed"] = "pending"
    result: Any = None
    error: StepError | None = None
    limit: Timer | None = None

    @property
    def id(self) -> str:
        """`{seq}.{n}`."""
        return self.command.id

    def done(self, result: Any = None) -> None:
        """It succeeded; later calls change nothing."""
        if self.status == "pending":
            self.status, self.result = "done", result
            self._settle()

    def fail(self, code: str, message: str) -> None:
        """It failed; later calls change nothing."""
        if self.status == "pending":
            self.status, self.error = "failed", StepError(code, message)
            self._settle()

    def entry(self) -> JournalEntry:
        """What the journal says of it."""
        command = self.command
        return JournalEntry(
            id=command.id,
            type=command.type,
            hash=command.hash,
            status=self.status,
            result=self.result,
            error=self.error,
            target=command.target,
            line=command.line,
        )

    def _settle(self) -> None:
        if self.limit is not None:
            self.limit.cancel()
        self.settled(self)


@dataclass(slots=True)
class Journal:
    """Every step of one event, in the handler's order."""

    seq: int
    _entries: dict[int, JournalEntry | Step] = field(default_factory=dict)

    def number(self, step_id: str) -> int | None:
        """n of `{seq}.{n}`; None for an id that is not of this event."""
        seq, dot, number = step_id.partition(".")
        if not dot or not number.isdecimal() or len(number) > 6 or seq != str(self.seq):
            return None
        return int(number)

    def get(self, step_id: str) -> JournalEntry | Step | None:
        """What is known of a step."""
        number = self.number(step_id)
        return None if number is None else self._entries.get(number)

    def add_step(self, step: Step) -> None:
        """A command that is being executed."""
        number = self.number(step.id)
        assert number is not None
        self._entries[number] = step

    def check_read(self, entry: JournalEntry, path: str) -> None:
        """Raises DecodeError for a read that is not of this event, is known, or is too large."""
        number = self.number(entry.id)
        if number is None or number in self._entries:
            raise DecodeError(f"{path}.id", f"{entry.id!r} is not a new id of event {self.seq}")
        if size_of(encode(entry)) > MAX_JOURNAL_RESULT:
            raise DecodeError(path, f"{entry.type} has a result of more than {MAX_JOURNAL_RESULT} bytes")

    def add_read(self, entry: JournalEntry) -> None:
        """A read that the handler took, and that was checked."""
        number = self.number(entry.id)
        assert number is not None
        self._entries[number] = entry

    def commands(self) -> int:
        """How many commands were executed."""
        return sum(1 for entry in self._entries.values() if isinstance(entry, Step))

    def failed(self) -> list[Step]:
        """Commands that have failed so far."""
        return [entry for entry in self._entries.values() if isinstance(entry, Step) and entry.status == "failed"]

    def entries(self) -> list[JournalEntry]:
        """All, in order."""
        found = (self._entries[number] for number in sorted(self._entries))
        return [entry.entry() if isinstance(entry, Step) else entry for entry in found]
