"""Messages between control and a media plane: one JSON object a line, in order, no audio (DESIGN §1).

Units (legs, agents, recordings) are named `{session}/{name}`; a name used again gets `~2`, `~3`, … so that a late
message cannot reach its successor. `confirm` asks for one `Done` with the same token.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from .codec import DecodeError, decode, encode
from .records import LedgerEntry
from .transcript import Mark

LINK_LINE = 512 * 1024
"""Bytes of one line; a longer one ends the link (an agent's metadata may be 256 KB)."""
HEARTBEAT = 1.0
"""Seconds between two pings (DESIGN §1)."""

Message = TypeVar("Message", bound=type)
MESSAGES: dict[str, type] = {}
"""Class name → class."""


def _message(kind: Message) -> Message:
    MESSAGES[kind.__name__] = kind
    return kind


# --- control → plane


@_message
@dataclass(frozen=True, slots=True)
class Hello:
    """A control begins its life; the plane ends what a former one left."""

    life: str
    """Identity of this life."""
    lease: float = 10.0
    """Seconds without a message after which the plane stops all audio and closes all agents."""


@_message
@dataclass(frozen=True, slots=True)
class Ping:
    """Heartbeat."""

    n: int
    """Number to return."""


@_message
@dataclass(frozen=True, slots=True)
class LegMedia:
    """Make a leg or change its media; a leg lives on one port to its end."""

    leg: str
    """Unit id."""
    port: int
    """RTP port from the plane's stock."""
    codec: Literal["PCMU", "PCMA"] = "PCMU"
    """What we send."""
    remote: tuple[str | int, ...] = ()
    """(host, port) of the peer's RTP; empty: not known yet."""
    remote_rtcp: tuple[str | int, ...] = ()
    """(host, port) of the peer's RTCP."""
    send_payload_type: int = 0
    """Payload type towards the peer."""
    dtmf_send: int | None = None
    """Payload type of telephone-event towards the peer."""
    dtmf_receive: int | None = None
    """Payload type of telephone-event from the peer."""
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] = "sendrecv"
    """Ours."""
    on_hold: bool = False
    """The peer holds us: silence to its agent, what it would hear is discarded."""
    answered: bool = False
    """The leg is answered: a silent peer is reported."""
    confirm: str | None = None
    """Done when in force."""


@_message
@dataclass(frozen=True, slots=True)
class LegClose:
    """The leg is over; its port goes back."""

    leg: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class LegFallback:
    """What a leg hears while no source is routed to it."""

    leg: str
    """Unit id."""
    source: str = ""
    """`ringback`, the id of a leg whose early media it hears, or empty for nothing."""


@_message
@dataclass(frozen=True, slots=True)
class LegDigits:
    """Send RFC 4733 digits on a leg."""

    leg: str
    """Unit id."""
    digits: str
    """0-9 * # A-D."""
    confirm: str | None = None
    """Done when queued."""


@_message
@dataclass(frozen=True, slots=True)
class LegInfoDigit:
    """A digit that came by SIP INFO; counted once with those of RFC 4733."""

    leg: str
    """Unit id."""
    digit: str
    """One digit."""


@_message
@dataclass(frozen=True, slots=True)
class LegGather:
    """Keep a leg's digits from the agents and legs that hear it, and count them for a gather, from this moment on.

    It is over within the tick of the digit that completes it, or by `LegGatherEnd`; another one takes its place.
    """

    leg: str
    """Unit id."""
    gather: str
    """Identity of the gather, which its digits carry."""
    max_digits: int
    """So many complete it."""
    finish_on: str = ""
    """Keys that complete it, too."""
    secret: bool = False
    """Nobody hears the leg's peer meanwhile, its recording is silent: phones may send tones beside the events."""
    confirm: str | None = None
    """Done when in force."""


@_message
@dataclass(frozen=True, slots=True)
class LegGatherEnd:
    """Digits go their usual ways again; nothing happens where that gather is over."""

    leg: str
    """Unit id."""
    gather: str
    """Identity of the gather."""
    confirm: str | None = None
    """Done after its last digit."""


@_message
@dataclass(frozen=True, slots=True)
class LegPlayout:
    """Say when what the leg hears of its agent has been heard out (DESIGN §1, at most 15 s)."""

    leg: str
    """Unit id."""
    confirm: str
    """Done when it is over."""


@_message
@dataclass(frozen=True, slots=True)
class Route:
    """`sink` hears `source`; replaces the sink's former source and says so."""

    source: str
    """Unit id."""
    sink: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class Unroute:
    """Stop `sink` hearing `source`; what is queued is discarded."""

    source: str
    """Unit id."""
    sink: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class AgentOpen:
    """Open an agent's socket; Done when it is open."""

    agent: str
    """Unit id."""
    base_url: str
    """wss://…"""
    agent_id: str
    """The provider's id."""
    api_key: str
    """The resolved key; never written anywhere."""
    version: str
    """cartesia_version."""
    input_format: Literal["mulaw_8000", "pcm_16000", "pcm_24000", "pcm_44100"] = "mulaw_8000"
    """Audio format of both directions."""
    confirm: str | None = None
    """Done when open."""


@_message
@dataclass(frozen=True, slots=True)
class AgentBegin:
    """Send start; Done when acked."""

    agent: str
    """Unit id."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """start.metadata."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """start.config."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """start.agent."""
    confirm: str | None = None
    """Done when acked."""


@_message
@dataclass(frozen=True, slots=True)
class AgentSend:
    """A custom event to the agent."""

    agent: str
    """Unit id."""
    metadata: Mapping[str, Any]
    """Any JSON object."""
    confirm: str | None = None
    """Done when written."""


@_message
@dataclass(frozen=True, slots=True)
class AgentToolResult:
    """The result of a client tool that the agent called."""

    agent: str
    """Unit id."""
    id: str
    """The service's id of the call."""
    result: str
    """JSON text."""
    is_error: bool = False
    """The result says what went wrong."""
    error_type: str | None = None
    """A word for it."""
    confirm: str | None = None
    """Done when written."""


@_message
@dataclass(frozen=True, slots=True)
class AgentDigits:
    """dtmf messages to the agent."""

    agent: str
    """Unit id."""
    digits: str
    """0-9 * #."""
    confirm: str | None = None
    """Done when written."""


@_message
@dataclass(frozen=True, slots=True)
class AgentClear:
    """Drop the agent's audio that arrived up to a moment; what came later survives."""

    agent: str
    """Unit id."""
    at: float
    """Monotonic seconds of the event that asked for it; the plane turns it into a ledger position."""
    confirm: str | None = None
    """Done when dropped."""


@_message
@dataclass(frozen=True, slots=True)
class AgentClose:
    """Close the agent's socket; what it delivered stays queued."""

    agent: str
    """Unit id."""
    reason: str = "session completed"
    """Close reason."""


@_message
@dataclass(frozen=True, slots=True)
class RecordBegin:
    """Record a leg into a raw file; the finisher makes the wav."""

    recording: str
    """Unit id."""
    leg: str
    """Unit id of the leg."""
    path: str
    """File that does not exist yet."""


@_message
@dataclass(frozen=True, slots=True)
class RecordPause:
    """Both channels are silent from this moment on."""

    recording: str
    """Unit id."""
    reason: str = ""
    """For the timeline."""


@_message
@dataclass(frozen=True, slots=True)
class RecordResume:
    """The pause that control asked for is over."""

    recording: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class RecordEnd:
    """Stop a recording."""

    recording: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class SoundOpen:
    """Make a player of a sound that control has prepared; Done when it is in memory."""

    player: str
    """Unit id."""
    path: str
    """File of µ-law at 8 kHz, without a header."""
    loop: bool = False
    """Over and over."""
    paused: bool = False
    """It waits for PlayerPause(on=False)."""
    confirm: str | None = None
    """Done when it is loaded."""


@_message
@dataclass(frozen=True, slots=True)
class PlayOver:
    """A leg hears a player in place of its source, which comes back when the player ends."""

    player: str
    """Unit id."""
    leg: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class PlayerPause:
    """Hold a player at its place, or let it go on."""

    player: str
    """Unit id."""
    on: bool
    """Hold it."""


@_message
@dataclass(frozen=True, slots=True)
class PlayerMark:
    """Tell when a position of a player is heard."""

    player: str
    """Unit id."""
    offset: float
    """Seconds from its start; below zero: from its end."""
    confirm: str | None = None
    """Done when it is set."""


@_message
@dataclass(frozen=True, slots=True)
class PlayerClose:
    """A player is over; a leg that heard it in place of its source has that back. Answered by PlayerSaid."""

    player: str
    """Unit id."""
    reason: str = ""
    """Why, for its last word."""


@_message
@dataclass(frozen=True, slots=True)
class SpeechOpen:
    """Make a player of a socket to Sonic; Done when it is open."""

    player: str
    """Unit id."""
    base_url: str
    """wss://…"""
    api_key: str
    """The resolved key; never written anywhere."""
    version: str
    """cartesia_version."""
    confirm: str | None = None
    """Done when open."""


@_message
@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A generation request of a realtime player."""

    player: str
    """Unit id."""
    request: Mapping[str, Any]
    """Fields of the request; the output format is the plane's."""
    confirm: str | None = None
    """Done when written."""


@_message
@dataclass(frozen=True, slots=True)
class SpeechCancel:
    """Cancel a context of a realtime player."""

    player: str
    """Unit id."""
    context_id: str
    """The context."""
    confirm: str | None = None
    """Done when written, or nothing was left to cancel."""


@_message
@dataclass(frozen=True, slots=True)
class SpeechClear:
    """Drop what a realtime player has queued up to now."""

    player: str
    """Unit id."""
    confirm: str | None = None
    """Done when dropped."""


@_message
@dataclass(frozen=True, slots=True)
class SessionClose:
    """Close everything of a session; answered by `SessionClosed`."""

    session: str
    """Session id."""


# --- plane → control


@_message
@dataclass(frozen=True, slots=True)
class Ready:
    """The plane lives."""

    plane: int
    """Its index."""
    pid: int
    """Its process."""
    ports: tuple[int, ...] = ()
    """Open RTP ports in stock."""


@_message
@dataclass(frozen=True, slots=True)
class Ports:
    """More ports in stock."""

    ports: tuple[int, ...]
    """Open RTP ports."""


@_message
@dataclass(frozen=True, slots=True)
class Pong:
    """Heartbeat's answer."""

    n: int
    """The number."""
    legs: int = 0
    """Live legs."""
    late_ms: float = 0.0
    """Largest lateness of a tick since the last one."""


@_message
@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a message with `confirm`."""

    confirm: str
    """Its token."""
    ok: bool = True
    """False: `code` and `message` say why."""
    code: str = ""
    """Error code."""
    message: str = ""
    """What happened."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """For AgentOpen: web_socket_id."""


@_message
@dataclass(frozen=True, slots=True)
class AgentSaid:
    """A message of the agent's service that is not audio."""

    agent: str
    """Unit id."""
    type: str
    """Event type: agent.ack, agent.clear, …"""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Payload."""
    at: float = 0.0
    """Monotonic seconds of its arrival."""
    role: str = ""
    """For turn events: assistant or user, whatever the wire calls it."""
    turn: str = ""
    """For turn events of the assistant: the turn's id."""
    text: str = ""
    """For the end of such a turn: what was said."""
    interrupted: bool = False
    """It was cut short."""
    told: str = ""
    """For the end of such a turn: what was told of it piece by piece, at most 4,096 characters."""
    marks: tuple[Mark, ...] = ()
    """Where in the turn's audio the pieces of `told` begin; empty: not known."""


@_message
@dataclass(frozen=True, slots=True)
class TurnCut:
    """A turn that began and never ended, as its service told it; at the latest at the close of the socket."""

    agent: str
    """Unit id."""
    turn: str
    """Turn id."""
    text: str
    """Text so far, at most 4,096 characters."""
    at: float = 0.0
    """Monotonic seconds."""
    marks: tuple[Mark, ...] = ()
    """Where in the turn's audio the pieces of `text` begin; empty: not known."""


@_message
@dataclass(frozen=True, slots=True)
class AgentGone:
    """The agent's socket is closed; exactly one for each AgentOpen."""

    agent: str
    """Unit id."""
    code: int
    """Close code."""
    reason: str
    """Close reason."""
    by: Literal["us", "agent", "idle", "error", "network"]
    """Judged by the reason."""
    expected: bool
    """We closed it."""


@_message
@dataclass(frozen=True, slots=True)
class LegDigit:
    """A digit from the peer, counted once."""

    leg: str
    """Unit id."""
    digit: str
    """One of 0-9 * # A-D."""
    gather: str = ""
    """The gather that it belongs to; nobody else was told. Empty: agents and legs that hear the leg were."""
    last: bool = False
    """It completed the gather."""


@_message
@dataclass(frozen=True, slots=True)
class LegSilent:
    """20 s without RTP and RTCP, not on hold."""

    leg: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class LegAudible:
    """The first RTP of a leg arrived."""

    leg: str
    """Unit id."""


@_message
@dataclass(frozen=True, slots=True)
class MediaNote:
    """Audio of a source started, ended, or was replaced at a sink."""

    type: Literal["media.started", "media.ended", "media.replaced"]
    """Event type."""
    source: str
    """Unit id."""
    sink: str = ""
    """Unit id."""
    by: str = ""
    """Unit id of the source that took the place."""


@_message
@dataclass(frozen=True, slots=True)
class Speech:
    """The peer of a leg spoke, by energy."""

    leg: str
    """Unit id."""
    seconds: float
    """Length of the utterance."""
    began: float
    """Monotonic seconds of its begin."""


@_message
@dataclass(frozen=True, slots=True)
class RecordOver:
    """A recording's raw file is closed."""

    recording: str
    """Unit id."""
    seconds: float
    """Length."""
    error: str = ""
    """Why it stopped early."""


@_message
@dataclass(frozen=True, slots=True)
class PlayerSaid:
    """A step in a player's life; after finished, stopped or failed the plane knows it no more."""

    player: str
    """Unit id."""
    type: Literal["started", "marker", "chunks_finished", "finished", "stopped", "failed"]
    """What happened."""
    seconds: float = 0.0
    """marker: its place; chunks_finished: time to the first audio; the last three: seconds that were heard."""
    reason: str = ""
    """stopped, failed, and of a context that failed: why."""
    context_id: str = ""
    """chunks_finished: which context."""
    last: bool = False
    """chunks_finished: nothing else was asked for."""


@_message
@dataclass(frozen=True, slots=True)
class PlaneNote:
    """A line for a session's timeline."""

    session: str
    """Session id."""
    kind: str
    """Kind of the timeline entry."""
    what: str
    """Short text."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Details."""
    at: float = 0.0
    """Monotonic seconds."""


@_message
@dataclass(frozen=True, slots=True)
class SessionClosed:
    """Nothing of the session is left on the plane."""

    session: str
    """Session id."""
    ledger: tuple[LedgerEntry, ...] = ()
    """Every cord's entry."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Figures measured at the wire."""


LinkMessage: TypeAlias = Any
"""One of the classes above."""


def to_line(message: LinkMessage) -> bytes:
    """One message as a line of JSON."""
    body = encode(message)
    assert isinstance(body, dict)
    return json.dumps({"m": type(message).__name__, **body}, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> LinkMessage:
    """The message of a line. Raises DecodeError."""
    try:
        body = json.loads(line)
    except ValueError as error:
        raise DecodeError("", "not JSON") from error
    if not isinstance(body, dict) or not isinstance(body.get("m"), str):
        raise DecodeError("m", "missing")
    kind = MESSAGES.get(body.pop("m"))
    if kind is None:
        raise DecodeError("m", "unknown message")
    return decode(kind, body)
