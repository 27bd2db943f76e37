"""The journal of a session: what its handlers were told and what they answered, one JSON object a line (DESIGN §4, §7).

From it a call can be asked again of other code. Secrets stand in it by name alone; control URLs, keys and what was
gathered in secret are `***` (MASK). Leaves out what handlers logged (the timeline's) and hashes of commands, by which
a short secret in an argument could be found: whoever reads makes them anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from .codec import DecodeError, decode, encode
from .events import Event
from .patience import Fallback
from .records import Answer, JournalEntry, ObjectRecord

JOURNAL_SCHEMA: Final = "cordboard.journal/1"
MASK: Final = "***"
"""Stands for a text that may not be written."""
MIN_SECRET: Final = 6
"""Characters below which a secret's value is not masked: it would mask ordinary words, and hides little."""
MAX_JOURNAL: Final = 16 * 1024 * 1024
"""Bytes of one journal: a thousand invocations (MAX_INVOCATIONS) of 16 KB each."""
MAX_LINE: Final = 1024 * 1024
"""Bytes of one line: an invocation of 256 KB, and what masks add to it."""


@dataclass(frozen=True, slots=True)
class JournalBegan:
    """The first line."""

    session: str
    """Session id."""
    scenario: str
    """Scenario that runs."""
    release: str
    """Release that the session took."""
    started_at: str
    """RFC 3339."""
    control_url: str
    """The session's control URL, its token masked."""
    custom_data: Mapping[str, Any] = field(default_factory=dict)
    """Passed by whoever started the session."""
    schema: Literal["cordboard.journal/1"] = "cordboard.journal/1"
    """Version of this file."""
    kind: Literal["began"] = "began"
    """Which line this is, as in those below."""


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """The turn of an event began."""

    event: Event
    """The event, as its handler got it in all rounds."""
    function: str
    """Function that answers it."""
    now: str
    """RFC 3339; `session.now`."""
    deadline_ms: int
    """Milliseconds a round may take."""
    state_version: int
    """Version of session.state that the handler got; its data stands in the answer that made it, version 0 in none."""
    objects: tuple[ObjectRecord, ...] = ()
    """Live objects at the start of the event."""
    masked: bool = False
    """The handler got data that may not be written: a secret gather's digits, a private agent's words."""
    kind: Literal["event"] = "event"
    """See JournalBegan."""


@dataclass(frozen=True, slots=True)
class JournalRound:
    """A round of the event was sent to its function. Without an answer it was lost or refused."""

    event_id: str
    """The event."""
    round: int
    """Counts the suspensions, from 0."""
    attempt: int
    """1, or 2."""
    results: tuple[JournalEntry, ...] = ()
    """Commands whose result became known since the event's last round."""
    kind: Literal["round"] = "round"
    """See JournalBegan."""


@dataclass(frozen=True, slots=True)
class JournalAnswer:
    """The round's answer, as it was accepted."""

    answer: Answer
    """Without logs; commands without hash."""
    kind: Literal["answer"] = "answer"
    """See JournalBegan."""


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """The event failed."""

    event_id: str
    """The event."""
    error: str
    """Exception class or kind of loss."""
    policy: str
    """What was done for it: refuse, reply, terminate, ignore, fallback."""
    chosen: Literal["terminate", "ignore", "fallback"] | None = None
    """What its handler, else its scenario, said of failures; None: nothing."""
    fallback: Fallback | None = None
    """The scenario's fallback, if it has one."""
    kind: Literal["failed"] = "failed"
    """See JournalBegan."""


@dataclass(frozen=True, slots=True)
class JournalUnheard:
    """An event came that no function listened to; once for each type, target and tool."""

    type: str
    """Wire type."""
    target: str | None = None
    """Its object."""
    tool: str | None = None
    """The tool it called, if it called one."""
    kind: Literal["unheard"] = "unheard"
    """See JournalBegan."""


@dataclass(frozen=True, slots=True)
class JournalFull:
    """The last line of a journal that reached MAX_JOURNAL; what came later is not written."""

    kind: Literal["full"] = "full"
    """See JournalBegan."""


JournalLine: TypeAlias = (
    JournalBegan | JournalEvent | JournalRound | JournalAnswer | JournalFailed | JournalUnheard | JournalFull
)

LINES: Final[Mapping[str, type[Any]]] = {
    "began": JournalBegan,
    "event": JournalEvent,
    "round": JournalRound,
    "answer": JournalAnswer,
    "failed": JournalFailed,
    "unheard": JournalUnheard,
    "full": JournalFull,
}
"""kind → class."""


def write_line(line: JournalLine) -> bytes:
    """The line as it stands in the file, with its newline."""
    return json.dumps(encode(line), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def read_line(raw: bytes) -> JournalLine:
    """The line, its newline or not. Raises DecodeError that names the field; another version is refused."""
    if len(raw) > MAX_LINE:
        raise DecodeError("", f"the line has {len(raw)} bytes, more than {MAX_LINE}")
    try:
        value = json.loads(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise DecodeError("", f"is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DecodeError("", "is no JSON object")
    found = value.get("kind")
    kind = LINES.get(found) if isinstance(found, str) else None
    if kind is None:
        raise DecodeError("kind", f"{found!r} is none of {', '.join(LINES)}")
    if kind is JournalBegan and value.get("schema") != JOURNAL_SCHEMA:
        raise DecodeError("schema", f"{value.get('schema')!r} is not {JOURNAL_SCHEMA}")
    line: JournalLine = decode(kind, value, unknown="ignore")
    return line
