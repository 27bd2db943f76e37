"""One interface to both agents' wires, and the one place that knows which version speaks which.

Follows reference cartesia-protocols §6. Leaves out 2026-03-01, which the Line socket was documented with as well, but
with the version in the query alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from cordboard.agents import line, managed
from cordboard.agents.events import AgentEvent
from cordboard.agents.line import LineConnection
from cordboard.agents.managed import ManagedConnection
from cordboard.agents.state import InputFormat, State


class AgentConnection(Protocol):
    """One connection to an agent, one call; what each wire lacks raises `NotSupported`."""

    agent_id: str
    """The agent that is called."""
    version: str
    """Version of the wire, a key of `SPOKEN_VERSIONS`."""
    input_format: InputFormat
    """Format of both directions."""
    state: State
    """Where the connection stands."""
    call_id: str
    """The service's id of the call; empty before the ack, or when not given."""
    stream_id: str
    """The service's id of the stream; empty before the ack, or when not given."""
    web_socket_id: str
    """Identifier of this socket, made here."""
    malformed: int
    """Messages that could not be understood."""

    @property
    def host(self) -> str:
        """Host name or address to connect to."""

    @property
    def port(self) -> int:
        """TCP port to connect to."""

    @property
    def secure(self) -> bool:
        """Whether the shell must use TLS."""

    def connected(self, now: float) -> None:
        """TCP, and TLS if `secure`, is up."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the network."""

    def receive_eof(self, now: float) -> None:
        """Take the end of the network's stream."""

    def connection_lost(self, reason: str, now: float) -> None:
        """The transport failed, or could not be opened."""

    def data_to_send(self, now: float) -> list[bytes]:
        """Return what to write now; `b""` asks to close the writing side."""

    def next_event(self) -> AgentEvent | None:
        """Return the oldest event, or None."""

    def next_timer(self) -> float | None:
        """Return when `on_timer` wants to be called, or None."""

    def on_timer(self, now: float) -> None:
        """Do what is due at `now`."""

    def start(
        self,
        *,
        metadata: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        agent: Mapping[str, Any] | None = None,
        now: float,
    ) -> None:
        """Send the first message; `Acked` is the answer to it."""

    def send_audio(self, payload: bytes, now: float) -> None:
        """Send the caller's audio, raw samples in `input_format`."""

    def custom(self, metadata: Mapping[str, Any], now: float) -> None:
        """Send an object to the agent's code (Line alone)."""

    def dtmf(self, digit: str, now: float) -> bool:
        """Send one digit; False for A-D, which no agent's wire carries."""

    def tool_result(
        self, id: str, result: str, *, is_error: bool = False, error_type: str | None = None, now: float
    ) -> bool:
        """Answer a `ToolCall` (Managed alone); False when the result was too large and an error went in its place."""

    def close(self, code: int = 1000, reason: str = "session completed", *, now: float) -> None:
        """End the call from our side; void once the end has begun."""


SPOKEN_VERSIONS: Final[Mapping[str, type[LineConnection] | type[ManagedConnection]]] = MappingProxyType(
    {line.VERSION: LineConnection, managed.VERSION: ManagedConnection}
)
"""Client of each `cartesia_version` that is spoken."""


class UnknownVersion(ValueError):
    """A `cartesia_version` that is not spoken here; the text names those that are."""

    def __init__(self, version: str) -> None:
        super().__init__(f"cartesia_version {version[:40]!r} is not spoken; spoken are {', '.join(SPOKEN_VERSIONS)}")
        self.version = version


def connect(
    version: str,
    *,
    base_url: str,
    agent_id: str,
    api_key: str,
    input_format: InputFormat = "mulaw_8000",
    rng: random.Random,
    now: float,
    connect_timeout: float = 5.0,
    ack_timeout: float = 10.0,
) -> AgentConnection:
    """Prepare a connection of a version; raises `UnknownVersion`, `BadAddress` and `UnsupportedFormat`."""
    client = SPOKEN_VERSIONS.get(version)
    if client is None:
        raise UnknownVersion(version)
    return client(
        base_url=base_url,
        agent_id=agent_id,
        api_key=api_key,
        version=version,
        input_format=input_format,
        rng=rng,
        now=now,
        connect_timeout=connect_timeout,
        ack_timeout=ack_timeout,
    )
