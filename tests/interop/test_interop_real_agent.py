"""A real `cartesia-line` program behind the edge: a caller speaks, pocketsphinx understands, the agent's tool acts.

All is real: baresip as the phones, `cordboard edge`, `cordboard line` with the sample agent and its grammar. What the
caller says comes from espeak-ng.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cordboard.demo.stage import CONSULT as CONSULT_NUMBER
from cordboard.media.energy import VoiceActivity
from cordboard.media.prompt import change_rate
from cordboard.media.samples import Samples
from cordboard.media.wav import read_wav

from .baresip import Baresip
from .conftest import Run
from .edge_stage import EdgeStage, judge, whats
from .peers import PATIENCE, RATE, ROOT, longest, require, silence, stretches, tone

pytestmark = pytest.mark.interop

PROGRAM = ROOT / "samples" / "agents" / "front_desk" / "main.py"
CALLER, CONSULT = 600.0, 900.0

START_LIMIT = 50.0
"""Seconds for the program to be healthy, its environment already made."""

FALLS_SILENT = 1.0
"""Seconds from the caller's first sound to the agent's last: 40 ms to be sure of a voice, 200 ms on the way, and what
two busy cores take."""


class AgentStage(EdgeStage):
    """An edge whose agent is the sample program behind `cordboard line`."""

    async def _start_line(self) -> None:
        words = ["line", "--port", str(self._line_port), "--data-dir", str(ROOT / "var")]
        await self._start("line", [*words, "--agent", str(PROGRAM), "--ear", str(PROGRAM.parent / "front_desk.jsgf")])
        try:
            async with asyncio.timeout(START_LIMIT):
                while "listening on" not in self.line_log:  # noqa: ASYNC110 - a log tells nobody
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"the stand-in does not listen:\n{self.line_log}") from None

    async def line_says(self, text: str, since: int) -> None:
        """Until that stands in the stand-in's log, after that many characters."""
        try:
            async with asyncio.timeout(PATIENCE):
                while text not in self.line_log[since:]:  # noqa: ASYNC110 - a log tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"no {text!r} in\n{self.line_log[since:]}") from None

    async def recording(self, place: Path) -> Path:
        """The call's finished recording."""
        async with asyncio.timeout(PATIENCE):
            while not (path := place / "recording.wav").exists():  # noqa: ASYNC110 - a folder tells nobody
                await asyncio.sleep(0.05)
        return path

    @property
    def line_log(self) -> str:
        """What the stand-in and the agent's program printed."""
        return (self.out / "line.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def stage(loop_runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentStage]:
    """The edge and its agent for the tests of this file."""
    require("espeak-ng")
    stage = AgentStage(tmp_path_factory.mktemp("agent"))
    loop_runner.run(stage.__aenter__())
    try:
        loop_runner.run(stage.agent("front_desk"))
        yield stage
    finally:
        loop_runner.run(stage.__aexit__(None, None, None))
    assert stage.left_over() == []


async def speech(text: str) -> Samples:
    """What espeak-ng says, as a phone sends it; the voice and speed are those of the stand-in's agents, too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        words = "-v", "en", "-s", "175", "-w", str(path), text
        process = await asyncio.create_subprocess_exec(require("espeak-ng"), *words)
        assert await process.wait() == 0
        wav = read_wav(path)
    return change_rate(wav.mono(), wav.rate, RATE)


def test_transfer_me_please_rings_the_consult_phone(run: Run, stage: AgentStage, folder: Path) -> None:
    async def body() -> None:
        stage.know_all()
        says = silence(3.0), await speech("transfer me please"), silence(4.5), tone(CALLER, 30)
        async with (
            Baresip(folder, np.concatenate(says), user="caller") as caller,
            Baresip(
                folder, tone(CONSULT, 30), user=CONSULT_NUMBER, answer="manual", sip_port=stage.consult_port
            ) as desk,
        ):
            await caller.command("dial", stage.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            await desk.event("CALL_INCOMING")
            await desk.command("accept")
            await desk.event("CALL_ESTABLISHED")
            await asyncio.sleep(4.0)  # they talk
            await desk.command("hangup")
            await caller.event("CALL_CLOSED", within=2)
        assert "the caller says 'transfer me please'" in stage.line_log
        assert longest(stretches(caller.heard()), f"{CONSULT:.0f}") > 1.5
        assert longest(stretches(desk.heard()), f"{CALLER:.0f}") > 1.0
        record, place = await stage.record()
        judge(record, place, "consult.hangup")
        assert whats(place, "command").count("call.dial") == 1

    run(body())


def test_an_interrupted_agent_falls_silent_and_its_transcript_ends_where_the_wav_does(
    run: Run, stage: AgentStage, folder: Path
) -> None:
    async def body() -> None:
        stage.know_all()
        before = len(stage.line_log)
        says = silence(3.2), await speech("when is breakfast"), silence(30.0)
        async with Baresip(folder, np.concatenate(says), user="caller") as caller:
            await caller.command("dial", stage.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            await stage.line_says("garden room", before)
            await asyncio.sleep(1.0)  # the answer is being spoken
            await caller.command("hangup")
            await caller.event("CALL_CLOSED", within=2)
        record, place = await stage.record()
        judge(record, place, "caller.hangup")
        wav = read_wav(await stage.recording(place))
        said, played = (wav.samples[:, channel] for channel in (0, 1))
        spoke = first_sound(said, wav.rate)
        begun = first_sound(played, wav.rate)
        stopped = last_sound_before_pause(played, wav.rate, since=spoke)
        assert 0.0 < stopped - spoke < FALLS_SILENT
        lines = [json.loads(line) for line in (place / "transcript.jsonl").read_text("utf-8").splitlines()]
        greeting = next(line for line in lines if line["role"] == "agent")
        assert greeting["interrupted"] is True
        heard = greeting["heard"].split()
        log = stage.line_log[before:]
        greeted, *_ = re.findall(r'<- [^\n]*Agent said: "([^\n]*)"', log)
        assert greeted.split()[: len(heard)] == heard, "only what was said, from its begin"
        begins = await word_begins(greeted)
        spoken = sum(begin < stopped - begun for begin in begins)
        assert abs(len(heard) - spoken) <= 1, (heard, begins, stopped - begun)
        history = re.findall(r'-> [^\n]*Agent said: "(\S+)"', log.split("User started speaking")[0])
        assert abs(len(history) - len(heard)) <= 1
        assert greeted.split()[: len(history)] == history
        assert log.count("→ clear") == 1
        assert [line["text"] for line in lines if line["role"] == "caller"] == ["when is breakfast"]

    run(body())


def first_sound(sound: Samples, rate: int) -> float:
    """Seconds to where somebody begins to speak."""
    started, *_ = VoiceActivity(rate).process(sound)
    return started.sample / rate


def last_sound_before_pause(sound: Samples, rate: int, since: float) -> float:
    """Seconds to where the voice that speaks at `since` ends for longer than between two sentences."""
    events = VoiceActivity(rate, release_ms=500).process(sound)
    return next(event.sample / rate for event in events if event.kind == "stopped" and event.sample / rate > since)


async def word_begins(text: str) -> list[float]:
    """Seconds to where each word begins, as espeak-ng speaks all that comes before it."""
    begins, base = [], 0.0
    for sentence in re.split(r"(?<=[.?!])\s+", text):
        words = sentence.split()
        for count in range(len(words)):
            sound = await speech(" ".join(words[:count])) if count else silence(0.0)
            loud = np.flatnonzero(np.abs(sound) > 300)
            begins.append(base + (float(loud[-1]) / RATE if loud.size else 0.0))
        base += (await speech(sentence)).size / RATE
    return begins
