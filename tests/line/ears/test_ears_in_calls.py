"""Ears in calls: a slow, dead or own-minded one costs a turn its words at most, and the call goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cordboard.line.ears.ear import Ear, EarFault
from cordboard.line.ears.turns import TurnDetector
from cordboard.line.server import LineServer
from cordboard.media.energy import VoiceEvent
from cordboard.media.samples import Samples

from ..harness.fake_agent import FakeAgent, Session, harnessing
from ..harness.harness_talk import begin, run, talk
from ..line_peer import LOUD, SILENCE, Peer, calling


class HeldEar:
    """Understands when it is told to."""

    def __init__(self, turns: TurnDetector | None = None) -> None:
        self.turns = turns
        self.hearing: list[asyncio.Future[str]] = []
        self.starts = 0
        self.closed = False
        self.languages: list[str] = []
        self.polyglot = False

    def open(self, rate: int, language: str = "") -> Ear:
        """It is its own maker, for one call."""
        self.languages.append(language)
        return self

    def use_language(self, language: str) -> bool:
        self.languages.append(language)
        return self.polyglot

    def receive_audio(self, samples: Samples) -> None:
        """Ignored."""

    def start(self) -> None:
        """Counted."""
        self.starts += 1

    def finish(self) -> asyncio.Future[str]:
        """Wait for the test."""
        self.hearing.append(asyncio.get_running_loop().create_future())
        return self.hearing[-1]

    async def close(self) -> None:
        """Noted."""
        self.closed = True


async def speak(peer: Peer) -> None:
    """An utterance and its end."""
    await peer.audio(LOUD, 10)
    await peer.audio(SILENCE, 40)


async def heard(ear: HeldEar, count: int = 1) -> asyncio.Future[str]:
    """What the ear is asked as the `count`th."""
    while len(ear.hearing) < count:  # noqa: ASYNC110 - the test's limit ends this
        await asyncio.sleep(0.001)
    return ear.hearing[count - 1]


def kinds(messages: Sequence[dict[str, Any]]) -> list[str]:
    """What reached the program, in short."""
    return [str(message.get("value") or message.get("content") or message.get("button")) for message in messages]


@pytest.mark.parametrize(
    ("fault", "warning"),
    [
        (EarFault("Ink closed the socket with 1006"), "ear: Ink closed the socket with 1006"),
        (RuntimeError("a secret of its own"), "the ear failed: RuntimeError"),
        (TimeoutError(), "the ear took longer than 3 s"),
    ],
)
def test_an_ear_that_fails_costs_the_turn_its_words_alone(fault: Exception, warning: str) -> None:
    ear = HeldEar()

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        for text in ("", "hello"):
            await speak(peer)
            await session.until(type="user_state", value="speaking")
            hearing = await heard(ear, ear.starts)
            if text:
                hearing.set_result(text)
                assert (await session.until(type="message"))["content"] == text
            else:
                hearing.set_exception(fault)
            assert (await session.until())["value"] == "idle"
            ended, _ = await peer.until("turn_ended")
            assert ended["turn_ended"]["text"] == text
        assert server.calls[0].warnings == [warning]

    talk(test, ears=ear)
    assert ear.closed


def test_while_the_ear_thinks_the_call_goes_on_and_so_does_the_turn() -> None:
    ear = HeldEar()

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await speak(peer)
        first = await heard(ear)
        await peer.send({"event": "dtmf", "dtmf": "#"})
        await peer.send({"event": "custom", "metadata": {"k": 1}})
        await session.until(type="custom")
        await speak(peer)
        second = await heard(ear, 2)
        first.set_result("transfer me")
        assert (await session.until(type="message"))["content"] == "transfer me"
        second.set_result("please")
        assert kinds([await session.until() for _ in range(2)]) == ["please", "idle"]
        ended, before = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "transfer me please"
        assert [message["event"] for message in before] == ["turn_started"]
        await speak(peer)
        (await heard(ear, 3)).set_result("")
        assert kinds([await session.until() for _ in range(2)]) == ["speaking", "idle"]

    talk(test, ears=ear)
    assert ear.starts == 3


def test_a_call_that_ends_while_the_ear_thinks_leaves_nothing() -> None:
    ear = HeldEar()

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await speak(peer)
        hearing = await heard(ear)
        await peer.socket.close()
        await server.calls[0].finished.wait()
        assert hearing.cancelled()
        assert ear.closed

    talk(test, ears=ear)


class FirstAndThird:
    """A recogniser's own turns: from its first chunk of audio to its third."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def speaking(self) -> bool:
        """Between both."""
        return 1 <= self.count < 3

    def process(self, samples: Samples) -> list[VoiceEvent]:
        """Whatever the sound."""
        self.count += 1
        match self.count:
            case 1:
                return [VoiceEvent("started", 0)]
            case 3:
                return [VoiceEvent("stopped", 0)]
        return []


@pytest.mark.parametrize("owner", ["the ear", "the call"])
def test_other_turn_detectors_are_believed(owner: str) -> None:
    ear = HeldEar(FirstAndThird() if owner == "the ear" else None)

    def make(rate: int, threshold_dbfs: float) -> TurnDetector:
        assert (rate, threshold_dbfs) == (8000, -40.0)
        return FirstAndThird()

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await peer.audio(SILENCE, 3)
        assert (await session.until(type="user_state"))["value"] == "speaking"
        (await heard(ear)).set_result("psst")
        assert kinds([await session.until() for _ in range(2)]) == ["psst", "idle"]
        await speak(peer)
        await peer.send({"event": "custom", "metadata": {}})
        assert (await session.until())["type"] == "custom", "loudness is no turn here"

    options: dict[str, Any] = {"turns": make} if owner == "the call" else {}
    talk(test, ears=ear, **options)


@pytest.mark.parametrize("polyglot", [True, False])
def test_a_program_chooses_the_language_that_is_heard_or_is_told_that_it_cannot(polyglot: bool) -> None:
    async def test() -> None:
        async with harnessing(ears=ear) as (server, agent), calling(server) as peer:
            agent.answer = {**agent.answer, "config": {"language": "fr"}}
            session = await begin(peer, agent)
            session.send({"type": "config", "stt": {"language": "es"}, "responding_to": None})
            session.send({"type": "custom", "metadata": {}})
            await peer.until("custom")
            told = "agent: stt.language noted; this ear has one language"
            assert (told in server.calls[0].warnings) is not polyglot

    ear = HeldEar()
    ear.polyglot = polyglot
    run(test())
    assert ear.languages == ["fr", "fr", "es"]
