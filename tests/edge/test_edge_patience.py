"""A late function through every process: what a phone on the wire hears meanwhile."""

import asyncio
import json
from pathlib import Path

from tests.edge.tones_heard import changes

from cordboard.demo.stage import CALLER, Stage
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.media.tones import sine
from cordboard.media.wav import write_pcm16
from cordboard.phone.softphone import Softphone

HERE = Path(__file__).parent
SCRIPT = """
[agents.drone]
greeting = {tone = {hz = 660, seconds = 20}}
barge_in = false
"""
COMFORT, PROMPT, AGENT, LAST = 400, 1000, 660, 1500


class LateStage(Stage):
    """The stand-in runs in the test and speaks without end; the prompts' folder holds two tones."""

    line: LineServer

    async def _start_line(self) -> None:
        folder = self.out / "prompts"
        folder.mkdir()
        write_pcm16(folder / "tone.wav", sine(float(PROMPT), 0.5, 8000), 8000)
        write_pcm16(folder / "last.wav", sine(float(LAST), 0.5, 8000), 8000)
        self.line = LineServer(parse(SCRIPT, self.out), "127.0.0.1", self._line_port)
        await self.line.start()


async def story(out: Path) -> None:
    async with Softphone(user=CALLER) as phone:
        stage = LateStage(out, HERE / "patience" / "template.yaml", phone.address, "late")
        async with stage:
            await stage.put_key("CARTESIA_AGENT_ID", "drone")
            call = await phone.call(stage.target)
            await call.wait_answered(10)
            await call.wait_ended(25)
            assert (call.ended_by, call.ended_count) == ("them", 1)
        await stage.line.close()
    tones = [hz for hz in changes(call.heard()) if hz]
    assert tones == [COMFORT, PROMPT, COMFORT, AGENT, COMFORT, PROMPT, COMFORT, LAST]
    [folder] = list((stage.data / "calls").iterdir())
    record = json.loads((folder / "record.json").read_bytes())
    assert (record["cause"], record["fault"]) == ("handler.late", "function")
    sent = sum(entry["sent"] + entry["padded"] for entry in record["ledger"] if entry["sink"].endswith("/caller"))
    assert sent == record["figures"]["legs"]["caller"]["rtp_samples_sent"] == call.rtp_samples_received
    timeline = json.loads((folder / "timeline.json").read_bytes())["entries"]
    at = {entry["what"]: entry["at"] for entry in reversed(timeline)}
    answered = at["call.connected:caller"]
    assert at["caller hears the comfort tone"] >= answered + 0.7
    assert at["fallback"] >= answered + 3.0 + 3.8


def test_a_phone_hears_tone_prompt_and_fallback_of_a_late_function(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
