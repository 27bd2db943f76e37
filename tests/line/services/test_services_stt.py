"""Ink's sockets as the stand-in serves them, with an ear that knows what it will hear."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from cordboard.line.ears.ear import Ear, EarFault
from cordboard.line.ears.scripted import ScriptedEars
from cordboard.line.services.stt import SttService
from cordboard.line.voices.tones import tone_words
from cordboard.media.g711 import alaw_encode, ulaw_encode
from cordboard.media.samples import Samples

from .service_peer import answer, client

QUERY = "model=ink-2&encoding=pcm_s16le&sample_rate=8000&cartesia_version=2026-08-14"
SILENCE = np.zeros(8000, np.int16)
SPEECH = np.concatenate((tone_words("hello", 8000)[:1400], SILENCE))
Talk = Callable[[ClientConnection], Awaitable[None]]


def talk(test: Talk, path: str = "/stt/websocket", query: str = QUERY, ears: Any = None) -> None:
    """One socket whose ear hears "hello", "a table for two", "goodbye" and nothing else."""

    async def whole() -> None:
        service = SttService(ears or ScriptedEars(["hello", "a table for two", "goodbye"]))
        serve = service.serve_turns if "turns" in path else service.serve
        async with asyncio.timeout(10):
            async with client(serve, f"{path}?{query}") as socket:
                await test(socket)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(whole())


async def say(socket: ClientConnection, samples: Samples = SPEECH) -> None:
    data = samples.astype("<i2").tobytes()
    for at in range(0, len(data), 1601):  # messages end inside a sample
        await socket.send(data[at : at + 1601])


async def closed(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    return socket.close_code


def test_utterances_finalize_and_close() -> None:
    async def test(socket: ClientConnection) -> None:
        await say(socket)
        first = await answer(socket)
        assert first == {
            "type": "transcript",
            "request_id": first["request_id"],
            "is_final": True,
            "text": "hello",
            "duration": first["duration"],
        }
        assert 0.6 < first["duration"] < 1.2
        await say(socket, tone_words("table", 8000)[:1400])
        await socket.send("finalize")
        second = await answer(socket)
        assert (second["text"], second["request_id"]) == (" a table for two", first["request_id"])
        assert await answer(socket) == {"type": "flush_done", "request_id": first["request_id"]}
        await say(socket, SILENCE)  # ends nothing: what was said is finalized
        await socket.send("finalize")
        assert (await answer(socket))["type"] == "flush_done"
        await say(socket)
        assert (await answer(socket))["text"] == " goodbye"
        await say(socket)  # the ear understands no more
        await socket.send("finalize")
        assert (await answer(socket))["type"] == "flush_done"
        await socket.send("close")
        assert (await answer(socket))["type"] == "done"
        assert await closed(socket) == 1000

    talk(test)


def test_what_is_being_said_at_the_close_is_told() -> None:
    async def test(socket: ClientConnection) -> None:
        await say(socket, tone_words("hello", 8000)[:1400])
        await socket.send("close")
        assert [(await answer(socket))["type"] for _ in range(2)] == ["transcript", "done"]

    talk(test)


def test_turns() -> None:
    async def test(socket: ClientConnection) -> None:
        assert (await answer(socket))["type"] == "connected"
        turn = {"start_threshold": 0.7, "eager_end_threshold": 0.4, "end_threshold": 0.2, "end_timeout_ms": 4000}
        await socket.send(json.dumps({"type": "config", "turn": turn}))
        await say(socket)
        got = [await answer(socket) for _ in range(3)]
        assert [(each["type"], each.get("transcript")) for each in got] == [
            ("turn.start", None),
            ("turn.update", "hello"),
            ("turn.end", "hello"),
        ]
        await say(socket, tone_words("table", 8000)[:1400])
        await socket.send('{"type": "close"}')
        assert [(await answer(socket))["type"] for _ in range(3)] == ["turn.start", "turn.update", "turn.end"]
        assert await closed(socket) == 1000

    talk(test, "/stt/turns/websocket")


ENCODERS: dict[str, Callable[[Samples], bytes]] = {
    "pcm_s16le": lambda samples: samples.astype("<i2").tobytes(),
    "pcm_s32le": lambda samples: (samples.astype("<i4") << 16).tobytes(),
    "pcm_f16le": lambda samples: (samples / 32768).astype("<f2").tobytes(),
    "pcm_f32le": lambda samples: (samples / 32768).astype("<f4").tobytes(),
    "pcm_mulaw": ulaw_encode,
    "pcm_alaw": alaw_encode,
}


class Listening:
    """An ear that keeps what it hears, and fails if it is to."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.heard: list[Samples] = []
        self.fault = fault
        self.closed = False
        self.turns = None

    def open(self, rate: int, language: str = "") -> Ear:
        return self

    def receive_audio(self, samples: Samples) -> None:
        self.heard.append(samples)

    def use_language(self, language: str) -> bool:
        return False

    def start(self) -> None:
        """It hears all."""

    async def finish(self) -> str:
        if self.fault is not None:
            raise self.fault
        return "yes"

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("encoding", ENCODERS)
def test_every_encoding_is_heard_alike(encoding: str) -> None:
    ears = Listening()

    async def test(socket: ClientConnection) -> None:
        data = ENCODERS[encoding](SPEECH)
        for at in range(0, len(data), 997):
            await socket.send(data[at : at + 997])
        assert (await answer(socket))["text"] == "yes"
        await socket.send("close")
        await answer(socket)

    talk(test, query=QUERY.replace("pcm_s16le", encoding), ears=ears)
    heard = np.concatenate(ears.heard)
    assert heard.size == SPEECH.size
    assert np.abs(heard.astype(int) - SPEECH).max() <= 600
    assert ears.closed


def test_an_ear_that_fails_is_told_and_the_socket_goes_on() -> None:
    async def test(socket: ClientConnection) -> None:
        assert (await answer(socket))["type"] == "connected"
        await say(socket)
        got = [await answer(socket) for _ in range(3)]
        assert [each["type"] for each in got] == ["turn.start", "error", "turn.end"]
        assert (got[1]["message"], got[1]["status_code"], got[2]["transcript"]) == ("no grammar", 500, "")

    talk(test, "/stt/turns/websocket", ears=Listening(EarFault("no grammar")))


@pytest.mark.parametrize(
    ("path", "change", "complaint"),
    [
        ("/stt/websocket", ("ink-2", "ink-9"), "model: "),
        ("/stt/turns/websocket", ("ink-2", "ink-whisper"), "model: "),
        ("/stt/websocket", ("pcm_s16le", "opus"), "encoding: "),
        ("/stt/websocket", ("sample_rate=8000", ""), "sample_rate: "),
        ("/stt/turns/websocket", ("ink-2", "ink-2&turn_start_threshold=high"), "turn_start_threshold: "),
        ("/stt/turns/websocket", ("ink-2", "ink-2&turn_start_threshold=1.5"), "turn.start_threshold: "),
        (
            "/stt/turns/websocket",
            ("ink-2", "ink-2&turn_end_threshold=0.5&turn_eager_end_threshold=0.4"),
            "turn: end_threshold < ",
        ),
    ],
)
def test_a_socket_that_cannot_be_served_is_told_why(path: str, change: tuple[str, str], complaint: str) -> None:
    async def test(socket: ClientConnection) -> None:
        told = await answer(socket)
        assert (told["type"], told["status_code"]) == ("error", 400)
        assert told["message"].startswith(complaint)
        assert await closed(socket) == 1008

    talk(test, path, QUERY.replace(*change))


def test_without_an_ear_the_socket_says_so() -> None:
    async def whole() -> None:
        async with client(SttService(None).serve, f"/stt/websocket?{QUERY}") as socket:
            assert "--ear" in (await answer(socket))["message"]
            assert await closed(socket) == 1008

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/stt/websocket", "stop"),
        ("/stt/turns/websocket", "close"),
        ("/stt/turns/websocket", "[]"),
        ("/stt/turns/websocket", '{"type": "stop"}'),
        ("/stt/turns/websocket", '{"type": "config"}'),
        ("/stt/turns/websocket", '{"type": "config", "turn": {"end_timeout_ms": true}}'),
    ],
)
def test_an_unknown_message_is_an_error_and_no_end(path: str, text: str) -> None:
    async def test(socket: ClientConnection) -> None:
        if "turns" in path:
            await answer(socket)
        await socket.send(text)
        assert (await answer(socket))["type"] == "error"
        await say(socket)
        assert (await answer(socket))["type"] in ("transcript", "turn.start")

    talk(test, path)


def test_an_idle_socket_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.line.services.stt.IDLE_SECONDS", 0.05)

    async def test(socket: ClientConnection) -> None:
        assert await closed(socket) == 1000

    talk(test)
