"""Calls whose speech never comes, stops, or is cut short: what the caller hears, what the program is told."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.line.speaker import Speaker
from cordboard.line.voices.espeak import EspeakVoice
from cordboard.line.voices.tones import TonesVoice
from cordboard.line.voices.voice import Piece, SpokenWord, VoiceFailed

from ..harness.fake_agent import FakeAgent, Session, harnessing
from ..harness.harness_talk import FAST, run, talk
from ..line_peer import LIMIT, LOUD, Peer, calling

END = {"type": "response_end", "responding_to": None}


class Fickle(TonesVoice):
    """Speaks in tones, but for texts that begin with a fault's name."""

    def __init__(self) -> None:
        self.hanging = asyncio.Event()
        self.stopped = asyncio.Event()
        self.asked: list[tuple[str, str, str]] = []

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> Any:
        self.asked.append((name, language, pronunciation))
        return FickleReading(self, rate)


class FickleReading:
    def __init__(self, voice: Fickle, rate: int) -> None:
        self._voice = voice
        self._tones = TonesVoice().open(rate)

    async def speak(self, text: str) -> AsyncGenerator[Piece]:
        fault = text.split()[0]
        if fault == "fail":
            raise VoiceFailed("the program ended with 1")
        if fault == "empty":
            return
        async for piece in self._tones.speak(text):
            if fault == "half":
                half = piece.samples.size // 2
                yield Piece(piece.samples[:half], piece.words[: len(piece.words) // 2])
                raise VoiceFailed("Sonic's socket was lost")
            if fault == "hang":
                await self._hang()
            yield piece

    async def _hang(self) -> None:
        self._voice.hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._voice.stopped.set()

    async def close(self) -> None:
        """Nothing to do."""


def say(text: str, answered: str | None = None) -> dict[str, Any]:
    return {"type": "message", "content": text, "interruptible": True, "responding_to": answered}


async def told(session: Session) -> list[str]:
    """What the program is told of its own speech, up to the end of a turn."""
    words: list[str] = []
    await session.until(type="agent_state", value="speaking")
    while True:
        message = await session.until()
        if message["type"] == "agent_speech":
            words.append(message["content"])
        if message == {"type": "agent_state", "value": "idle", "event_id": message.get("event_id")}:
            return words


FAULTS = [
    ("hang on a moment.", "no speech within 0.2 s", []),
    ("fail at once.", "the program ended with 1", []),
    ("empty words.", "no audio was made", []),
    ("half of this is.", "Sonic's socket was lost", ["half", "of"]),
]


@pytest.mark.parametrize(("text", "complaint", "heard"), FAULTS)
def test_a_reply_goes_on_without_what_was_not_spoken(
    text: str, complaint: str, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.line.voices.voice.SPEECH_TIMEOUT", 0.2)

    async def test(server: LineServer, _: FakeAgent, peer: Peer, session: Session) -> None:
        session.send(say(f"One. {text} Two."))
        session.send(END)
        assert await told(session) == ["One.", *heard, "Two."]
        ended, _before = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == " ".join(["One.", *heard, "Two."])
        assert server.calls[0].warnings == [f"speech: {complaint}"]
        session.send(say("Three."))
        session.send(END)
        assert await told(session) == ["Three."]

    talk(test, settings=FAST, voice=Fickle())


@pytest.mark.parametrize("text", ["hang on.", "fail.", "empty."])
def test_a_reply_of_which_nothing_is_spoken_is_no_turn_and_the_call_still_ends(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.line.voices.voice.SPEECH_TIMEOUT", 0.1)

    async def test(server: LineServer, _: FakeAgent, peer: Peer, session: Session) -> None:
        session.send(say(text.replace(".", " ")))
        session.send({"type": "end_call", "reason": "agent_ended", "interruptible": True, "responding_to": None})
        session.send(END)
        assert await peer.closed() == (1000, "call ended by agent")
        assert [name for name in server.calls[0].events("out") if name != "ack"] == []
        sent = {each.message["type"] for each in server.calls[0].agent_messages if each.direction == "out"}
        assert sent == {"start"}
        assert len(server.calls[0].warnings) == 1

    talk(test, settings=FAST, voice=Fickle())


def test_an_interruption_does_not_wait_for_speech_that_hangs() -> None:
    async def whole() -> None:
        voice = Fickle()
        async with harnessing(settings=FAST, voice=voice) as (server, agent), calling(server) as peer:
            await peer.start()
            await peer.until("ack")
            session = await agent.sessions.get()
            session.send(say("hang on, here comes a very long story."))
            session.send(say(" "))
            await voice.hanging.wait()
            await peer.audio(LOUD, 20)
            await voice.stopped.wait()
            await peer.audio(b"\xff" * 160, 50)
            idle = await session.until(type="user_state", value="idle")
            session.send(say("Yes?", idle["event_id"]))
            session.send({**END, "responding_to": idle["event_id"]})
            assert await told(session) == ["Yes?"]
            assert not [text for text in server.calls[0].warnings if "speech" in text]

    run(whole())


def test_a_voice_that_the_program_asks_for_reads_its_next_reply() -> None:
    async def whole() -> None:
        voice = Fickle()
        async with harnessing(settings=FAST, voice=voice) as (server, agent), calling(server) as peer:
            agent.answer = {**agent.answer, "config": {"tts": {"voice_id": "v-9"}}}
            await peer.start()
            session = await agent.sessions.get()
            session.send(say("Hello."))
            session.send(END)
            await told(session)
            await peer.until("turn_ended")
            tts = {"voice_id": None, "pronunciation_dict_id": "p-1", "language": "es"}
            session.send({"type": "config", "tts": tts, "stt": None, "language": "es", "responding_to": None})
            session.send(say("Hola."))
            session.send(END)
            await told(session)
            await peer.until("turn_ended")
            assert voice.asked == [("v-9", "", ""), ("v-9", "es", "p-1")]

    run(whole())


@pytest.mark.parametrize("text", ["hang on", "fail", "empty"])
def test_a_script_goes_on_in_silence(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.line.voices.voice.SPEECH_TIMEOUT", 0.1)
    script = f"""
        [agents.a]
        greeting = "{text}"
        [[agents.a.steps]]
        say = "Good."
        [[agents.a.steps]]
        wait = 0.5
        [[agents.a.steps]]
        end = ""
    """

    async def whole() -> None:
        server = LineServer(parse(script, Path()), port=0, voice=Fickle())
        async with asyncio.timeout(LIMIT):
            await server.start()
            try:
                async with calling(server) as peer:
                    await peer.start()
                    _, before = await peer.until("turn_started")
                    assert [message["event"] for message in before] == ["ack"]
                    ended, _ = await peer.until("turn_ended")
                    assert ended["turn_ended"]["text"] == "Good."
                    assert await peer.closed() == (1000, "call ended by agent")
                assert len(server.calls[0].warnings) == 1
            finally:
                await server.close()

    run(whole())


def test_a_call_that_ends_while_its_speech_is_made_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    program = tmp_path / "espeak-ng"
    program.write_text(f'#!/bin/sh\n[ "$1" = -q ] && exit 0\necho $$ > "{fifo}"; exec sleep 60\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    pids: list[int] = []

    async def test(server: LineServer, _: FakeAgent, peer: Peer, session: Session) -> None:
        session.send(say("Hello. "))
        pids.append(int(await asyncio.to_thread(fifo.read_text)))
        os.kill(pids[0], 0)
        await peer.socket.close()
        await session.closed()
        await server.calls[0].finished.wait()

    talk(test, settings=FAST, voice=EspeakVoice())
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


class Words:
    """What a speaker's listener hears of."""

    def __init__(self) -> None:
        self.words: list[str] = []

    async def speech_started(self) -> None:
        """Not needed."""

    async def word_spoken(self, word: str, ahead: float = 0.0) -> None:
        self.words.append(word)

    async def speech_ended(self, *, interrupted: bool, ahead: float = 0.0) -> None:
        """Not needed."""


def test_words_that_are_told_late_keep_their_place() -> None:
    async def whole() -> None:
        async def send(_: Any) -> None:
            """Nobody listens on the wire."""

        heard, tenth = Words(), bytes(800)
        async with asyncio.TaskGroup() as group:
            speaker = Speaker(
                send,
                group,
                bytes_per_second=8000,
                chunk_ms=20,
                at_once=True,
                turns=False,
                odd=False,
                listener=heard,
            )
            speaker.add(tenth, [SpokenWord("one", 0.0, 0.05)])
            speaker.add(b"", [SpokenWord("two", 0.05, 0.1)], since=len(tenth))
            speaker.add(tenth, [SpokenWord("three", 0.0, 0.05)])
            speaker.finish()
            await speaker.played()
        assert heard.words == ["one", "two", "three"]

    run(whole())
