"""Ink with automatic finalize: its turns become the call's, and energy's while it is away."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from cordboard.line.ears import ink_turns
from cordboard.line.ears.ear import Ear, EarFault
from cordboard.line.ears.ink_turns import InkTurnsEars
from cordboard.line.ears.turns import TurnDetector
from cordboard.media.samples import Samples

from .fake_ink import KEY, FakeInk, Socket, run, serving

QUIET: Samples = np.zeros(160, np.int16)
LOUD: Samples = np.full(160, 20000, np.int16)


async def opened(ink: FakeInk) -> tuple[Ear, TurnDetector, Socket]:
    ear = InkTurnsEars(KEY, ink.url).open(8000)
    assert ear.turns is not None
    return ear, ear.turns, await ink.sockets.get()


def frame(ear: Ear, turns: TurnDetector, samples: Samples = QUIET) -> list[str]:
    """20 ms of a call."""
    ear.receive_audio(samples)
    return [event.kind for event in turns.process(samples)]


async def until(ear: Ear, turns: TurnDetector, kind: str, samples: Samples = QUIET) -> int:
    """Frames until an event, which must be of that kind."""
    count = 0
    while not (kinds := frame(ear, turns, samples)):
        count += 1
        await asyncio.sleep(0)
    assert kinds == [kind]
    return count


def test_the_services_turns_are_the_calls() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, turns, socket = await opened(ink)
            assert socket.path == "/stt/turns/websocket"
            assert socket.query == {"model": ["ink-2"], "encoding": ["pcm_s16le"], "sample_rate": ["8000"]}
            await socket.send(type="connected", request_id="r")
            speaking: list[bool] = []
            for text in ("a table for two", ""):
                await socket.send(type="turn.start", request_id="r")
                await until(ear, turns, "started")
                speaking.append(turns.speaking)
                await socket.send(type="turn.update", transcript="a", request_id="r")
                await socket.send(type="turn.eager_end", transcript="a table", request_id="r")
                await socket.send(type="turn.resume", request_id="r")
                await socket.send(type="turn.end", transcript=text, request_id="r")
                await until(ear, turns, "stopped")
                speaking.append(turns.speaking)
                assert await ear.finish() == text
            assert speaking == [True, False] * 2
            assert frame(ear, turns, LOUD) == [], "loudness does not matter"
            await ear.close()

    run(test())


def test_all_audio_is_sent() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, turns, socket = await opened(ink)
            for at in range(10):
                frame(ear, turns, np.full(160, at, np.int16))
            while len(socket.audio) < 3200:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            assert socket.audio == b"".join(bytes([at, 0]) * 160 for at in range(10))
            await ear.close()

    run(test())


def test_a_socket_that_drops_ends_its_turn_and_energy_takes_over_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ink_turns, "RECONNECT", 0.0)

    async def test() -> None:
        async with serving() as ink:
            ear, turns, socket = await opened(ink)
            await socket.send(type="turn.start")
            await until(ear, turns, "started")
            ink.refuse = 503
            socket.connection.transport.abort()
            await until(ear, turns, "stopped")
            with pytest.raises(EarFault, match="closed the socket with 1006"):
                await ear.finish()
            assert await until(ear, turns, "started", LOUD) < 10
            assert await until(ear, turns, "stopped") < 40
            with pytest.raises(EarFault, match="503"):
                await ear.finish()
            assert await until(ear, turns, "started", LOUD) < 10
            ink.refuse = 0
            while ink.sockets.empty():
                assert frame(ear, turns, LOUD) == []
                await asyncio.sleep(0)
            socket = await ink.sockets.get()
            await socket.send(type="connected")
            await until(ear, turns, "stopped")
            with pytest.raises(EarFault):
                await ear.finish()
            await socket.send(type="turn.start")
            await until(ear, turns, "started")
            await socket.send(type="turn.end", transcript="back")
            await until(ear, turns, "stopped")
            assert await ear.finish() == "back"
            await ear.close()

    run(test())


def test_ends_without_a_start_and_wrong_types_are_nothing() -> None:
    async def test() -> None:
        async with serving() as ink:
            ear, turns, socket = await opened(ink)
            await socket.send(type="turn.end", transcript="ghost")
            await socket.send(type="turn.start")
            await socket.send(type="turn.start")
            await socket.send(type="turn.end", transcript=7)
            kinds: list[str] = []
            while len(kinds) < 2:
                kinds += frame(ear, turns)
                await asyncio.sleep(0)
            assert kinds == ["started", "stopped"]
            assert await ear.finish() == ""
            await ear.close()

    run(test())
