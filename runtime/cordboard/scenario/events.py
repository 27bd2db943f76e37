"""The events as handlers receive them: one class for each kind, built from the wire's envelope (HANDLERS §1.1)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from cordboard.contract import events as wire
from cordboard.contract.codec import decode

from .errors import BadRequest
from .objects import AgentsClient, Call, Player
from .secret import ControlUrl

if TYPE_CHECKING:
    from .session import Objects


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has."""

    id: str
    """`{session}:{seq}`."""
    seq: int
    """Position in the session, from 1."""
    name: str
    """Wire type: `call.alerting`."""
    at: datetime
    """When it happened (UTC)."""


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """The session exists; nothing was dialled or answered."""

    access_secure_url: str
    """The session's control URL; prints without its token."""
    custom_data: Mapping[str, Any]
    """What the starter of an outbound session passed."""


@dataclass(frozen=True, kw_only=True)
class CallEvent(Event):
    """Something happened to a leg."""

    call: Call
    """The leg; its state is TERMINATED where the event says so."""
    headers: Mapping[str, str]
    """Headers of the message that said so."""


@dataclass(frozen=True, kw_only=True)
class CallAlerting(CallEvent):
    """An inbound call."""

    callerid: str
    """The caller's number or user."""
    destination: str
    """The number called."""
    display_name: str
    """The caller's display name."""
    from_uri: str
    """The From URI."""
    to_uri: str
    """The To URI."""


@dataclass(frozen=True, kw_only=True)
class CallFailed(CallEvent):
    """A leg ended before it was answered."""

    code: int
    """SIP status."""
    reason: str
    """Its text."""


@dataclass(frozen=True, kw_only=True)
class CallDisconnected(CallEvent):
    """An answered leg ended."""

    reason: str
    """Text."""
    duration: float
    """Seconds from answer to end."""
    by: Literal["them", "us", "edge"]
    """Who ended it."""


@dataclass(frozen=True, kw_only=True)
class ToneReceived(CallEvent):
    """A digit."""

    tone: str
    """One of 0-9 * # A-D."""


@dataclass(frozen=True, kw_only=True)
class Gathered(CallEvent):
    """Digits collected at the edge: exactly one for each gather, with the gather's name as target."""

    digits: str = field(repr=False)
    """What was pressed, without the key that finished it. Not in the event's `repr`, for they may be a secret."""
    reason: Literal["complete", "timeout", "interrupted"]
    """complete: `max_digits` or a key of `finish_on`; timeout: no further key; interrupted: the call ended, or another
    gather took its place."""


@dataclass(frozen=True, kw_only=True)
class PlaybackFinished(CallEvent):
    """What say or start_playback let the call hear was heard out, or failed."""

    player: str
    """Name of the player: `say`, `playback`, or as it was named."""
    error: str
    """Why it failed; empty where it was heard out."""


@dataclass(frozen=True, kw_only=True)
class PlayerEvent(Event):
    """A step in a player's life."""

    player: Player
    """The player; it is over after PlaybackFinished, Stopped and Error."""
    call: Call | None
    """Who hears it."""
    duration: float
    """Seconds: of the sound (PlaybackReady), or heard (PlaybackFinished, Stopped, Error)."""
    reason: str
    """Why it stopped or failed."""


@dataclass(frozen=True, kw_only=True)
class PlayerMarker(Event):
    """A marked position of a player was heard."""

    player: Player
    """The player."""
    call: Call | None
    """Who hears it."""
    offset: float
    """Seconds from its start."""


@dataclass(frozen=True, kw_only=True)
class PlayerChunks(Event):
    """A realtime player's context was heard out, or failed."""

    player: Player
    """The player; it lives on."""
    call: Call | None
    """Who hears it."""
    context_id: str
    """The context."""
    time_to_first_byte: float
    """Seconds from its first request to its first audio."""
    error: str
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class RecordStopped(CallEvent):
    """A recording is finished."""

    url: str
    """Where its file is."""
    duration: float
    """Seconds."""


@dataclass(frozen=True, kw_only=True)
class RecordError(CallEvent):
    """A recording did not begin, or cannot be written."""

    reason: str
    """Why."""


@dataclass(frozen=True, kw_only=True)
class TransferEnded(CallEvent):
    """The one outcome of a transfer (a later release sends it)."""

    to: str
    """Target."""
    mode: str
    """blind, warm or attended."""
    code: int
    """SIP status."""
    reason: str
    """Its text."""


@dataclass(frozen=True, kw_only=True)
class HttpRequest(Event):
    """A request to the session's control URL."""

    method: str
    """GET or POST."""
    path: str
    """Path after the token."""
    headers: Mapping[str, str]
    """Names in lower case."""
    content: str
    """Body."""
    verb: str | None
    """First path segment after the token."""

    def json(self) -> dict[str, Any]:
        """The content as a JSON object. Raises BadRequest, which gives the sender 400."""
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the content is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise BadRequest("the content is no JSON object")
        return value


@dataclass(frozen=True, kw_only=True)
class Timer(Event):
    """A timer ran out."""

    timer: str
    """Its name."""


@dataclass(frozen=True, kw_only=True)
class CommandFailed(Event):
    """A command that nobody awaited has failed."""

    command: str
    """Its wire type."""
    target: str | None
    """Name of its object."""
    code: str
    """As `CommandFailed.code` of an awaited one."""
    message: str
    """What happened and what to do."""


@dataclass(frozen=True, kw_only=True)
class Terminating(Event):
    """Last event of a session."""

    cause: str
    """Why it ends."""


@dataclass(frozen=True, kw_only=True)
class AgentEvent(Event):
    """A message of the agent's service."""

    client: AgentsClient
    """The agent."""
    data: Mapping[str, Any]
    """The provider's payload."""


@dataclass(frozen=True, kw_only=True)
class MediaEvent(Event):
    """The agent's audio started, or ended by 1 s of silence."""

    client: AgentsClient
    """The agent that speaks."""
    sink: str
    """Name of the unit that hears; empty when none."""


@dataclass(frozen=True, kw_only=True)
class MediaReplaced(Event):
    """A source lost its place at a listener to a newer one: a listener hears one source."""

    source: str
    """Name of the unit that is not heard any more; the event's target."""
    sink: str
    """Name of the unit that hears."""
    by: str
    """Name of the unit that it hears now."""


@dataclass(frozen=True, kw_only=True)
class WebSocketClose(Event):
    """The agent's socket is closed."""

    client: AgentsClient
    """The agent."""
    code: int
    """WebSocket close code; 1006 where there was none."""
    reason: str
    """Close reason."""
    expected: bool
    """We closed it."""
    by: Literal["us", "agent", "idle", "error", "network"]
    """Who or what closed it."""


Build = Callable[[wire.Event, "Objects", dict[str, Any]], Event]


def _call(kind: Callable[..., Event], *names: str, state: str = "TERMINATED") -> Build:
    def build(event: wire.Event, objects: "Objects", common: dict[str, Any]) -> Event:
        data = _data(event)
        call = objects.call(getattr(data, "call", None) or event.target or "caller", state)
        fields = {name: getattr(data, name) for name in names}
        return kind(call=call, headers=dict(getattr(data, "headers", {})), **fields, **common)

    return build


def _plain(kind: Callable[..., Event], *names: str) -> Build:
    def build(event: wire.Event, objects: "Objects", common: dict[str, Any]) -> Event:
        data = _data(event)
        return kind(**{name: getattr(data, name) for name in names}, **common)

    return build


def _agent(kind: Callable[..., Event], *names: str) -> Build:
    def build(event: wire.Event, objects: "Objects", common: dict[str, Any]) -> Event:
        data = _data(event)
        client = objects.agent(getattr(data, "source", None) or event.target or "agent")
        return kind(client=client, **{name: getattr(data, name) for name in names}, **common)

    return build


def _player(kind: Callable[..., Event], *names: str) -> Build:
    def build(event: wire.Event, objects: "Objects", common: dict[str, Any]) -> Event:
        data = _data(event)
        call = objects.call(data.call, "TERMINATED") if data.call else None
        fields = {name: getattr(data, name) for name in names}
        return kind(player=objects.player(event.target or "player"), call=call, **fields, **common)

    return build


def _playback(event: wire.Event, objects: "Objects", common: dict[str, Any]) -> Event:
    data = decode(wire.PlaybackFinished, event.data, path="event.data", unknown="ignore")
    call = objects.call(data.call, "TERMINATED")
    return PlaybackFinished(call=call, headers={}, player=event.target or "", error=data.error, **common)


def _started(event: wire.Event, objects: "Objects", common: dict[str, Any]) -> Event:
    data = decode(wire.SessionStarted, event.data, path="event.data", unknown="ignore")
    return Started(access_secure_url=ControlUrl(data.access_secure_url), custom_data=data.custom_data, **common)


def _data(event: wire.Event) -> Any:
    return decode(wire.EVENTS[event.type], event.data, path="event.data", unknown="ignore")


_TRANSFER: Final = ("to", "mode", "code", "reason")
_AGENT_EVENTS: Final = (
    "ack", "clear", "dtmf", "custom", "transfer", "turn_started", "turn_ended", "unknown", "http_response",
    "connector_information", "websocket_error",
)  # fmt: skip
_PLAYER_EVENTS: Final = ("ready", "started", "stopped", "finished", "failed")
BUILDERS: Final[Mapping[str, Build]] = {
    "session.started": _started,
    "call.alerting": _call(
        CallAlerting, "callerid", "destination", "display_name", "from_uri", "to_uri", state="ALERTING"
    ),
    "call.ringing": _call(CallEvent, state="PROGRESSING"),
    "call.audio_started": _call(CallEvent, state="PROGRESSING"),
    "call.connected": _call(CallEvent, state="CONNECTED"),
    "call.hold": _call(CallEvent, state="CONNECTED"),
    "call.unhold": _call(CallEvent, state="CONNECTED"),
    "call.failed": _call(CallFailed, "code", "reason"),
    "call.disconnected": _call(CallDisconnected, "reason", "duration", "by"),
    "call.tone": _call(ToneReceived, "tone", state="CONNECTED"),
    "call.gathered": _call(Gathered, "digits", "reason", state="CONNECTED"),
    "call.transfer_complete": _call(TransferEnded, *_TRANSFER, state="CONNECTED"),
    "call.transfer_failed": _call(TransferEnded, *_TRANSFER, state="CONNECTED"),
    "call.playback_finished": _playback,
    **{f"player.{name}": _player(PlayerEvent, "duration", "reason") for name in _PLAYER_EVENTS},
    "player.chunks_finished": _player(PlayerChunks, "context_id", "time_to_first_byte", "error"),
    "player.marker": _player(PlayerMarker, "offset"),
    "record.stopped": _call(RecordStopped, "url", "duration"),
    "record.failed": _call(RecordError, "reason"),
    "http.request": _plain(HttpRequest, "method", "path", "headers", "content", "verb"),
    "timer": _plain(Timer, "timer"),
    "command.failed": _plain(CommandFailed, "command", "target", "code", "message"),
    "session.terminating": _plain(Terminating, "cause"),
    "websocket.close": _agent(WebSocketClose, "code", "reason", "expected", "by"),
    "media.started": _agent(MediaEvent, "sink"),
    "media.ended": _agent(MediaEvent, "sink"),
    "media.replaced": _plain(MediaReplaced, "source", "sink", "by"),
    "agent.tool_call": _agent(AgentEvent, "data"),  # for tools: it has no name in the vocabulary
    **{f"agent.{name}": _agent(AgentEvent, "data") for name in _AGENT_EVENTS},
}
"""Wire type → how its event is built; what handlers and tools may receive."""


def build(event: wire.Event, objects: "Objects") -> Event:
    """The handler's event. Raises DecodeError for data that does not fit the contract."""
    common = {"id": event.id, "seq": event.seq, "name": event.type, "at": datetime.fromisoformat(event.at)}
    return BUILDERS[event.type](event, objects, common)
