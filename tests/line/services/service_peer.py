"""A socket service on a port of its own, and what its clients need."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request

Service = Callable[[ServerConnection, Request], Awaitable[None]]


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[str]:
    """Serve; the value is ws://host:port."""

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        await service(socket, socket.request)

    async with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=1.0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def client(service: Service, target: str) -> AsyncIterator[ClientConnection]:
    """A client of a service at path and query `target`."""
    async with serving(service) as url, connect(url + target, compression=None, proxy=None) as socket:
        yield socket


async def ask(socket: ClientConnection, **message: Any) -> None:
    """Send a JSON message."""
    await socket.send(json.dumps(message))


async def answer(socket: ClientConnection) -> Any:
    """Return the next JSON message."""
    return json.loads(await socket.recv())


async def until(socket: ClientConnection, kind: str) -> list[Any]:
    """Return the messages up to one of a type, that one included."""
    found = [await answer(socket)]
    while found[-1]["type"] != kind:
        found.append(await answer(socket))
    return found
