"""A turn that its call's end cuts short: what was sent and what is told of it agree."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from cordboard.line.speaker import LEAD, Speaker
from cordboard.line.transcript import Transcript
from cordboard.line.voices.voice import SpokenWord

RATE = 8000
WORDS = [SpokenWord(f"w{at}", at / 10, at / 10 + 0.05) for at in range(20)]


class Ledger:
    """What a client was sent, and what the record tells."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.transcript = Transcript(asyncio.get_running_loop().time)
        self.told = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def speech_started(self) -> None:
        self.transcript.speech_started()

    async def word_spoken(self, word: str, ahead: float = 0.0) -> None:
        self.transcript.word(word, ahead)
        self.told.set()

    async def speech_ended(self, *, interrupted: bool, ahead: float = 0.0) -> None:
        self.transcript.speech_ended(interrupted=interrupted, ahead=ahead)

    @property
    def seconds(self) -> float:
        """Length of the audio that was sent."""
        payloads = [item["media"]["payload"] for item in self.sent if item["event"] == "media_output"]
        return sum(len(base64.b64decode(payload)) for payload in payloads) / RATE


@pytest.mark.parametrize("at_once", [True, False])
def test_a_turn_that_is_stopped_has_the_words_whose_audio_was_sent(at_once: bool) -> None:
    async def test() -> None:
        ledger = Ledger()
        async with asyncio.TaskGroup() as group:
            speaker = Speaker(
                ledger.send,
                group,
                bytes_per_second=RATE,
                chunk_ms=20,
                at_once=at_once,
                turns=True,
                odd=False,
                listener=ledger,
            )
            added = speaker.add(bytes(2 * RATE), WORDS)
            await ledger.told.wait()
            (entry,) = ledger.transcript.entries
            assert entry.text == "w0"
            began = entry.start
            await speaker.stop()
            assert added.is_set()
            await speaker.played()
        sent = [word for word in WORDS if word.start < ledger.seconds]
        assert len(sent) == 20 if at_once else 2 <= len(sent) <= 2 + 10 * LEAD + 10
        text = " ".join(word.word for word in sent)
        turn = ledger.sent[-1]["turn_ended"]
        assert (turn["text"], turn["was_interrupted"]) == (text, False)
        assert (entry.text, entry.end_reason) == (text, "call_ended")
        assert [at - began for _, at in entry.chunks[1:]] == pytest.approx([w.start for w in sent[1:]], abs=0.05)
        assert entry.end is not None
        assert entry.end - began == pytest.approx(ledger.seconds, abs=0.05)

    asyncio.run(test())


def test_a_turn_of_which_nothing_was_sent_is_not_told_of() -> None:
    async def test() -> None:
        ledger = Ledger()
        async with asyncio.TaskGroup() as group:
            speaker = Speaker(
                ledger.send,
                group,
                bytes_per_second=RATE,
                chunk_ms=20,
                at_once=True,
                turns=True,
                odd=False,
                listener=ledger,
            )
            await speaker.stop()
            added = speaker.add(bytes(RATE), WORDS)
            await speaker.stop()
            assert added.is_set()
        assert ledger.sent == []
        assert ledger.transcript.entries == []

    asyncio.run(test())
