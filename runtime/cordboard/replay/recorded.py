"""Reads a journal back into the events of a call (contract/journal.py).

Nothing that stands in a file is trusted: sizes are bounded, lines checked by the contract, and whatever does not fit is
`JournalUnreadable` with file and line. A line that was torn in the middle of its writing costs itself alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cordboard.contract.codec import DecodeError
from cordboard.contract.journal import (
    MAX_JOURNAL,
    MAX_LINE,
    JournalAnswer,
    JournalBegan,
    JournalEvent,
    JournalFailed,
    JournalFull,
    JournalLine,
    JournalRound,
    JournalUnheard,
    read_line,
)
from cordboard.contract.records import Answer, JournalEntry

MOST: Final = MAX_JOURNAL + MAX_LINE
"""Bytes beyond which a file is no journal that an edge wrote."""


class JournalUnreadable(Exception):
    """A journal, or one line of it, cannot be read."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
        self.path = path
        """The file."""
        self.line = line
        """From 1; 0: the file as a whole."""
        self.problem = problem
        """What is wrong."""


@dataclass(slots=True)
class RecordedRound:
    """One attempt at a round."""

    number: int
    attempt: int
    results: tuple[JournalEntry, ...]
    """What became known of commands since the round before."""
    answer: Answer | None = None
    """None: there was none, or it was refused."""


@dataclass(slots=True)
class RecordedEvent:
    """One event and all that its handler answered."""

    line: int
    told: JournalEvent
    state: Mapping[str, Any]
    """session.state as the handler got it."""
    rounds: list[RecordedRound] = field(default_factory=list)
    failed: JournalFailed | None = None

    @property
    def masked(self) -> bool:
        """The handler knew more than the file says."""
        return self.told.masked

    @property
    def unanswered(self) -> bool:
        """No answer was accepted: the journal does not say what the handler wanted."""
        return all(each.answer is None for each in self.rounds)


@dataclass(slots=True)
class RecordedCall:
    """One journal."""

    path: Path
    began: JournalBegan
    events: list[RecordedEvent] = field(default_factory=list)
    unheard: list[JournalUnheard] = field(default_factory=list)
    full: bool = False
    """It reached its limit: later events are not in it."""
    torn: JournalUnreadable | None = None
    """Its last line is half a line."""


def read_journal(path: Path) -> RecordedCall:
    """The call. Raises JournalUnreadable; FileNotFoundError where there is none."""
    try:
        if (size := path.stat().st_size) > MOST:
            raise JournalUnreadable(path, 0, f"has {size} bytes, more than {MOST}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise JournalUnreadable(path, 0, str(error.strerror)) from error
    lines = content.split(b"\n")
    rest = lines.pop()
    call: RecordedCall | None = None
    states: dict[int, Mapping[str, Any]] = {0: {}}
    for number, raw in enumerate(lines, 1):
        try:
            line = read_line(raw)
            if call is None:
                if not isinstance(line, JournalBegan):
                    raise DecodeError("kind", f"the first line is {line.kind!r}, not 'began'")
                call = RecordedCall(path, line)
            else:
                _take(call, line, number, states)
        except DecodeError as error:
            raise JournalUnreadable(path, number, str(error)) from None
    torn = JournalUnreadable(path, len(lines) + 1, f"the line is torn after {len(rest)} bytes") if rest else None
    if call is None:
        raise torn or JournalUnreadable(path, 0, "is empty")
    call.torn = torn
    return call


def _take(call: RecordedCall, line: JournalLine, number: int, states: dict[int, Mapping[str, Any]]) -> None:
    event = call.events[-1] if call.events else None
    match line:
        case JournalBegan():
            raise DecodeError("kind", "a second 'began'")
        case JournalFull():
            call.full = True
        case JournalUnheard():
            call.unheard.append(line)
        case JournalEvent():
            if line.state_version not in states:
                raise DecodeError("state_version", f"no answer before made version {line.state_version}")
            call.events.append(RecordedEvent(number, line, states[line.state_version]))
        case JournalRound():
            event = _of(event, line.event_id, "event_id")
            event.rounds.append(RecordedRound(line.round, line.attempt, line.results))
        case JournalAnswer():
            answer = line.answer
            event = _of(event, answer.event_id, "answer.event_id")
            sent = event.rounds[-1] if event.rounds else None
            if sent is None or (sent.number, sent.attempt) != (answer.round, answer.attempt) or sent.answer is not None:
                raise DecodeError("answer.round", f"no round {answer.round}, attempt {answer.attempt}, was sent")
            sent.answer = answer
            if answer.state is not None:
                states[answer.state.base_version + 1] = answer.state.data
        case JournalFailed():
            _of(event, line.event_id, "event_id").failed = line


def _of(event: RecordedEvent | None, event_id: str, path: str) -> RecordedEvent:
    if event is None or event.told.event.id != event_id:
        raise DecodeError(path, f"{event_id!r} is not the event in flight")
    return event
