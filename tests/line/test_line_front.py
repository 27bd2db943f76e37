"""One port for sockets and requests: upgrades at any request, bounded heads, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.http11 import Response as Refusal

from cordboard.line import front as front_module
from cordboard.line.call import Connection
from cordboard.line.front import MAX_HEAD, Front

from .line_peer import LIMIT

HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def hello(_: HttpRequest) -> Response:
    return PlainTextResponse("hello\n")


async def hang(_: HttpRequest) -> Response:
    await asyncio.Event().wait()
    return PlainTextResponse("")


async def check(connection: ServerConnection, request: Request) -> Refusal | None:
    return None if request.path == "/echo" else connection.respond(404, "no such path\n")


async def echo(socket: Connection, request: Request) -> None:
    async for data in socket:
        if data == "crash":
            raise ValueError("a crash")
        await socket.send(data)


@asynccontextmanager
async def listening() -> AsyncIterator[Front]:
    front = Front(Starlette(routes=[Route("/hello", hello), Route("/hang", hang)]), check, echo)
    await front.start("127.0.0.1", 0)
    try:
        yield front
    finally:
        await front.close()


def run(test: Callable[[Front], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT), listening() as front:
            await test(front)
        assert not asyncio.all_tasks() - {asyncio.current_task()}
        assert not front.sockets

    asyncio.run(limited())


async def opened(front: Front) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", front.port)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def test_a_request_and_a_socket_share_the_port() -> None:
    async def test(front: Front) -> None:
        reader, writer = await opened(front)
        writer.write(HELLO)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await closed(writer)
        async with connect(f"ws://127.0.0.1:{front.port}/echo", proxy=None) as socket:
            await socket.send("x")
            assert await socket.recv() == "x"
            await socket.send("crash")
            await socket.wait_closed()
            assert socket.close_code == 1011

    run(test)


def test_a_connection_that_made_a_request_may_become_a_socket() -> None:
    async def test(front: Front) -> None:
        reader, writer = await opened(front)
        writer.write(HELLO)
        assert b"200" in await reader.readline()
        await reader.readuntil(b"hello\n")
        for octet in UPGRADE:  # in as many packets as the network likes
            writer.write(bytes([octet]))
            await writer.drain()
        assert b"101" in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\x81\x00\x00\x00\x00y")  # a text frame "y", masked with zeros
        assert await reader.readexactly(3) == b"\x81\x01y"
        writer.transport.abort()

    run(test)


def test_a_refused_handshake_and_another_upgrade() -> None:
    async def test(front: Front) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(f"ws://127.0.0.1:{front.port}/elsewhere", proxy=None):
                pass
        assert caught.value.response.status_code == 404
        reader, writer = await opened(front)
        writer.write(HELLO.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"))
        assert b"200" in await reader.readline()
        await closed(writer)

    run(test)


@pytest.mark.parametrize("head", [b"\x16\x03\x01\x00\n\n\n", b"GET /" + b"x" * (MAX_HEAD + 1)])
def test_a_head_that_is_no_http_or_too_long_is_refused(head: bytes) -> None:
    async def test(front: Front) -> None:
        reader, writer = await opened(front)
        writer.write(head)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        await reader.read()
        await closed(writer)

    run(test)


def test_a_head_that_never_ends_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "HEAD_TIMEOUT", 0.05)

    async def test(front: Front) -> None:
        reader, writer = await opened(front)
        writer.write(HELLO[:-2])
        assert await reader.read() == b""
        await closed(writer)

    run(test)


def test_the_end_leaves_neither_idle_nor_hanging_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "CLOSE_TIMEOUT", 0.05)

    async def test(front: Front) -> None:
        idle, hanging, socket = await opened(front), await opened(front), await opened(front)
        hanging[1].write(HELLO.replace(b"/hello", b"/hang"))
        socket[1].write(UPGRADE)
        assert b"101" in await socket[0].readline()
        await socket[0].readuntil(b"\r\n\r\n")
        while not front._state.tasks:  # noqa: ASYNC110 - the request is on its way
            await asyncio.sleep(0)
        await front.close()
        assert await idle[0].read() == b""
        assert await socket[0].read() == b"\x88\x02\x03\xe9"  # close 1001
        for _, writer in (idle, hanging, socket):
            writer.transport.abort()

    run(test)
