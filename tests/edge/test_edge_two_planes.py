"""Two media planes with a call each: one is killed, and the other's caller does not notice (DESIGN §1)."""

import asyncio
import os
import signal
from pathlib import Path

from cordboard.demo.stage import CALLER, Stage
from cordboard.phone.softphone import Softphone

ROOT = Path(__file__).parent.parent.parent


def plane_process(stage: Stage, index: int) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().decode(errors="replace").split("\0")
        ours = "cordboard.edge.media" in words and str(stage.data) in " ".join(words)
        if ours and words[words.index("--plane") + 1] == str(index):
            return int(path.parent.name)
    raise AssertionError(f"no process of plane {index}")


async def story(out: Path) -> None:
    async with (
        Softphone(user=CALLER) as first,
        Softphone(user="+15557654321") as second,
        Stage(out, ROOT / "template.yaml", first.address, planes=2) as stage,
    ):
        calls = [await phone.call(stage.target) for phone in (first, second)]
        for call in calls:
            await call.wait_answered(10)
            await call.hears_voice(8)
        os.kill(plane_process(stage, 0), signal.SIGKILL)
        ends = [asyncio.create_task(call.wait_ended()) for call in calls]
        done, waiting = await asyncio.wait(
            ends, timeout=15, return_when=asyncio.FIRST_COMPLETED
        )  # DESIGN §1 promises it
        for task in waiting:
            task.cancel()
        assert len(done) == 1
        lost, other = sorted(calls, key=lambda call: not call.over)
        assert (lost.ended_by, lost.ended_count) == ("them", 1)
        assert not other.over
        await other.hears_voice(3, since=asyncio.get_running_loop().time())
        other.hangup()
        await other.wait_ended(5)


def test_the_other_planes_call_goes_on(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
