"""Agents' sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..transcript import Mark
from .wire import message

# --- control → plane


@message
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


@message
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


@message
@dataclass(frozen=True, slots=True)
class AgentSend:
    """A custom event to the agent."""

    agent: str
    """Unit id."""
    metadata: Mapping[str, Any]
    """Any JSON object."""
    confirm: str | None = None
    """Done when written."""


@message
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


@message
@dataclass(frozen=True, slots=True)
class AgentDigits:
    """dtmf messages to the agent."""

    agent: str
    """Unit id."""
    digits: str
    """0-9 * #."""
    confirm: str | None = None
    """Done when written."""


@message
@dataclass(frozen=True, slots=True)
class AgentClear:
    """Drop the agent's audio that arrived up to a moment; what came later survives."""

    agent: str
    """Unit id."""
    at: float
    """Monotonic seconds of the event that asked for it; the plane turns it into a ledger position."""
    confirm: str | None = None
    """Done when dropped."""


@message
@dataclass(frozen=True, slots=True)
class AgentClose:
    """Close the agent's socket; what it delivered stays queued."""

    agent: str
    """Unit id."""
    reason: str = "session completed"
    """Close reason."""


# --- plane → control


@message
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


@message
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


@message
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
    talking: bool = False
    """Its last words are still queued for its listener; `media.ended` follows when they are heard, or dropped."""
