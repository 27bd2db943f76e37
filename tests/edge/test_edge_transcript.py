"""Real calls over real sockets, recorded: the transcript stops where the wav stops. The agent's words are tones, one
for each word, so that the wav itself tells which were heard."""

import asyncio
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from cordboard.contract.codec import decode
from cordboard.contract.transcript import TranscriptEntry
from cordboard.demo.stage import CALLER, Stage
from cordboard.line.script import load
from cordboard.line.server import LineServer
from cordboard.line.voices.tones import WORD_GAP, WORD_SECONDS, word_frequency
from cordboard.media.analysis import tone_share
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav
from cordboard.phone.softphone import Softphone

ROOT = Path(__file__).parent.parent.parent
TEXT = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa"
GREETING = TEXT.split()
SCRIPT = "".join(
    f'[agents.{name}]\ndelivery = "{delivery}"\ngreeting = "{TEXT}"\n'
    for name, delivery in (("pace", "speaking_pace"), ("ahead", "as_available"))
)
SLOT = WORD_SECONDS + WORD_GAP
PATIENCE = 20.0


class Edge(Stage):
    """The demo's processes, with the stand-in for the service in the test's loop."""

    def __init__(self, out: Path, template: Path) -> None:
        super().__init__(out, template, ("127.0.0.1", 9))
        script = out / "agents.toml"
        script.write_text(f'[speech]\nengine = "tones"\n{SCRIPT}', encoding="utf-8")
        self._service = LineServer(load(script), "127.0.0.1", self._line_port)

    async def _start_line(self) -> None:
        await self._service.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._service.close()

    async def __aenter__(self) -> Self:
        return await super().__aenter__()


async def call_is_cut(edge: Edge, caller: Softphone, agent: str, cut: str, after: float) -> Path:
    """The folder of a call whose greeting is cut short: by the caller's voice, or because the caller hangs up."""
    known = set(edge.data.glob("calls/*"))
    await edge.put_key("CARTESIA_AGENT_ID", agent)
    call = await caller.call(edge.target)
    await call.wait_answered(PATIENCE)
    await call.hears_voice(PATIENCE)
    await asyncio.sleep(after)  # the caller listens
    if cut == "voice":
        await call.play(sine(500.0, 0.8, 8000, -12.0))
        await call.hears_silence(0.5, within=5)
    call.hangup()
    await call.wait_ended(PATIENCE)
    async with asyncio.timeout(PATIENCE):
        while True:
            for folder in set(edge.data.glob("calls/*")) - known:
                if (folder / "record.json").exists() and (folder / "recording.wav").exists():
                    return folder
            await asyncio.sleep(0.05)


def words_in(wav: Path) -> int:
    """How many of the greeting's words have begun to sound."""
    sound = read_wav(wav)
    frame = sound.rate // 100
    tones = [word_frequency(word) for word in GREETING]
    begins = []
    for channel in range(sound.channels):
        samples = sound.samples[:, channel]
        windows = [samples[at : at + 4 * frame] for at in range(0, len(samples) - 4 * frame, frame)]
        shares = [tone_share(window, sound.rate, tones[0]) if np.abs(window).max() > 300 else 0 for window in windows]
        begins += [(channel, index) for index, share in enumerate(shares) if share > 0.7][:1]
    (channel, begin), = begins  # fmt: skip
    samples = sound.samples[:, channel]
    count = 0
    for index, hz in enumerate(tones):
        start = begin * frame + round(index * SLOT * sound.rate)
        slot = samples[start : start + round(WORD_SECONDS * sound.rate)]
        loud = slot[np.abs(slot.astype(np.int32)) > 300]
        if loud.size < frame or tone_share(slot, sound.rate, hz) < 0.3:
            break
        count += 1
    return count


def greeting_of(folder: Path) -> TranscriptEntry:
    entries = [json.loads(line) for line in (folder / "transcript.jsonl").read_text(encoding="utf-8").splitlines()]
    (first,) = [decode(TranscriptEntry, entry) for entry in entries if entry["role"] == "agent"][:1]
    return first


EVERY = (("pace", "voice", 0.9), ("ahead", "voice", 1.3), ("ahead", "hang-up", 0.7))


@pytest.mark.parametrize(("version", "cuts"), [("2025-04-16", EVERY), ("2026-08-14", EVERY[1:2])])
def test_the_transcript_of_a_barge_in_stops_where_the_wav_stops(
    tmp_path: Path, version: str, cuts: tuple[tuple[str, str, float], ...]
) -> None:
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", tmp_path)
    shared = tmp_path / "functions" / "line_agent.py"
    text = shared.read_text(encoding="utf-8")
    shared.write_text(text.replace('Final = "2025-04-16"', f'Final = "{version}"'), encoding="utf-8")
    assert f'CARTESIA_VERSION: Final = "{version}"' in shared.read_text(encoding="utf-8")
    found: list[tuple[str, TranscriptEntry, int]] = []

    async def calls() -> None:
        out = tmp_path / "out"
        out.mkdir()
        async with Softphone(user=CALLER) as caller, Edge(out, tmp_path / "template.yaml") as edge:
            for agent, cut, after in cuts:
                folder = await call_is_cut(edge, caller, agent, cut, after)
                found.append((f"{agent} {cut}", greeting_of(folder), words_in(folder / "recording.wav")))

    asyncio.run(calls())
    seen: dict[str, Any] = {}
    for name, entry, sounding in found:
        assert entry.heard is not None
        heard = entry.heard.split()
        seen[name] = (len(heard), sounding)
        assert heard == GREETING[: len(heard)], name
        assert abs(len(heard) - sounding) <= 1, seen
        assert 2 <= sounding < len(GREETING), seen
        assert entry.interrupted, name
        assert not entry.estimated, name
