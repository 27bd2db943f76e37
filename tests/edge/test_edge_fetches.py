"""Requests that the engine asks for, over real sockets: every outcome is reported once and without a secret."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from cordboard.edge.control.fetches import Fetches
from cordboard.session.effects import Fetch

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Sink:
    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, int, bytes]] = asyncio.Queue()

    def fetched(self, token: str, status: int, body: bytes) -> None:
        self.told.put_nowait((token, status, body))

    def fetch_failed(self, token: str, reason: str) -> None:
        self.told.put_nowait((token, 0, reason.encode()))


async def outcome(
    serve: Serve | None, *, timeout: float = 5.0, limit: int = 1000
) -> tuple[tuple[str, int, bytes], bytes]:
    """What is told of one request, and the request as it came; `serve` None: nobody listens."""
    came = bytearray()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.extend(await reader.readuntil(b"\r\n\r\n"))
        if b"ontent-" in came:
            came.extend(await reader.readexactly(2))
        assert serve is not None
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if serve is None:
        server.close()
        await server.wait_closed()
    sink = Sink()
    fetches = Fetches(sink)
    url = f"http://127.0.0.1:{port}/access-token"
    fetches.fetch(Fetch("t1", "POST", url, timeout, limit, {"Authorization": "Bearer sk_secret"}, b"{}"))
    told = await sink.told.get()
    await fetches.close()
    server.close()
    assert sink.told.empty()
    assert b"sk_secret" not in told[2]
    return told, bytes(came)


def says(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return serve


def test_the_request_leaves_as_asked_and_its_answer_comes_back() -> None:
    reply = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}\n'
    told, came = asyncio.run(outcome(says(reply)))
    assert told == ("t1", 200, b'{"a": 1}\n')
    assert came.startswith(b"POST /access-token HTTP/1.1\r\n")
    assert b"authorization: bearer sk_secret\r\n" in came.lower()
    assert came.endswith(b"{}")


def test_a_redirect_is_an_answer_and_no_key_follows_it() -> None:
    reply = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert asyncio.run(outcome(says(reply)))[0] == ("t1", 302, b"")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000, b"more than 1000 bytes"),
        (b"garbage\r\n\r\n", b"llegal"),
        (b"", b"without sending"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", b"complete message"),
    ],
)
def test_an_answer_that_is_none_is_a_failure_with_its_reason(answer: bytes, reason: bytes) -> None:
    told, _ = asyncio.run(outcome(says(answer)))
    assert told[:2] == ("t1", 0)
    assert reason in told[2]


def test_nobody_listening_is_a_failure() -> None:
    told, _ = asyncio.run(outcome(None))
    assert told[:2] == ("t1", 0)
    assert told[2]


def test_silence_is_a_failure_after_the_given_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    told, _ = asyncio.run(outcome(silent, timeout=0.2))
    assert told == ("t1", 0, b"no answer within 0.2 s")


@pytest.mark.parametrize("url", ["http://[::1", "gopher://x/", "http://"])
def test_what_is_no_address_is_a_failure(url: str) -> None:
    async def run() -> tuple[str, int, bytes]:
        sink = Sink()
        fetches = Fetches(sink)
        fetches.fetch(Fetch("t", "GET", url, 1.0, 10))
        told = await sink.told.get()
        await fetches.close()
        return told

    assert asyncio.run(run())[:2] == ("t", 0)
