"""Players through every process: files, tones and speech, heard by a phone on the wire."""

import asyncio
import json
from pathlib import Path

from tests.edge.tones_heard import changes, tones_of

from cordboard.demo.stage import CALLER, Stage
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.line.voices.tones import word_frequency
from cordboard.media.samples import Samples
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav, write_pcm16
from cordboard.phone.softphone import Softphone

HERE = Path(__file__).parent
SCRIPT = """
[speech]
engine = "tones"
[agents.drone]
greeting = {tone = {hz = 660, seconds = 20}}
barge_in = false
"""


class PlayerStage(Stage):
    """The stand-in runs in the test and speaks without end; the prompts' folder holds a tone at 44.1 kHz."""

    line: LineServer

    async def _start_line(self) -> None:
        folder = self.out / "prompts"
        folder.mkdir()
        write_pcm16(folder / "tone.wav", sine(1000.0, 0.5, 44_100), 44_100)
        self.line = LineServer(parse(SCRIPT, self.out), "127.0.0.1", self._line_port)
        await self.line.start()


def of_call(stage: Stage, name: str) -> bytes:
    [folder] = list((stage.data / "calls").iterdir())
    return (folder / name).read_bytes()


async def story(out: Path) -> None:
    async with Softphone(user=CALLER) as phone:
        stage = PlayerStage(out, HERE / "players" / "template.yaml", phone.address, "players")
        async with stage:
            await stage.put_key("CARTESIA_AGENT_ID", "drone")
            call = await phone.call(stage.target)
            await call.wait_answered(10)
            await call.wait_ended(25)
            assert (call.ended_by, call.ended_count) == ("them", 1)
        await stage.line.close()
    check(call.heard(), json.loads(of_call(stage, "timeline.json"))["entries"])
    record = json.loads(of_call(stage, "record.json"))
    sent = sum(entry["sent"] + entry["padded"] for entry in record["ledger"] if entry["sink"].endswith("/caller"))
    assert sent == record["figures"]["legs"]["caller"]["rtp_samples_sent"] == call.rtp_samples_received
    recorded = read_wav(stage.data / "calls" / record["session"] / "recording.wav").mono()
    assert {660, 1000, 1800} <= set(tones_of(recorded))


def check(sound: Samples, timeline: list[dict[str, str]]) -> None:
    heard = tones_of(sound)
    spoken = round(word_frequency("nevermore"), -1)
    assert changes(sound)[:5] == [660, 1000, 660, 1800, spoken]
    assert heard[-1] == 0, "speech is no tone, and nothing comes back before the hang-up"
    what = [entry["what"] for entry in timeline]
    assert "beeped" in what
    assert "spoken" in what
    assert any(entry["what"] == "missing" and "prompts folder" in str(entry) for entry in timeline)
    assert "playout cut" not in what


def test_a_phone_hears_files_tones_and_speech_over_its_agent(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
