"""What control and a plane say of themselves and of whole sessions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..call_record import LedgerEntry
from .wire import message

# --- control → plane


@message
@dataclass(frozen=True, slots=True)
class Hello:
    """A control begins its life; the plane ends what a former one left."""

    life: str
    """Identity of this life."""
    lease: float = 10.0
    """Seconds without a message after which the plane stops all audio and closes all agents."""


@message
@dataclass(frozen=True, slots=True)
class Ping:
    """Heartbeat."""

    n: int
    """Number to return."""


@message
@dataclass(frozen=True, slots=True)
class SessionClose:
    """Close everything of a session; answered by `SessionClosed`."""

    session: str
    """Session id."""


# --- plane → control


@message
@dataclass(frozen=True, slots=True)
class Ready:
    """The plane lives."""

    plane: int
    """Its index."""
    pid: int
    """Its process."""
    ports: tuple[int, ...] = ()
    """Open RTP ports in stock."""


@message
@dataclass(frozen=True, slots=True)
class Ports:
    """More ports in stock."""

    ports: tuple[int, ...]
    """Open RTP ports."""


@message
@dataclass(frozen=True, slots=True)
class Pong:
    """Heartbeat's answer."""

    n: int
    """The number."""
    legs: int = 0
    """Live legs."""
    late_ms: float = 0.0
    """Largest lateness of a tick since the last one."""


@message
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


@message
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


@message
@dataclass(frozen=True, slots=True)
class SessionClosed:
    """Nothing of the session is left on the plane."""

    session: str
    """Session id."""
    ledger: tuple[LedgerEntry, ...] = ()
    """Every cord's entry."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Figures measured at the wire."""
