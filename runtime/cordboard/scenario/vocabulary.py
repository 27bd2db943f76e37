"""Names of events, spelled as in VoxEngine; each constant fixes its event's class and its handler's return type."""

from typing import Final, Generic, TypeVar

from . import events
from .reply import HttpReply

E_co = TypeVar("E_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class EventType(Generic[E_co, R_co]):
    """An event that a handler may listen to; `name` is its wire type."""

    def __init__(self, name: str) -> None:
        assert name in events.BUILDERS, name
        self.name = name

    def __repr__(self) -> str:
        return f"<EventType {self.name}>"


class AppEvents:
    """Events of the session."""

    Started: Final[EventType[events.Started, None]] = EventType("session.started")
    CallAlerting: Final[EventType[events.CallAlerting, None]] = EventType("call.alerting")
    HttpRequest: Final[EventType[events.HttpRequest, HttpReply]] = EventType("http.request")
    Timer: Final[EventType[events.Timer, None]] = EventType("timer")
    CommandFailed: Final[EventType[events.CommandFailed, None]] = EventType("command.failed")
    MediaReplaced: Final[EventType[events.MediaReplaced, None]] = EventType("media.replaced")
    Terminating: Final[EventType[events.Terminating, None]] = EventType("session.terminating")


class CallEvents:
    """Events of a leg."""

    Ringing: Final[EventType[events.CallEvent, None]] = EventType("call.ringing")
    AudioStarted: Final[EventType[events.CallEvent, None]] = EventType("call.audio_started")
    Connected: Final[EventType[events.CallEvent, None]] = EventType("call.connected")
    Disconnected: Final[EventType[events.CallDisconnected, None]] = EventType("call.disconnected")
    Failed: Final[EventType[events.CallFailed, None]] = EventType("call.failed")
    OnHold: Final[EventType[events.CallEvent, None]] = EventType("call.hold")
    OffHold: Final[EventType[events.CallEvent, None]] = EventType("call.unhold")
    ToneReceived: Final[EventType[events.ToneReceived, None]] = EventType("call.tone")
    Gathered: Final[EventType[events.Gathered, None]] = EventType("call.gathered")
    PlaybackFinished: Final[EventType[events.PlaybackFinished, None]] = EventType("call.playback_finished")
    RecordStopped: Final[EventType[events.RecordStopped, None]] = EventType("record.stopped")
    RecordError: Final[EventType[events.RecordError, None]] = EventType("record.failed")
    TransferComplete: Final[EventType[events.TransferEnded, None]] = EventType("call.transfer_complete")
    TransferFailed: Final[EventType[events.TransferEnded, None]] = EventType("call.transfer_failed")


class PlayerEvents:
    """Events of a player; `target` is its name."""

    PlaybackReady: Final[EventType[events.PlayerEvent, None]] = EventType("player.ready")
    Started: Final[EventType[events.PlayerEvent, None]] = EventType("player.started")
    Stopped: Final[EventType[events.PlayerEvent, None]] = EventType("player.stopped")
    PlaybackFinished: Final[EventType[events.PlayerEvent, None]] = EventType("player.finished")
    Error: Final[EventType[events.PlayerEvent, None]] = EventType("player.failed")
    AudioChunksPlaybackFinished: Final[EventType[events.PlayerChunks, None]] = EventType("player.chunks_finished")
    PlaybackMarkerReached: Final[EventType[events.PlayerMarker, None]] = EventType("player.marker")


class WebSocketEvents:
    """Events of the agent's socket."""

    CLOSE: Final[EventType[events.WebSocketClose, None]] = EventType("websocket.close")


class AgentsEvents:
    """Messages of the agent's service."""

    ACK: Final[EventType[events.AgentEvent, None]] = EventType("agent.ack")
    Clear: Final[EventType[events.AgentEvent, None]] = EventType("agent.clear")
    DTMF: Final[EventType[events.AgentEvent, None]] = EventType("agent.dtmf")
    Custom: Final[EventType[events.AgentEvent, None]] = EventType("agent.custom")
    Transfer: Final[EventType[events.AgentEvent, None]] = EventType("agent.transfer")
    TurnStarted: Final[EventType[events.AgentEvent, None]] = EventType("agent.turn_started")
    TurnEnded: Final[EventType[events.AgentEvent, None]] = EventType("agent.turn_ended")
    Unknown: Final[EventType[events.AgentEvent, None]] = EventType("agent.unknown")
    HTTPResponse: Final[EventType[events.AgentEvent, None]] = EventType("agent.http_response")
    ConnectorInformation: Final[EventType[events.AgentEvent, None]] = EventType("agent.connector_information")
    WebSocketError: Final[EventType[events.AgentEvent, None]] = EventType("agent.websocket_error")


class MediaEvents:
    """Audio that the agent sends."""

    WebSocketMediaStarted: Final[EventType[events.MediaEvent, None]] = EventType("media.started")
    WebSocketMediaEnded: Final[EventType[events.MediaEvent, None]] = EventType("media.ended")
