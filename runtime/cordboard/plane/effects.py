"""What the plane's engine asks of its shell. The shell performs effects in order and reports back by methods."""

from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
Packet: TypeAlias = tuple[int, bytes, Address]
"""(local port, datagram, destination). RTP leaves from the RTP port, RTCP from the port above it."""


@dataclass(frozen=True, slots=True)
class SendLink:
    """Write one line to control."""

    line: bytes
    """JSON and a newline."""


@dataclass(frozen=True, slots=True)
class OpenPorts:
    """Open so many RTP/RTCP port pairs; answer `port_opened(port)` for each, `ports_refused(count)` for the rest."""

    count: int
    """How many."""


@dataclass(frozen=True, slots=True)
class ClosePort:
    """Close a port pair."""

    port: int
    """RTP port."""


@dataclass(frozen=True, slots=True)
class AgentConnect:
    """Open TCP (and TLS) to an agent's service; answer agent_connected, agent_data, agent_eof, agent_lost."""

    agent: str
    """Unit id."""
    host: str
    """Host name or address."""
    port: int
    """TCP port."""
    secure: bool
    """TLS with the system's trust store and the host's name."""


@dataclass(frozen=True, slots=True)
class SpeechConnect(AgentConnect):
    """The same to a speech service, for a realtime player; `agent` is the player's unit id."""


@dataclass(frozen=True, slots=True)
class AgentWrite:
    """Write to an agent's connection; b"" is a half-close."""

    agent: str
    """Unit id."""
    data: bytes
    """Bytes."""


@dataclass(frozen=True, slots=True)
class AgentDisconnect:
    """Drop an agent's connection; no report follows."""

    agent: str
    """Unit id."""


@dataclass(frozen=True, slots=True)
class LoadSound:
    """Read a prepared sound off the loop; answer `sound_loaded(path, data)` or `sound_failed(path, reason)`."""

    path: str
    """The file."""


@dataclass(frozen=True, slots=True)
class FileAppend:
    """Append to a recording's raw file (created exclusively, mode 0600, on the first append)."""

    recording: str
    """Unit id; report a failure by `file_failed(recording, reason)`."""
    path: str
    """The file."""
    data: bytes
    """A block of about one second."""


@dataclass(frozen=True, slots=True)
class FileClose:
    """No more blocks for that file."""

    recording: str
    """Unit id."""
    path: str
    """The file."""


Effect: TypeAlias = (
    SendLink | OpenPorts | ClosePort | AgentConnect | AgentWrite | AgentDisconnect | LoadSound | FileAppend | FileClose
)
