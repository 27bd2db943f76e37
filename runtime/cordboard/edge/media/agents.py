"""TCP and TLS connections to agents' services, by unit id; the WebSocket itself is the engine's.

Names are resolved by the loop's threads, so that DNS delays no audio. Leaves out proxies and reconnecting.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol

MAX_UNSENT: Final = 1024 * 1024  # bytes an agent leaves unread; 20 s of PCM in base64, and then it is lost anyway
CONNECT_TIMEOUT: Final = 10.0  # seconds; the engine gives up earlier (5 s), this bounds the socket itself


class AgentSink(Protocol):
    """Where the connections report; each method names the agent's unit id."""

    def agent_connected(self, agent: str) -> None:
        """TCP (and TLS) is up."""

    def agent_data(self, agent: str, data: bytes) -> None:
        """Bytes arrived."""

    def agent_eof(self, agent: str) -> None:
        """The peer closed its direction."""

    def agent_lost(self, agent: str, reason: str) -> None:
        """Gone, or never up."""


class AgentConnections:
    """All agents' connections of a plane."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: AgentSink) -> None:
        self._loop = loop
        self._sink = sink
        self._live: dict[str, _Connection] = {}
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self._context: ssl.SSLContext | None = None

    def connect(self, agent: str, host: str, port: int, *, secure: bool) -> None:
        """Begin; `agent_connected` or `agent_lost` follows."""
        if secure and self._context is None:
            self._context = ssl.create_default_context()
        task = self._loop.create_task(self._connect(agent, host, port, self._context if secure else None))
        self._dialling[agent] = task

    def write(self, agent: str, data: bytes) -> None:
        """Send; b"" is a half-close. An unknown agent is already gone and reported."""
        connection = self._live.get(agent)
        if connection is not None:
            connection.write(data)

    def disconnect(self, agent: str) -> None:
        """Drop without a report."""
        if (task := self._dialling.pop(agent, None)) is not None:
            task.cancel()
        if (connection := self._live.pop(agent, None)) is not None:
            connection.drop()

    async def close(self) -> None:
        """Drop all."""
        tasks = list(self._dialling.values())
        for agent in (*self._live, *self._dialling):
            self.disconnect(agent)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, agent: str, host: str, port: int, context: ssl.SSLContext | None) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._loop.create_connection(
                    lambda: _Connection(agent, self._up, self._sink, self._lost),
                    host,
                    port,
                    ssl=context,
                    server_hostname=host if context else None,
                )
        except TimeoutError:
            self._failed(agent, f"no connection to {host}:{port} within {CONNECT_TIMEOUT:.0f} s")
        except (OSError, ValueError) as error:  # refused, no such name, TLS; ValueError: a name IDNA cannot carry
            self._failed(agent, f"no connection to {host}:{port}: {error}")

    def _up(self, connection: "_Connection") -> None:
        self._dialling.pop(connection.agent, None)
        self._live[connection.agent] = connection
        self._sink.agent_connected(connection.agent)

    def _failed(self, agent: str, reason: str) -> None:
        if self._dialling.pop(agent, None) is not None:
            self._sink.agent_lost(agent, reason)

    def _lost(self, connection: "_Connection", reason: str) -> None:
        if self._live.get(connection.agent) is connection:
            del self._live[connection.agent]
            self._sink.agent_lost(connection.agent, reason)


class _Connection(asyncio.Protocol):
    def __init__(
        self,
        agent: str,
        on_up: "Callable[[_Connection], None]",
        sink: AgentSink,
        on_lost: "Callable[[_Connection, str], None]",
    ) -> None:
        self.agent = agent
        self._on_up = on_up
        self._sink = sink
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reason = ""
        self._silent = False
        self._ours_ended = False
        self._theirs_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if (raw := transport.get_extra_info("socket")) is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_up(self)

    def data_received(self, data: bytes) -> None:
        if not self._silent:
            self._sink.agent_data(self.agent, data)

    def eof_received(self) -> bool:
        if not self._silent:
            self._sink.agent_eof(self.agent)
        self._theirs_ended = True
        # TLS has no half-close; over TCP our last words may still leave.
        return not self._ours_ended and self._transport is not None and self._transport.can_write_eof()

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
            unsent = self._transport.get_write_buffer_size()
            if unsent > MAX_UNSENT:
                self._reason = f"the agent's service left {unsent} bytes unread"
                self._transport.abort()
        elif self._transport.can_write_eof() and not self._theirs_ended:
            self._ours_ended = True
            self._transport.write_eof()
        else:
            self._transport.close()

    def drop(self) -> None:
        self._silent = True
        assert self._transport is not None
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._silent:
            self._on_lost(self, self._reason or (str(exc) if exc else "closed"))
