"""What the control engine asks of its shell. The shell performs effects in order and reports back by methods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cordboard.contract.call_record import CallEnded, DialogRecord, TimelineEntry
from cordboard.contract.commands import Sound
from cordboard.contract.journal import JournalLine
from cordboard.contract.transcript import TranscriptEntry

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SendSip:
    """Send a SIP datagram."""

    data: bytes
    """The message."""
    address: Address
    """Whither."""


@dataclass(frozen=True, slots=True)
class SendPlane:
    """Write one line to a plane."""

    plane: int
    """Index."""
    line: bytes
    """JSON and a newline."""


@dataclass(frozen=True, slots=True)
class KillPlane:
    """A plane missed its lease: kill its process; the supervisor starts another."""

    plane: int
    """Index."""
    pid: int
    """Its process."""


@dataclass(frozen=True, slots=True)
class Invoke:
    """Invoke a function; answer `turn_answered(token, answer)` or `turn_failed(token, kind, message)`."""

    token: str
    """Identity of this attempt."""
    release: str
    """Release id."""
    function: str
    """Function name."""
    payload: Mapping[str, Any]
    """An Invocation as JSON."""
    timeout: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class PreparePrompt:
    """Make sounds ready, one after the other in one file of µ-law at 8 kHz without a header; answer
    `prompt_ready(request, path)` or `prompt_failed(request, reason)`, the reason without secrets."""

    request: str
    """Its token."""
    sounds: tuple[Sound, ...]
    """At least one."""


@dataclass(frozen=True, slots=True)
class ReplyHttp:
    """Answer a request that came by `receive_http`."""

    request: str
    """Its token."""
    status: int
    """HTTP status."""
    body: bytes = b""
    """Body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers."""


@dataclass(frozen=True, slots=True)
class KeepDialog:
    """Write a dialog to disk before anything else leaves."""

    key: str
    """File name."""
    record: DialogRecord
    """What to write."""


@dataclass(frozen=True, slots=True)
class DropDialog:
    """The dialog is over: remove it from disk."""

    key: str
    """File name."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Perform an HTTP request; answer `fetched(token, status, body)` or `fetch_failed(token, reason)`."""

    token: str
    """Identity of this request."""
    method: str
    """GET or POST."""
    url: str
    """http:// or https://."""
    timeout: float
    """Seconds for all of it."""
    limit: int
    """Bytes of the answer; more is a failure."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers; may hold a key."""
    body: bytes = field(default=b"", repr=False)
    """Body."""


@dataclass(frozen=True, slots=True)
class WriteTimeline:
    """Append to a session's timeline."""

    session: str
    """Session id."""
    entry: TimelineEntry
    """Already redacted."""


@dataclass(frozen=True, slots=True)
class WriteJournal:
    """Append to a session's journal, before anything else leaves."""

    session: str
    """Session id."""
    line: JournalLine
    """Already redacted."""


@dataclass(frozen=True, slots=True)
class WriteTranscript:
    """Append an utterance to a session's transcript."""

    session: str
    """Session id."""
    entry: TranscriptEntry
    """Already redacted."""
    text: str
    """The same as a line for people."""


@dataclass(frozen=True, slots=True)
class RetainRelease:
    """A session took a release."""

    release: str
    """Release id."""


@dataclass(frozen=True, slots=True)
class ReleaseDone:
    """A session gave its release back."""

    release: str
    """Release id."""


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """A session exists; its folder is to be made before its first timeline entry."""

    session: str
    """Session id."""
    facts: Mapping[str, Any]
    """scenario, from, to, started_at: what `calls ls` shows while it lives."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over: write its record, finish its files, queue its recordings for the finisher."""

    record: CallEnded
    """call.ended."""
    recordings: tuple[Mapping[str, Any], ...] = ()
    """Raw files: path, hd_audio, stereo, name."""


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the edge's own log."""

    level: str
    """info, warning, error."""
    message: str
    """Text without secrets."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields."""


Effect: TypeAlias = (
    SendSip
    | SendPlane
    | KillPlane
    | Invoke
    | PreparePrompt
    | ReplyHttp
    | KeepDialog
    | DropDialog
    | Fetch
    | WriteTimeline
    | WriteJournal
    | WriteTranscript
    | RetainRelease
    | ReleaseDone
    | SessionBegan
    | SessionEnded
    | Log
)
