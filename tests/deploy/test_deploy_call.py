"""The artefacts of `sam build`, run by the host of this machine, take a call: `sam local` without Docker."""

import asyncio
import json
import shutil
from pathlib import Path

from cordboard.demo.stage import CALLER, Stage
from cordboard.hosts.template import read_template
from cordboard.phone.softphone import Softphone

PATIENCE = 20.0
TELL = '\nimport sys\nprint("handlers import", __file__, file=sys.stderr)\n'


async def take_a_call(template: Path, out: Path) -> None:
    async with Softphone(user=CALLER) as phone, Stage(out, template, ("127.0.0.1", 9)) as stage:
        call = await phone.call(stage.target)
        await call.wait_answered(PATIENCE)
        await call.hears_voice(PATIENCE)
        call.hangup()
        await call.wait_ended(PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while not (records := list(stage.data.glob("calls/*/record.json"))):  # noqa: ASYNC110 - files say no word
                await asyncio.sleep(0.05)
    record = json.loads(records[0].read_text())
    assert (record["cause"], record["scenario"]) == ("caller.hangup", "line-agent")
    assert record["invocations"] >= 2


def test_the_built_artefacts_take_a_call_with_the_built_layer(built: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(built.parent, tmp_path / "built") / built.name
    for module in ("scenario/session.py", "contract/records.py"):
        with (read_template(copy)[0].layers[0] / "cordboard" / module).open("a") as file:
            file.write(TELL)
    asyncio.run(take_a_call(copy, tmp_path))
    told = [line for line in (tmp_path / "edge.log").read_text().splitlines() if "handlers import" in line]
    assert {line.rpartition("/")[2].partition(" ")[0] for line in told} == {"session.py", "records.py"}
    assert all("/cordboard-release-" in line for line in told)
