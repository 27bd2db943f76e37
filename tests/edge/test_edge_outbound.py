"""An outbound call as an operator starts it: `cordboard calls start`, a real edge, the stand-in, a phone that rings."""

import asyncio
import json
from pathlib import Path

from cordboard.demo.stage import CONSULT, OUR_NUMBER, Stage
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.phone.softphone import Softphone

TEMPLATE = Path(__file__).parents[2] / "samples" / "functions" / "template.yaml"
TONE = 660.0
SCRIPT = f"""
[speech]
engine = "tones"
[agents.drone]
greeting = {{tone = {{hz = {TONE}, seconds = 20}}}}
barge_in = false
"""


class OutboundStage(Stage):
    """The stand-in runs in the test; `cordboard` runs as its users run it."""

    line: LineServer
    token = ""

    async def _start_line(self) -> None:
        self.line = LineServer(parse(SCRIPT, self.out), "127.0.0.1", self._line_port)
        await self.line.start()

    async def cordboard(self, *words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *self._cordboard(words), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env={"CORDBOARD_TOKEN": self.token, "NO_COLOR": "1"},
        )  # fmt: skip
        output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode().strip(), errors.decode()


async def story(out: Path) -> None:
    async with Softphone(user=CONSULT) as phone:
        stage = OutboundStage(out, TEMPLATE, phone.address, "survey")
        async with stage:
            await stage.put_key("CARTESIA_AGENT_ID", "drone")
            _, stage.token, _ = await stage.cordboard(
                "tokens", "create", "--scope", "start", "--scope", "read", "--scope", "control"
            )
            code, id_, errors = await stage.cordboard(
                "calls", "start", "reminder", "--data", f"to={CONSULT}", "--data", "name=Mina"
            )
            assert (code, errors) == (0, "")
            call = await phone.incoming(10)
            call.answer()
            await call.hears_tone(TONE, within=10)
            code, _, errors = await stage.cordboard("calls", "hangup", id_[:10])
            assert (code, errors) == (0, f"{id_} is ending\n")
            await call.wait_ended(10)
            assert (call.ended_by, call.ended_count) == ("them", 1)

            waiting = asyncio.create_task(
                stage.cordboard("calls", "start", "reminder", "--data", f"to={CONSULT}", "--wait", "--json")
            )
            (await phone.incoming(10)).reject(486)
            code, output, _ = await waiting
        await stage.line.close()
    assert code == 1, "whose fault it was is told by the exit code"
    assert json.loads(output)["cause"] == "callee.failed"
    assert json.loads(output)["legs"][0]["code"] == 486
    record = json.loads((stage.data / "calls" / id_ / "record.json").read_bytes())
    assert (record["cause"], record["from"], record["to"]) == ("operator.terminate", OUR_NUMBER, CONSULT)
    [cord] = [each for each in record["ledger"] if each["sink"].endswith("/callee")]
    assert cord["sent"] > 0
    secret = stage.token.rpartition("_")[2].encode()
    for path in stage.out.rglob("*"):
        assert path.is_dir() or secret not in path.read_bytes(), f"{path} holds the token"


def test_an_operator_lets_an_agent_call_somebody(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
