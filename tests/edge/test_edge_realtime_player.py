"""A realtime player through every process: edge, plane, the stand-in's Sonic in a process of its own, a phone."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.edge.tones_heard import changes

from cordboard.demo.stage import CALLER, Stage
from cordboard.line.voices.tones import word_frequency
from cordboard.phone.call import PhoneCall
from cordboard.phone.softphone import Softphone

HERE = Path(__file__).parent
AGENT = 660
SPOKEN = [round(word_frequency(word), -1) for word in ("nevermore", "tomorrow", "yesterday")]
SCRIPT = f"""
[speech]
engine = "tones"
[agents.drone]
greeting = {{tone = {{hz = {AGENT}, seconds = 30}}}}
barge_in = false
"""
WRONG = "a-key-that-nobody-knows"


class RealtimeStage(Stage):
    """The stand-in takes one key alone and speaks in tones."""

    def __init__(self, out: Path, phone: tuple[str, int]) -> None:
        (out / "script.toml").write_text(SCRIPT)
        (out / "key").write_text("demo-key\n")
        options = ("--script", str(out / "script.toml"), "--api-key-file", str(out / "key"))
        super().__init__(out, HERE / "players" / "template.yaml", phone, "realtime", line=options)

    def sockets(self) -> int:
        """The plane's open connections to the stand-in, as the kernel counts them."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        here = {f"socket:[{line[9]}]" for line in lines if line[2].endswith(f":{self._line_port:04X}")}
        held = []
        for file in Path(f"/proc/{self.plane()}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                held.append(os.readlink(file))
        return len(here & set(held))

    async def has_sockets(self, count: int) -> None:
        deadline = asyncio.get_running_loop().time() + 10
        while self.sockets() != count:
            assert asyncio.get_running_loop().time() < deadline, f"{self.sockets()} sockets, not {count}"
            await asyncio.sleep(0.02)

    def plane(self) -> int:
        """The media plane's process."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().decode().split("\0")
                if "cordboard.edge.media" in words and str(self.data / "run") in words:
                    return int(path.parent.name)
        raise LookupError("no plane")


async def spoken(stage: RealtimeStage, phone: Softphone) -> None:
    call = await phone.call(stage.target)
    await call.wait_answered(10)
    await call.wait_ended(25)
    assert changes(call.heard()) == [AGENT, *SPOKEN, AGENT]


async def refused(stage: RealtimeStage, phone: Softphone) -> None:
    call = await phone.call(stage.target, headers=[("X-Key", "WRONG_KEY")])
    await call.wait_answered(10)
    await call.wait_ended(25)
    assert changes(call.heard()) == [AGENT], "the agent is not even interrupted"


async def cut_off(stage: RealtimeStage, phone: Softphone, how: Callable[[PhoneCall], None]) -> None:
    """A call that ends while Sonic speaks."""
    call = await phone.call(stage.target, headers=[("X-More", "yes")])
    await call.wait_answered(10)
    await stage.has_sockets(2)
    how(call)
    await call.wait_ended(10)


async def story(out: Path) -> None:
    async with Softphone(user=CALLER) as phone, RealtimeStage(out, phone.address) as stage:
        await stage.put_key("CARTESIA_AGENT_ID", "drone")
        await stage.put_key("WRONG_KEY", WRONG, secret=True)
        await asyncio.gather(spoken(stage, phone), refused(stage, phone))
        await stage.has_sockets(0)
        await cut_off(stage, phone, PhoneCall.hangup)
        await stage.has_sockets(0)
        await cut_off(stage, phone, lambda call: os.kill(stage.plane(), signal.SIGKILL))
    timelines = [path.read_text() for path in stage.data.glob("calls/*/timeline.jsonl")]
    [told] = [text for text in timelines if "player.failed" in text]
    assert "HTTP 401; is the API key right?" in told
    assert not any("demo-key" in text or WRONG in text for text in timelines)


def test_a_phone_hears_what_sonic_is_given_and_its_agent_again(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
