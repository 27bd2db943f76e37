"""Ink with manual finalize: what is sent, what becomes of the answers, and every way to fail."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets

import numpy as np
import pytest

from cordboard.line.ears import ink_socket
from cordboard.line.ears.ear import Ear, EarFault
from cordboard.line.ears.ink import InkEars
from cordboard.line.tables import ScriptError
from cordboard.media.samples import Samples

from .fake_ink import KEY, FakeInk, Socket, run, serving


def ramp(size: int, first: int = 0) -> Samples:
    return np.arange(first, first + size, dtype=np.int16)


async def opened(ink: FakeInk) -> tuple[Ear, Socket]:
    ear = InkEars(KEY, ink.url).open(8000)
    return ear, await ink.sockets.get()


def test_an_utterance_is_sent_with_its_pre_roll_and_its_pieces_are_joined_verbatim() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, socket = await opened(ink)
            assert socket.path == "/stt/websocket"
            assert socket.query == {
                "model": ["ink-2"],
                "encoding": ["pcm_s16le"],
                "sample_rate": ["8000"],
                "language": ["en"],
            }
            assert socket.headers["X-API-Key"] == KEY
            assert socket.headers["Cartesia-Version"] == "2026-08-14"
            ear.receive_audio(ramp(8000))
            ear.start()
            ear.receive_audio(ramp(1000, 8000))
            text = asyncio.ensure_future(ear.finish())
            ear.receive_audio(ramp(160, 20000))
            command, audio = await socket.commands.get()
            assert command == "finalize"
            assert audio == ramp(4200, 4800).astype("<i2").tobytes(), "0.4 s before, the utterance, nothing after"
            await socket.send(type="transcript", is_final=False, text=" a tab", request_id="r")
            await socket.send(type="transcript", is_final=True, text=" a table", request_id="r", words=[])
            await socket.send(type="transcript", is_final=True, text=" for two", request_id="r", more={"x": 1})
            await socket.send(type="something_new", request_id="r")
            await socket.send(type="flush_done", request_id="r")
            assert await text == "a table for two"
            await ear.close()
            await socket.connection.wait_closed()

    run(test())


def test_an_utterance_that_begins_before_the_last_is_understood_keeps_its_own_text() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, socket = await opened(ink)
            texts = []
            for _ in range(2):
                ear.start()
                ear.receive_audio(ramp(100))
                texts.append(asyncio.ensure_future(ear.finish()))
                await socket.commands.get()
            for word in ("one", "two"):
                await socket.send(type="transcript", is_final=True, text=word)
                await socket.send(type="flush_done")
            assert list(await asyncio.gather(*texts)) == ["one", "two"]
            await ear.close()

    run(test())


@pytest.mark.parametrize(
    ("end", "complaint"),
    [
        ("drop", "closed the socket with 1006"),
        ("close", "closed the socket"),
        ("error", "reports the error 'quota'"),
        ("junk", "not JSON"),
        ("list", "not an object"),
    ],
)
def test_a_lost_socket_is_a_fault_of_its_utterance_and_the_next_connects_anew(end: str, complaint: str) -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, socket = await opened(ink)
            ear.start()
            text = asyncio.ensure_future(ear.finish())
            await socket.commands.get()
            match end:
                case "drop":
                    socket.connection.transport.abort()
                case "close":
                    await socket.connection.close()
                case "error":
                    await socket.send(type="error", title="t", error_code="quota", status_code=429, message=KEY)
                case "junk":
                    await socket.connection.send("{")
                case _:
                    await socket.connection.send("[1]")
            with pytest.raises(EarFault, match=complaint) as caught:
                await text
            assert KEY not in str(caught.value)
            ear.start()
            again = asyncio.ensure_future(ear.finish())
            socket = await ink.sockets.get()
            await socket.commands.get()
            await socket.send(type="transcript", is_final=True, text="back")
            await socket.send(type="flush_done")
            assert await again == "back"
            await ear.close()

    run(test())


def test_a_socket_lost_between_utterances_costs_nothing() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, socket = await opened(ink)
            await socket.connection.close()
            ear.receive_audio(ramp(100))
            while ear._socket is not None:  # type: ignore[attr-defined]  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            ear.start()
            text = asyncio.ensure_future(ear.finish())
            socket = await ink.sockets.get()
            await socket.commands.get()
            await socket.send(type="flush_done")
            assert await text == ""
            await ear.close()

    run(test())


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, slow = await opened(ink)
            ear.start()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await ear.finish()
            ear.start()
            text = asyncio.ensure_future(ear.finish())
            socket = await ink.sockets.get()
            await socket.commands.get()
            await socket.send(type="transcript", is_final=True, text="new")
            await socket.send(type="flush_done")
            assert await text == "new"
            await slow.connection.wait_closed()
            await ear.close()

    run(test())


def test_a_refused_key_and_a_service_that_is_gone_are_named_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def test() -> None:
        async with serving() as ink:
            ink.refuse = 401
            ear = InkEars(KEY, ink.url).open(8000)
            ear.start()
            with pytest.raises(EarFault, match="refused the socket with 401"):
                await ear.finish()
            await ear.close()
        with sockets.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        ear = InkEars(KEY, f"ws://127.0.0.1:{port}").open(8000)
        ear.start()
        with pytest.raises(EarFault, match="cannot be reached"):
            await ear.finish()
        await ear.close()

    run(test())
    assert KEY not in caplog.text


def test_a_service_that_does_not_answer_the_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ink_socket, "CONNECT_TIMEOUT", 0.05)

    async def test() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            ear = InkEars(KEY, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}").open(8000)
            ear.start()
            with pytest.raises(EarFault, match=r"did not answer within 0\.05 s"):
                await ear.finish()
            await ear.close()
            await asyncio.sleep(0)
        await server.wait_closed()
        while asyncio.all_tasks() - {asyncio.current_task()}:  # noqa: ASYNC110 - the handler's own
            await asyncio.sleep(0)

    run(test())


def test_a_service_that_takes_no_audio_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ink_socket, "MAX_QUEUED", 3)

    async def test() -> None:
        async with serving() as ink:
            ear = InkEars(KEY, ink.url).open(8000)
            ear.start()
            for _ in range(5):
                ear.receive_audio(ramp(800))
            with pytest.raises(EarFault, match="takes no audio"):
                await ear.finish()
            await ear.close()

    run(test())


@pytest.mark.parametrize("url", ["http://h", "wss://", "wss://u@h", "wss://h?api_key=x", "x"])
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(ScriptError, match="--ink-url"):
        InkEars(KEY, url)


def test_another_language_is_understood_from_the_next_utterance_on() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear = InkEars(KEY, ink.url).open(8000, "fr")
            first = await ink.sockets.get()
            assert first.query["language"] == ["fr"]
            ear.start()
            assert ear.use_language("es")
            ear.receive_audio(ramp(800))
            text = asyncio.ensure_future(ear.finish())
            assert (await first.commands.get())[0] == "finalize"
            await first.send(type="transcript", is_final=True, text="une table\ud800", request_id="r")
            await first.send(type="flush_done", request_id="r")
            assert await text == "une table?", "half a character could not be kept in the call's record"
            ear.start()
            second = await ink.sockets.get()
            assert second.query["language"] == ["es"]
            ear.receive_audio(ramp(800))
            text = asyncio.ensure_future(ear.finish())
            assert (await second.commands.get())[0] == "finalize"
            await second.send(type="transcript", is_final=True, text="una mesa", request_id="r")
            await second.send(type="flush_done", request_id="r")
            assert await text == "una mesa"
            await ear.close()
            await first.connection.wait_closed()
            await second.connection.wait_closed()

    run(test())
