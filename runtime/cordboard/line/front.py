"""One port for the stand-in's sockets and its REST, as the real service has one host.

Each connection begins as uvicorn's HTTP; a request to upgrade hands it to a `websockets` connection, whose handshake
and close codes are then that library's. Bounds the size and the time of a request's head and the number of
connections; the application bounds its bodies. Leaves out TLS, HTTP/2 and ASGI's own WebSockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from cordboard.line.call import Connection

MAX_MESSAGE: Final = 1 << 20
"""Bytes of one message of a client, who should send 100 ms of audio at most (§1.2.2)."""

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's head; proxies allow 8 to 16 KB."""

HEAD_TIMEOUT: Final = 10.0
"""Seconds for the first request's head to arrive: a client sends it in one packet."""

KEEP_ALIVE: Final = 30
"""Seconds an idle connection is kept for the next request."""

MAX_REQUESTS: Final = 200
"""Connections with a request at once; more are answered with 503. Open sockets do not count."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds for a client to answer a close frame: the program has to end within two."""

Check = Callable[[ServerConnection, Request], Awaitable[Response | None]]
Serve = Callable[[Connection, Request], Awaitable[None]]

# The library logs headers, so keys, at DEBUG: this logger belongs to no hierarchy and cannot be switched on.
_SILENT = logging.Logger("cordboard.line.websocket", level=logging.CRITICAL + 1)


class Front:
    """Listens on one port: `app` answers requests, `serve` has the sockets whose handshake `check` let pass."""

    def __init__(self, app: ASGIApp, check: Check, serve: Serve) -> None:
        """`check` returns what refuses a handshake, or None; `serve` may end by an exception: then 1011 is sent."""
        self._check = check
        self._serve = serve
        self._config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_REQUESTS,
            timeout_keep_alive=KEEP_ALIVE,
            h11_max_incomplete_event_size=MAX_HEAD,
        )
        self._state = ServerState()
        self._server: Server | None = None
        self.sockets: set[Connection] = set()
        """Open WebSockets."""

    @property
    def port(self) -> int | None:
        """The TCP port that is listened on; None while it is not."""
        return None if self._server is None else int(self._server.sockets[0].getsockname()[1])

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses that are listened on; none while nothing is."""
        return () if self._server is None else tuple(str(each.getsockname()[0]) for each in self._server.sockets)

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 lets the system choose. Raises OSError for a port in use."""
        if not self._config.loaded:
            self._config.load()
        self._server = await serve(
            self._run,
            host,
            port,
            process_request=self._check,
            create_connection=cast("type[ServerConnection]", self._accept),
            compression=None,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT,
            max_size=MAX_MESSAGE,
            logger=_SILENT,
        )

    async def close(self) -> None:
        """Stop listening, end all sockets with 1001 and all requests; returns in less than two seconds."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await server.wait_closed()
                while self._state.connections or self._state.tasks:  # noqa: ASYNC110 (uvicorn gives no event)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            tasks = set(self._state.tasks)
            for task in tasks:
                task.cancel()
            for transport in [each.transport for each in (*self._state.connections, *self.sockets)]:
                transport.abort()
            if tasks:
                await asyncio.wait(tasks)
            await server.wait_closed()

    async def _run(self, socket: ServerConnection) -> None:
        assert isinstance(socket, Connection)
        assert socket.request is not None
        await self._serve(socket, socket.request)

    def _accept(self, protocol: ServerProtocol, server: Server, **options: Any) -> asyncio.Protocol:
        """Make the protocol of an accepted connection: it speaks HTTP until it is upgraded to `socket`."""
        socket = Connection(protocol, server, **options)
        return _Http(self._config, self._state, socket, self.sockets)


class _Http(H11Protocol):
    """uvicorn's connection, which becomes a socket when asked to, and is dropped when it asks for nothing."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, socket: Connection, sockets: set[Connection]
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self.ws_protocol_class = cast("type[asyncio.Protocol]", self._become_socket)
        self._socket = socket
        self._sockets = sockets
        self._head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = self.loop.call_later(HEAD_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None:
            self._stop_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head()
        super().connection_lost(exc)

    def _stop_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _become_socket(self, **_: Any) -> Connection:
        """Called by uvicorn for a request to upgrade; it then passes the request on and leaves the transport."""
        self._stop_head()
        socket = self._socket
        self._sockets.add(socket)
        socket.connection_lost_waiter.add_done_callback(lambda _: self._sockets.discard(socket))
        return socket
