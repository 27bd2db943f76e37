"""What the helper for agents posts to a control URL, what it makes of each answer, and that no word holds the URL."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

import cordboard_agent_tools as tools
from cordboard.session.request_signature import RequestSignatures
from cordboard_agent_tools import ControlAnswer, ControlError

from .control_server import ControlServer, control


def run(call: Coroutine[Any, Any, ControlAnswer]) -> ControlAnswer:
    async def limited() -> ControlAnswer:
        async with asyncio.timeout(10):
            return await call

    return asyncio.run(limited())


def request(url: object) -> tools.CallRequest:
    return SimpleNamespace(metadata={"vox_session_control_url": url})


def secretless(error: ControlError, server: ControlServer) -> str:
    text = f"{error} {error!r} {error.__cause__} {error.args}"
    assert "s3cret" not in text
    assert str(server.port) not in text
    return str(error)


def test_with_a_key_in_the_environment_requests_are_signed_as_the_edge_checks_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(tools.REQUEST_KEY, "k" * 32)
    with control() as server:
        for _ in range(2):
            run(tools.end_call(server.url))
    signatures = RequestSignatures(b"k" * 32)
    for head, body in zip(server.heads, server.bodies, strict=True):
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        signed = headers["x-control-signature"]
        assert signatures.refuse(signed, "POST", "s3cret", json.dumps(body).encode(), time.time()) is None


def test_without_a_key_none_is_signed() -> None:
    with control() as server:
        run(tools.end_call(server.url))
    assert "signature" not in server.heads[0].lower()


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (lambda url: tools.end_call(url), {"action": "end_call"}),
        (lambda url: tools.end_call(url, reason="done"), {"action": "end_call", "reason": "done"}),
        (lambda url: tools.call_transfer(url), {"action": "call_transfer"}),
        (lambda url: tools.call_transfer(url, to="sales"), {"action": "call_transfer", "to": "sales"}),
        (lambda url: tools.send_dtmf(url, "12#*"), {"action": "send_dtmf", "digits": "12#*"}),
        (
            lambda url: tools.post_action(url, "survey", stars=5, text="é"),
            {"action": "survey", "stars": 5, "text": "é"},
        ),
    ],
)
def test_an_action_is_posted_as_json(call: Any, body: dict[str, Any]) -> None:
    with control() as server:
        assert run(call(server.url)) == ControlAnswer(200, '{"ok": true}')
    assert server.bodies == [body]
    lines = server.heads[0].split("\r\n")
    assert lines[0] == "POST /control/s3cret?k=v HTTP/1.1"
    assert "Content-Type: application/json" in lines


def test_a_chunked_answer_is_read() -> None:
    with control(
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    ) as server:
        assert run(tools.end_call(server.url)) == ControlAnswer(202, "abcde")


@pytest.mark.parametrize("status", [302, 404, 410, 422, 500])
def test_a_refusal_is_told_without_the_url(status: int) -> None:
    body = b"no /control/s3cret?k=v here\n" + b"x" * 500
    answer = b"HTTP/1.1 %d X\r\nLocation: /elsewhere\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
    with control(answer) as server, pytest.raises(tools.ControlRefused) as caught:
        run(tools.end_call(server.url))
    assert caught.value.status == status
    text = secretless(caught.value, server)
    assert text.startswith(f"refused with {status}: no … here xxx")
    assert len(text) < 300
    assert len(server.bodies) == 1


def test_nobody_listens() -> None:
    with control() as server:
        pass
    with pytest.raises(tools.ControlUnreachable) as caught:
        run(tools.end_call(server.url))
    assert secretless(caught.value, server) == "no connection: ConnectionRefusedError"


def test_a_connection_is_tried_twice_and_then_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    with control() as server:
        tried: list[object] = []
        connect = http.client.HTTPConnection.connect

        def once_refused(connection: Any) -> None:
            tried.append(connection)
            if len(tried) == 1:
                raise ConnectionRefusedError
            connect(connection)

        monkeypatch.setattr(http.client.HTTPConnection, "connect", once_refused)
        assert run(tools.end_call(server.url)).status == 200
    assert len(tried) == 2
    assert len(server.bodies) == 1


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"])
def test_a_broken_answer_is_not_asked_for_again(answer: bytes) -> None:
    with control(answer) as server, pytest.raises(tools.ControlUnreachable) as caught:
        run(tools.end_call(server.url))
    assert secretless(caught.value, server).startswith("no answer: ")
    assert len(server.bodies) == 1


def test_a_server_that_drips_is_left_at_the_deadline_and_no_thread_stays() -> None:
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not gone.is_set():
                connection.sendall(b"H")
                gone.wait(0.02)

    before = threading.active_count()
    with control(drip) as server:
        began = time.monotonic()
        with pytest.raises(tools.ControlTimeout) as caught:
            run(tools.end_call(server.url, timeout=0.3))
        assert time.monotonic() - began < 5
        gone.set()
    secretless(caught.value, server)
    assert threading.active_count() == before


def test_a_request_goes_on_when_the_caller_interrupts() -> None:
    asked, go = threading.Event(), threading.Event()

    def wait(connection: socket.socket) -> None:
        asked.set()
        go.wait(5)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def interrupted(server: ControlServer) -> None:
        task = asyncio.create_task(tools.call_transfer(server.url))
        await asyncio.to_thread(asked.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()

    with control(wait) as server:
        asyncio.run(interrupted(server))
    assert server.bodies == [{"action": "call_transfer"}]


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "h/x", "http://", "http://[", "http://h:99999/", "http://h/a b", "http://h/\r\nX: y"]
)
def test_a_bad_url_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(tools.BadControlUrl) as caught:
        run(tools.end_call(url))
    assert str(caught.value).startswith("the control URL is not a")


@pytest.mark.parametrize("digits", ["", "12a", "１２", "1" * 65, "1\n"])
def test_bad_digits_are_not_sent(digits: str) -> None:
    with control() as server, pytest.raises(tools.BadDigits):
        run(tools.send_dtmf(server.url, digits))
    assert server.bodies == []


@pytest.mark.parametrize("metadata", [None, {}, {"vox_session_control_url": None}, {"vox_session_control_url": 7}])
def test_a_call_without_a_control_url_has_no_tools(metadata: Any) -> None:
    call_request: tools.CallRequest = SimpleNamespace(metadata=metadata)
    assert tools.call_tools(call_request) == []
    with pytest.raises(tools.NoControlUrl, match="has no vox_session_control_url"):
        tools.end_call_tool(call_request)


def test_the_tools_of_a_model_post_and_say_the_answer() -> None:
    with control() as server:
        end, transfer, dtmf = tools.call_tools(request(server.url))
        assert [tool.__name__ for tool in (end, transfer, dtmf)] == ["end_call", "call_transfer", "send_dtmf"]

        async def call() -> list[str]:
            return [
                await end(None),
                await transfer(None),
                await transfer(None, to="sales"),
                await dtmf(None, digits="5"),
            ]

        assert asyncio.run(call()) == ['{"ok": true}'] * 4
    assert server.bodies == [
        {"action": "end_call"},
        {"action": "call_transfer"},
        {"action": "call_transfer", "to": "sales"},
        {"action": "send_dtmf", "digits": "5"},
    ]
