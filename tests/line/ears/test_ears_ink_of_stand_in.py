"""Both of Ink's ears at the stand-in's own sockets, which hear by pocketsphinx: two ends, one wire, real speech."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from cordboard.line.ears.ear import Ears
from cordboard.line.ears.ink import InkEars
from cordboard.line.ears.ink_turns import InkTurnsEars
from cordboard.line.ears.sphinx import SphinxEars
from cordboard.line.ears.turns import energy
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentUrl
from cordboard.line.script import parse
from cordboard.line.server import LineServer

from .fake_ink import KEY, run
from .speech import spoken

GRAMMAR = Path(__file__).parents[3] / "samples" / "agents" / "front_desk" / "front_desk.jsgf"
LIMIT = 20.0


@pytest.mark.parametrize("kind", [InkEars, InkTurnsEars])
def test_speech_crosses_the_stand_ins_socket(kind: type[InkEars] | type[InkTurnsEars]) -> None:
    async def test() -> None:
        harness = Harness(AgentUrl("http://127.0.0.1:1"), SphinxEars(GRAMMAR))
        script = parse('[speech]\nengine = "tones"\n[agents.a]\n', Path())
        server = LineServer(script, "127.0.0.1", 0, seed=1, harnesses={"a": harness})
        async with asyncio.timeout(LIMIT):
            await server.start()
            try:
                ears: Ears = kind(KEY, f"ws://127.0.0.1:{server.port}")
                assert await heard(ears, "transfer me please", "goodbye") == ["transfer me please", "goodbye"]
            finally:
                await server.close()

    run(test())


async def heard(ears: Ears, *sentences: str) -> list[str]:
    """What a call with these ears hears, in the pace of a call without its waiting."""
    ear = ears.open(8000)
    turns = ear.turns or energy(8000, -40.0)
    pause = np.zeros(8000, np.int16)
    sound = np.concatenate([pause, *(part for each in sentences for part in (spoken("flite-slt", each), pause))])
    texts: list[str] = []
    at = 0
    while len(texts) < len(sentences):
        frame = sound[at : at + 160] if at < sound.size else pause[:160]
        at += 160
        ear.receive_audio(frame)
        for event in turns.process(frame):
            if event.kind == "started":
                ear.start()
            else:
                texts.append(await ear.finish())
        await asyncio.sleep(0 if at < sound.size else 0.005)
    await ear.close()
    return texts
