"""Records: what travels between edge and handler, and what is kept of a call (DESIGN §4)."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .codec import DecodeError
from .commands import Command
from .events import Event
from .patience import Fallback, Patience

INVOCATION_SCHEMA = "cordboard.invocation/1"
ANSWER_SCHEMA = "cordboard.answer/1"
DESCRIBE_SCHEMA = "cordboard.describe/1"
DESCRIPTION_SCHEMA = "cordboard.description/1"

MAX_REQUEST = 256 * 1024
"""Bytes of an invocation (DESIGN §4; Lambda allows 6 MB, EventBridge-era payloads 256 KB)."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer (DESIGN §4)."""
MAX_REPLY = 64 * 1024
"""Bytes of an HTTP reply's body (DESIGN §4)."""
MAX_STATE = 20 * 1024
"""Bytes of session.state as JSON (Chime's TransactionAttributes: 20 KB)."""
MAX_COMMANDS = 50
"""Commands an event may emit over all its rounds (Chime allows 10 actions a response)."""
MAX_ROUNDS = 16
"""Rounds an event may take."""
MAX_INVOCATIONS = 1_000
"""Invocations of one session (Chime: 1,000 a call)."""
MAX_JOURNAL_RESULT = 16 * 1024
"""Bytes of one journalled result."""
MAX_LOG_LINES = 100
"""Log lines one answer carries; the rest is counted."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a handler may know of its session."""

    id: str
    """`s_…`."""
    scenario: str
    """Name of the scenario that runs."""
    control_url: str
    """Full control URL; a secret."""
    started_at: str
    """RFC 3339, UTC."""
    custom_data: Mapping[str, Any] = field(default_factory=dict)
    """Passed by whoever started the session."""
    tenant: str | None = None
    """Always None in this release: one tenant per edge."""


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """session.state as the edge holds it."""

    version: int
    """Counts the changes, from 0."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the user's dataclass; empty before the first change."""


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """A live object at the start of the event."""

    name: str
    """Name chosen by the handler."""
    kind: Literal["call", "agent", "recording", "player", "realtime_player"]
    """What it is."""
    id: str
    """The edge's own id."""
    state: str
    """A call: ALERTING PROGRESSING CONNECTED TERMINATED; an agent: CONNECTING OPEN STARTED CLOSED; else ACTIVE."""
    number: str = ""
    """Call: the number called."""
    callerid: str = ""
    """Call: the caller's number."""
    display_name: str = ""
    """Call: the caller's display name."""
    incoming: bool = False
    """Call: it came in."""
    client_type: str = "sip"
    """Call: pstn or sip."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Call: headers of its INVITE or answer."""
    web_socket_id: str = ""
    """Agent: id of the socket."""


@dataclass(frozen=True, slots=True)
class StepError:
    """Why a step failed."""

    code: str
    """call_ended, timeout, not_supported, refused, object_ended, not_found, invalid, …"""
    message: str
    """What happened and what to do."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One journalled step of an event: a command, or a read that may differ between rounds."""

    id: str
    """`{seq}.{n}`."""
    type: str
    """Command type, or `storage.get`, `storage.put`, `storage.remove`, `storage.keys`, `once`, `secret.reveal`."""
    hash: str
    """`fingerprint` of type, target and arguments."""
    status: Literal["pending", "done", "failed"] = "done"
    """pending: executed, result not known yet."""
    result: Any = None
    """JSON result of a done step."""
    error: StepError | None = None
    """Error of a failed step."""
    target: str | None = None
    """The command's object, the key or secret of a read; for messages."""
    line: str = ""
    """Where the handler took the step, for messages."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One round of one event: what a function receives."""

    session: SessionInfo
    """The session."""
    event: Event
    """The event; the same in all its rounds."""
    now: str
    """RFC 3339; `session.now`, the same in all rounds of an event."""
    attempt: int = 1
    """1, or 2 after a lost, timed out or crashed round."""
    round: int = 0
    """Counts the suspensions."""
    release: str = ""
    """Release the session took at its start."""
    deadline_ms: int = 5_000
    """Milliseconds the round may take."""
    state: StateSnapshot = field(default_factory=lambda: StateSnapshot(0))
    """session.state."""
    objects: tuple[ObjectRecord, ...] = ()
    """Live objects, as they were at the start of the event."""
    journal: tuple[JournalEntry, ...] = ()
    """Every step of earlier rounds, in order."""
    logged: int = 0
    """Log lines that the answers of the event's earlier rounds carried; a replay drops that many of its first."""
    schema: Literal["cordboard.invocation/1"] = "cordboard.invocation/1"
    """Version of this record."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """session.state after the event."""

    base_version: int
    """Version it was computed from; another one means a zombie's answer."""
    data: Mapping[str, Any]
    """All fields."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A handler's answer to an http.request."""

    status: int = 200
    """HTTP status, 200 to 599."""
    body: str = ""
    """Text, or base64 when `base64` is true."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers; Content-Type defaults to application/json."""
    base64: bool = False
    """The body is base64 of bytes."""

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise DecodeError("status", f"{self.status} is not between 200 and 599")
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or re.search(r"[\r\n\0]", value):
                raise DecodeError(f"headers.{name}", "is not a valid HTTP header")

    def content(self) -> bytes:
        """The body as bytes. Raises DecodeError on bad base64."""
        if not self.base64:
            return self.body.encode()
        try:
            return base64.b64decode(self.body, validate=True)
        except ValueError as error:
            raise DecodeError("body", "is not base64") from error


@dataclass(frozen=True, slots=True)
class AnswerError:
    """Why a round failed, or how it was refused."""

    type: str
    """Exception class, or nondeterminism, bad_request, not_found."""
    message: str
    """Its text."""
    traceback: str = ""
    """Formatted traceback, at most 8 KB, for the timeline."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a handler logged."""

    level: str
    """INFO, WARNING, …"""
    message: str
    """Text."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Logger.write."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function returns for one round. A round is atomic: a failed one executes nothing of itself."""

    event_id: str
    """Echo of the event's id."""
    round: int
    """Echo."""
    attempt: int
    """Echo."""
    status: Literal["done", "suspended", "failed"]
    """done: the handler returned; suspended: it awaits `waiting`; failed: it raised."""
    waiting: tuple[str, ...] = ()
    """Ids whose results the handler awaits."""
    commands: tuple[Command, ...] = ()
    """Commands of this round that the journal did not hold yet, in order."""
    journal: tuple[JournalEntry, ...] = ()
    """Reads taken in this round, results included; the edge returns them in later rounds, those of a failed round in
    none: they stand in the call's journal alone."""
    state: StateChange | None = None
    """Only with done, and only if it changed."""
    reply: Reply | None = None
    """For http.request, only with done."""
    error: AnswerError | None = None
    """Only with failed."""
    logs: tuple[LogLine, ...] = ()
    """Lines logged by code that ran for the first time."""
    replace_worker: bool = False
    """The handler swallowed its cancellation: the worker must not be used again."""
    schema: Literal["cordboard.answer/1"] = "cordboard.answer/1"
    """Version of this record."""

    def __post_init__(self) -> None:
        if self.status == "suspended" and not self.waiting:
            raise DecodeError("waiting", "a suspended answer must name what it waits for")
        if self.status == "failed" and self.error is None:
            raise DecodeError("error", "a failed answer must say why")
        if len(self.commands) > MAX_COMMANDS:
            raise DecodeError("commands", f"{len(self.commands)} are more than {MAX_COMMANDS}")


@dataclass(frozen=True, slots=True)
class EventRoute:
    """One event that a function listens to."""

    type: str
    """Wire type."""
    target: str | None = None
    """Object, timer or gather name; None: any."""
    timeout: float = 5.0
    """Seconds a round may take."""
    on_error: Literal["terminate", "ignore", "fallback"] | None = None
    """Overrides the policy of DESIGN §4."""
    tool: bool = False
    """Made for the function's tools: the target is a tool's name; without one it yields to any handler."""
    patience: Patience | None = None
    """What is heard while it is late; None: the scenario's."""
    fallback: Fallback | None = None
    """What becomes of the call when it is too late, or with on_error = fallback; None: the scenario's."""


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """One function that the agent may call."""

    name: str
    """Its name at the agent, and the verb of the control URL."""
    parameters: Mapping[str, Any]
    """JSON Schema (2020-12) of its arguments, an object."""
    timeout: float = 5.0
    """Seconds a round may take."""


@dataclass(frozen=True, slots=True)
class WebhookRoute:
    """One type of Cartesia's webhooks that a function takes."""

    type: str
    """`call_completed` …; `*`: every type that no other route names."""
    timeout: float = 30.0
    """Seconds the handler may take."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a function says of itself when invoked with cordboard.describe/1."""

    scenario: str
    """Name of its scenario; empty where it has none and takes webhooks."""
    events: tuple[EventRoute, ...] = ()
    """What it listens to."""
    log_only: tuple[str, ...] = ()
    """Event types that the edge only logs."""
    on_error: Literal["terminate", "ignore", "fallback"] | None = None
    """The scenario's policy."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """Default state."""
    tools: tuple[ToolDescription, ...] = ()
    """What the agent may call; `events` holds their routes."""
    webhooks: tuple[WebhookRoute, ...] = ()
    """Webhooks of Cartesia that it takes."""
    release: str = ""
    """Stamp of the code it runs: equal in all functions of one deployment; empty where the host knows it."""
    patience: Patience | None = None
    """What a call hears while the function is late."""
    fallback: Fallback | None = None
    """What becomes of a call without the function."""
    contract: str = "1"
    """Version of the contract it was built with."""
    schema: Literal["cordboard.description/1"] = "cordboard.description/1"
    """Version of this record."""


def size_of(value: object) -> int:
    """Bytes of a JSON value as it travels."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
