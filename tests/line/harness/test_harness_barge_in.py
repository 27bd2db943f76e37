"""The caller speaks over a real `cartesia-line` program that talks on: what was heard, no more, is its history."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cordboard.line.records import CallRecord
from cordboard.line.voices.tones import WORD_GAP, WORD_SECONDS

from ..line_peer import LOUD, SILENCE, calling
from .real_agent import assistant, program, run, speak

SAID = [f"word{number}." for number in range(200)]
"""What the program says, a sentence a word, four times as fast as it is spoken."""

TALKER = f"""
import asyncio
from line import *

class Talker:
    async def process(self, env, event):
        if isinstance(event, CallStarted):
            for word in {SAID}:
                yield AgentSendText(text=word + " ")
                await asyncio.sleep(0.06)
        elif isinstance(event, UserTurnEnded):
            seen = [e.content for e in event.history if isinstance(e, AgentTextSent)]
            yield AgentSendCustom(metadata={{"heard": seen}})
            yield AgentSendText(text="I see.")

async def get_agent(env, request):
    return Talker(), [CallStarted, UserTurnEnded, CallEnded], []  # an interruption does not stop it

VoiceAgentApp(get_agent).run()
"""


def last_said(record: CallRecord) -> int:
    """Number of the last word that the program sent."""
    messages = (item.message for item in record.agent_messages if item.direction == "in")
    words = [str(message["content"]) for message in messages if message["type"] == "message"]
    return max(SAID.index(word.strip()) for word in words if word.strip() in SAID)


def test_history_holds_only_what_was_spoken_and_late_words_are_dropped(python: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(TALKER)

    async def test() -> None:
        async with program(tmp_path / "main.py", python, "stop", "again") as server, calling(server) as peer:
            await peer.start()
            for _ in range(6):
                await peer.until("turn_output_text_delta")
            await peer.audio(LOUD, 10)
            told = (await assistant(peer))["text"].split()
            record = server.calls[0]
            before = last_said(record)
            while last_said(record) < before + 5:  # noqa: ASYNC110 - the program talks on, which nobody tells
                await asyncio.sleep(0.01)
            await peer.audio(SILENCE, 40)
            custom, _ = await peer.until("custom")
            heard = " ".join(custom["metadata"]["heard"]).split()
            assert (await assistant(peer))["text"] == "I see."
            await speak(peer)
            custom, _ = await peer.until("custom")
            later = " ".join(custom["metadata"]["heard"]).split()
            assert (await assistant(peer))["text"] == "I see."
        first = next(item.at for item in record.messages if item.message.get("event") == "media_output")
        clear = next(item.at for item in record.messages if item.message.get("event") == "clear")
        assert record.events("out").count("clear") == 1
        assert heard == told == SAID[: len(heard)]
        assert abs(len(heard) - (clear - first) / (WORD_SECONDS + WORD_GAP)) <= 1.0
        assert later == [*heard, "I", "see."]

    run(test())
