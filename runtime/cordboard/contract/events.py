"""Event data by wire type (DESIGN §4, HANDLERS §1.1). The envelope is `Event`; `target` names the object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .registry import Kind, entry_in

EVENTS: dict[str, type] = {}
"""Wire type → data class."""


def _event(*types: str) -> Callable[[Kind], Kind]:
    return entry_in(EVENTS, types)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one session; `seq` orders them strictly."""

    id: str
    """`{session}:{seq}`; fences answers."""
    seq: int
    """Position in the session, from 1."""
    type: str
    """A key of `EVENTS`."""
    at: str
    """RFC 3339, UTC, milliseconds."""
    target: str | None = None
    """Name of the object that it happened to (`"caller"`), or of the timer or gather."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the type's data class."""


@_event("session.started")
@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The session exists; nothing has been dialled or answered."""

    access_secure_url: str
    """The session's full control URL; a secret."""
    custom_data: Mapping[str, Any] = field(default_factory=dict)
    """What the starter of an outbound session passed."""


@_event("call.alerting")
@dataclass(frozen=True, slots=True)
class CallAlerting:
    """An inbound INVITE was routed to this session."""

    callerid: str
    """The caller's number or user."""
    destination: str
    """The number called."""
    display_name: str = ""
    """The caller's display name, unquoted."""
    from_uri: str = ""
    """The From URI as received."""
    to_uri: str = ""
    """The To URI as received."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the INVITE that handlers may see."""


@_event("call.ringing", "call.connected", "call.audio_started", "call.hold", "call.unhold")
@dataclass(frozen=True, slots=True)
class CallProgress:
    """A leg changed its state."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the response or request that said so."""


@_event("call.disconnected")
@dataclass(frozen=True, slots=True)
class CallDisconnected:
    """An answered leg ended."""

    reason: str = ""
    """Text of the Reason header, or our own."""
    duration: float = 0.0
    """Seconds from answer to end."""
    by: Literal["them", "us", "edge"] = "them"
    """Who ended it: the peer, a handler's command, or the edge by a limit or a fault."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the BYE."""


@_event("call.failed")
@dataclass(frozen=True, slots=True)
class CallFailed:
    """A leg ended before it was answered."""

    code: int
    """SIP status; 403 when not allowed to dial, 408 no answer, 487 cancelled."""
    reason: str = ""
    """Its text."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the response."""


@_event("call.tone")
@dataclass(frozen=True, slots=True)
class CallTone:
    """A digit, counted once whatever method carried it."""

    tone: str
    """One of 0-9 * # A-D."""


@_event("call.gathered")
@dataclass(frozen=True, slots=True)
class CallGathered:
    """Digits collected at the edge: exactly one for each gather that began; the target is the gather's name."""

    digits: str
    """What was pressed, without the key that finished it."""
    reason: Literal["complete", "timeout", "interrupted"] = "complete"
    """complete: max_digits or a key of finish_on; timeout: no further key came; interrupted: the leg ended, or another
    gather took its place."""
    call: str = "caller"
    """Name of the leg."""


@_event("call.message", "call.info")
@dataclass(frozen=True, slots=True)
class CallMessage:
    """A MESSAGE or INFO inside the dialog."""

    mime: str
    """Content type."""
    body: str
    """Text of the body, at most 16 KB."""


@_event("call.transfer_requested", "call.transfer_complete", "call.transfer_failed")
@dataclass(frozen=True, slots=True)
class CallTransfer:
    """A transfer's request or its one outcome."""

    to: str
    """Number or URI of the target."""
    mode: str = "blind"
    """blind, warm or attended."""
    code: int = 0
    """SIP status of the outcome."""
    reason: str = ""
    """Its text."""


@_event("call.media_statistics")
@dataclass(frozen=True, slots=True)
class CallMediaStatistics:
    """Counts of one leg, coalesced."""

    packets_received: int = 0
    """RTP packets received."""
    packets_sent: int = 0
    """RTP packets sent."""
    packets_lost: int = 0
    """RTP packets lost on the way to us (RFC 3550 A.3)."""
    jitter: float = 0.0
    """Interarrival jitter in seconds (RFC 3550 A.8)."""


@_event("http.request")
@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to the session's control URL."""

    method: str
    """GET or POST."""
    path: str
    """Path after the token, starting with /."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Allowed request headers, names in lower case."""
    content: str = ""
    """Body, at most 16 KB; empty for GET."""
    verb: str | None = None
    """First path segment after the token, if any."""


@_event(
    "agent.ack", "agent.clear", "agent.dtmf", "agent.custom", "agent.transfer", "agent.turn_started",
    "agent.turn_ended", "agent.tool_call", "agent.unknown", "agent.http_response", "agent.connector_information",
    "agent.websocket_error",
)  # fmt: skip
@dataclass(frozen=True, slots=True)
class AgentEvent:
    """A message of the agent's service, passed through."""

    data: Mapping[str, Any] = field(default_factory=dict)
    """The provider's payload, unknown fields included."""


@_event("websocket.open", "websocket.message")
@dataclass(frozen=True, slots=True)
class WebSocketMessage:
    """The agent's socket opened, or carried something not spoken for above."""

    data: Mapping[str, Any] = field(default_factory=dict)
    """Payload."""


@_event("websocket.close")
@dataclass(frozen=True, slots=True)
class WebSocketClose:
    """The agent's socket is closed; exactly one for each that was created."""

    code: int
    """WebSocket close code; 1006 when there was none."""
    reason: str = ""
    """Close reason."""
    by: Literal["us", "agent", "idle", "error", "network"] = "network"
    """Judged by the reason (DESIGN §6)."""
    expected: bool = False
    """True when we closed it."""


@_event("media.started", "media.ended", "media.replaced")
@dataclass(frozen=True, slots=True)
class MediaChange:
    """Audio of a source started, ended (1 s of silence), or lost its place at a sink."""

    source: str
    """Name of the unit that speaks."""
    sink: str = ""
    """Name of the unit that hears; empty when it has none."""
    by: str = ""
    """For replaced: the source that took the place."""


@_event("player.ready", "player.started", "player.stopped", "player.finished", "player.failed")
@dataclass(frozen=True, slots=True)
class PlayerEvent:
    """A player's life: ready, then started and one of stopped (by a command or a newer source), finished, failed.
    A realtime player lives on after finished, which says that all it was asked for was heard out."""

    duration: float = 0.0
    """ready: seconds of the sound, one round of it if it repeats; stopped, finished: seconds that were heard."""
    reason: str = ""
    """stopped, failed: why."""
    call: str = ""
    """Name of the leg that hears it; empty where none does."""


@_event("player.marker")
@dataclass(frozen=True, slots=True)
class PlayerMarker:
    """A marked position was heard."""

    offset: float
    """Seconds from the start."""
    call: str = ""
    """Name of the leg that hears it."""


@_event("player.chunks_finished")
@dataclass(frozen=True, slots=True)
class PlayerChunks:
    """A realtime player's context was heard out; the player lives on."""

    context_id: str
    """The context."""
    time_to_first_byte: float
    """Seconds from its first request to its first audio."""
    error: str = ""
    """Why it failed; the player lives on."""
    call: str = ""
    """Name of the leg that hears it."""


@_event("call.playback_finished")
@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """What say or start_playback let a leg hear was heard out, or failed; told neither after stop nor replacement."""

    call: str
    """Name of the leg; the event's target is the player's."""
    error: str = ""
    """Why it failed."""


@_event("record.started", "record.stopped", "record.failed")
@dataclass(frozen=True, slots=True)
class RecordEvent:
    """A recording's life."""

    url: str = ""
    """Where the finished file is (a file: URL here)."""
    duration: float = 0.0
    """Seconds recorded."""
    reason: str = ""
    """Why it failed."""
    call: str = "caller"
    """Name of the leg that was recorded."""


@_event("command.failed")
@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A command that nobody awaited has failed."""

    command: str
    """Its type."""
    code: str
    """Error code, as in `CommandError.code`."""
    message: str = ""
    """What happened and what to do."""
    target: str | None = None
    """Its object."""


@_event("timer")
@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of `set_timeout` ran out."""

    timer: str
    """Its name."""


@_event("session.terminating")
@dataclass(frozen=True, slots=True)
class SessionTerminating:
    """Last event of a session; nothing it commands reaches a leg."""

    cause: str
    """Cause of the end."""


def tool_called(type_: str, data: Mapping[str, Any]) -> str | None:
    """Name of the tool that an event's data (a hostile agent's, perhaps) calls; None: the event calls none.

    A client tool's call, a `custom` message whose metadata names a `tool`, and the verb of a control request.
    """
    payload = data.get("data")
    inner = payload if isinstance(payload, Mapping) else {}
    name: object = None
    if type_ == "agent.tool_call":
        name = inner.get("name")
    elif type_ == "agent.custom":
        metadata = inner.get("metadata")
        name = metadata.get("tool") if isinstance(metadata, Mapping) else None
    elif type_ == "http.request":
        name = data.get("verb")
    return name if isinstance(name, str) else None
