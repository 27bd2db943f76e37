"""A service that speaks Ink's wire, told what to answer by the test."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

LIMIT = 10.0
KEY = "sk_car_secret"


class FakeInk:
    """One listener; each connection is a `Socket`."""

    def __init__(self) -> None:
        self.url = ""
        self.refuse = 0
        self.sockets: asyncio.Queue[Socket] = asyncio.Queue()

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Judge the handshake."""
        return connection.respond(self.refuse, "no\n") if self.refuse else None

    async def serve(self, connection: ServerConnection) -> None:
        """One connection."""
        socket = Socket(connection)
        self.sockets.put_nowait(socket)
        try:
            async for data in connection:
                if isinstance(data, bytes):
                    socket.audio += data
                else:
                    socket.commands.put_nowait((data, bytes(socket.audio)))
        except ConnectionClosed:
            pass


class Socket:
    """The service's side of a connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.audio = bytearray()
        self.commands: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        request = connection.request
        assert request is not None
        self.path = urlsplit(request.path).path
        self.query = parse_qs(urlsplit(request.path).query)
        self.headers = request.headers

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))


@asynccontextmanager
async def serving() -> AsyncIterator[FakeInk]:
    """A service on a free port."""
    ink = FakeInk()
    async with (
        asyncio.timeout(LIMIT),
        serve(
            ink.serve,
            "127.0.0.1",
            0,
            process_request=ink.check,
            compression=None,
            close_timeout=0.5,
            logger=logging.Logger("silent", logging.CRITICAL + 1),  # or the service would log the key that it got
        ) as server,
    ):
        ink.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield ink


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test that leaves no task."""

    async def whole() -> None:
        await test
        await asyncio.sleep(0)
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(whole())
