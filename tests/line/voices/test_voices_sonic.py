"""Sonic as the stand-in's voice, against the stand-in's own socket and against services that fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from cordboard.line.services.tts import TtsService
from cordboard.line.voices.sonic import RATES, SonicReading, SonicVoice
from cordboard.line.voices.tones import TonesVoice, tone_words
from cordboard.line.voices.voice import Piece, VoiceFailed, speak

Serve = Callable[[ServerConnection], Awaitable[None]]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(bounded())


async def local_sonic(socket: ServerConnection) -> None:
    assert socket.request is not None
    await TtsService(TonesVoice()).serve(socket, socket.request)


@asynccontextmanager
async def voice_at(handle: Serve, seen: list[Request] | None = None) -> AsyncIterator[SonicVoice]:
    """A voice whose service is `handle`."""

    def check(_: ServerConnection, request: Request) -> Response | None:
        if seen is not None:
            seen.append(request)
        return None

    async with serve(handle, "127.0.0.1", 0, process_request=check, compression=None, close_timeout=0.5) as server:
        voice = SonicVoice("sk-1", "v-1", base_url=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await voice.start()
        try:
            yield voice
        finally:
            await voice.close()


async def said(reading: SonicReading, text: str) -> tuple[list[tuple[str, float]], np.ndarray[Any, Any]]:
    """Words with their begins, and samples."""
    pieces = [piece async for piece in speak(reading, text)]
    words = [(word.word, round(word.start, 3)) for piece in pieces for word in piece.words]
    return words, np.concatenate([piece.samples for piece in pieces])


def requests(received: list[Any]) -> list[tuple[Any, ...]]:
    keys = ("transcript", "continue", "flush", "cancel")
    return [tuple(each.get(key) for key in keys) for each in received]


def recording(received: list[Any]) -> Serve:
    """The local Sonic, with a record of what it was asked."""

    async def handle(socket: ServerConnection) -> None:
        receive = socket.recv

        async def noted(*args: Any, **options: Any) -> Any:
            data = await receive(*args, **options)
            received.append(json.loads(data))
            return data

        socket.recv = noted  # type: ignore[method-assign]
        await local_sonic(socket)

    return handle


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_the_texts_of_a_reply_are_continuations_of_one_context(rate: int) -> None:
    async def test() -> None:
        received: list[Any] = []
        seen: list[Request] = []
        async with voice_at(recording(received), seen) as voice:
            reading = voice.open(rate)
            words, samples = await said(reading, "Hello there.")
            assert words == [("Hello", 0.0), ("there.", 0.25)]
            assert (samples == tone_words("Hello there.", rate)).all()
            words, samples = await said(reading, "How are you?")
            assert words == [("How", 0.0), ("are", 0.25), ("you?", 0.5)]
            assert (samples == tone_words("How are you?", rate)).all()
            await reading.close()
        assert len({each["context_id"] for each in received}) == 1
        assert requests(received) == [
            ("Hello there. ", True, None, None),
            ("", True, True, None),
            ("How are you? ", True, None, None),
            ("", True, True, None),
            ("", False, None, None),
        ]
        assert received[0] | {"context_id": "", "transcript": ""} == {
            "model_id": "sonic-3",
            "voice": {"mode": "id", "id": "v-1"},
            "language": "en",
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": rate},
            "continue": True,
            "add_timestamps": True,
            "use_normalized_timestamps": False,
            "max_buffer_delay_ms": 0,
            "context_id": "",
            "transcript": "",
        }
        (request,) = seen
        assert request.path == "/tts/websocket"
        assert (request.headers["X-API-Key"], request.headers["Cartesia-Version"]) == ("sk-1", "2026-08-14")

    run(test)


def test_a_reply_that_is_cut_is_cancelled_and_the_next_is_whole() -> None:
    async def test() -> None:
        received: list[Any] = []
        async with voice_at(recording(received)) as voice:
            first = voice.open(8000)
            async with aclosing(speak(first, "A long story that nobody wants to hear.")) as pieces:
                assert isinstance(await anext(pieces), Piece)
            await first.close()
            words, _ = await said(voice.open(8000, name="v-2", language="de", pronunciation="p-1"), "Gut.")
            assert words == [("Gut.", 0.0)]
        assert requests(received)[2] == (None, None, None, True)
        assert (received[3]["voice"]["id"], received[3]["language"]) == ("v-2", "de")
        assert received[3]["pronunciation_dict_id"] == "p-1"

    run(test)


def test_a_context_that_expired_between_texts_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.line.services.tts.CONTEXT_SECONDS", 0.0)

    async def test() -> None:
        received: list[Any] = []
        async with voice_at(recording(received)) as voice:
            reading = voice.open(8000)
            await said(reading, "One.")
            async with asyncio.timeout(5):
                reading._queue.put_nowait(await reading._queue.get())  # the context's end has come
            words, _ = await said(reading, "Two.")
            assert words == [("Two.", 0.0)]
        assert len({each["context_id"] for each in received}) == 2

    run(test)


def test_replies_speak_at_once_on_one_socket() -> None:
    async def test() -> None:
        seen: list[Request] = []
        async with voice_at(local_sonic, seen) as voice:
            texts = [f"Reply number {number}." for number in range(5)]
            results = await asyncio.gather(*(said(voice.open(16000), text) for text in texts))
            for text, (words, samples) in zip(texts, results, strict=True):
                assert [word for word, _ in words] == text.split()
                assert (samples == tone_words(text, 16000)).all()
        assert len(seen) == 1

    run(test)


async def deaf(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def dropping(socket: ServerConnection) -> None:
    await chunk(socket, "AAAA" * 1000)
    socket.transport.abort()


async def closing(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.close(1008, "no credits")


async def chunk(socket: ServerConnection, data: object) -> None:
    """Answer the next request by one message of audio."""
    message = json.loads(await socket.recv())
    await socket.send(json.dumps({"type": "chunk", "context_id": message["context_id"], "data": data}))


async def hoarse(socket: ServerConnection) -> None:
    await chunk(socket, 5)
    await socket.wait_closed()


async def babbling(socket: ServerConnection) -> None:
    for text in ("nonsense", "[]", '{"context_id": 5}', '{"context_id": "other", "type": "chunk"}'):
        await socket.send(text)
    await socket.send(b"\x00")
    await old_error(socket)


async def old_error(socket: ServerConnection) -> None:
    message = json.loads(await socket.recv())
    await socket.send(json.dumps({"type": "error", "context_id": message["context_id"], "error": "Invalid voice"}))
    await socket.wait_closed()


async def empty(socket: ServerConnection) -> None:
    message = json.loads(await socket.recv())
    await socket.send(json.dumps({"type": "done", "context_id": message["context_id"], "done": True}))
    await socket.wait_closed()


async def stuck(socket: ServerConnection) -> None:
    await chunk(socket, "AAAA" * 1000)
    await socket.wait_closed()


@pytest.mark.parametrize(
    ("handle", "complaint"),
    [
        (deaf, r"no speech within 0\.3 s"),
        (stuck, r"no speech within 0\.3 s"),
        (dropping, "Sonic's socket was lost"),
        (closing, "Sonic's socket was"),
        (hoarse, "a chunk without audio"),
        (babbling, "Sonic: Invalid voice"),
        (old_error, "Sonic: Invalid voice"),
        (empty, "no audio was made"),
    ],
)
def test_speech_that_never_comes_or_stops_is_a_failure_in_time(
    handle: Serve, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.line.voices.voice.SPEECH_TIMEOUT", 0.3)

    async def test() -> None:
        async with voice_at(handle) as voice:
            reading = voice.open(8000)
            with pytest.raises(VoiceFailed, match=complaint):
                await said(reading, "Hello there.")
            await reading.close()

    run(test)


def test_a_lost_socket_is_opened_again_for_the_next_text() -> None:
    async def test() -> None:
        sockets: list[ServerConnection] = []

        async def handle(socket: ServerConnection) -> None:
            sockets.append(socket)
            await (dropping if len(sockets) == 1 else local_sonic)(socket)

        async with voice_at(handle) as voice:
            reading = voice.open(8000)
            with pytest.raises(VoiceFailed):
                await said(reading, "Hello.")
            words, _ = await said(reading, "Again.")
            assert words == [("Again.", 0.0)]
        assert len(sockets) == 2

    run(test)


def test_a_socket_that_cannot_be_opened_is_told_without_the_key() -> None:
    async def test() -> None:
        def refuse(socket: ServerConnection, request: Request) -> Response:
            return socket.respond(HTTPStatus.UNAUTHORIZED, "no")

        async with serve(deaf, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            voice = SonicVoice("sk-secret", "v-1", base_url=f"ws://127.0.0.1:{port}")
            with pytest.raises(VoiceFailed, match="refused the socket with 401") as caught:
                await said(voice.open(8000), "Hello.")
            assert "sk-secret" not in str(caught.value)
        with pytest.raises(VoiceFailed, match="could not be opened: ConnectionRefusedError"):
            await said(voice.open(8000), "Hello.")
        await voice.close()

    run(test)


def test_words_without_timings_are_found_in_the_sound() -> None:
    async def without(socket: ServerConnection) -> None:
        send = socket.send

        async def silent(message: Any) -> None:
            if '"timestamps"' not in message:
                await send(message)

        socket.send = silent  # type: ignore[method-assign,assignment]
        await local_sonic(socket)

    async def test() -> None:
        async with voice_at(without) as voice:
            words, _ = await said(voice.open(8000), "Hello there.")
            assert [word for word, _ in words] == ["Hello", "there."]
            assert words[1][1] == pytest.approx(0.25, abs=0.1)

    run(test)


def test_a_rate_that_the_service_does_not_make_is_an_error() -> None:
    assert isinstance(SonicVoice("k", "v").open(RATES[0]), SonicReading)
    with pytest.raises(ValueError, match="11025"):
        SonicVoice("k", "v").open(11025)
