"""A Managed agent's client tools, through every process: the agent calls, a function answers, the agent reads it."""

import asyncio
import json
from pathlib import Path

from cordboard.demo.stage import CALLER, Stage
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.phone.softphone import Softphone

ROOT = Path(__file__).parent.parent.parent
TOOLS = """
[agents.tools]
greeting = {tone = {hz = 660, seconds = 0.4}}
[[agents.tools.steps]]
tool_call = {name = "find_table", arguments = {day = "friday", seats = 4}, timeout = 8.0}
[[agents.tools.steps]]
tool_call = {name = "find_table", arguments = {day = "friday", seats = 40}, timeout = 8.0}
[[agents.tools.steps]]
tool_call = {name = "find_table", arguments = {day = "friday", seats = "four"}, timeout = 8.0}
[[agents.tools.steps]]
tool_call = {name = "fly", arguments = {}, timeout = 8.0}
[[agents.tools.steps]]
tone = {hz = 880, seconds = 1.0}
[[agents.tools.steps]]
tool_call = {name = "end_call", arguments = {}, timeout = 8.0}
"""


class ToolStage(Stage):
    """The stand-in runs in the test, where its records can be read."""

    line: LineServer

    async def _start_line(self) -> None:
        self.line = LineServer(parse(TOOLS, self.out), "127.0.0.1", self._line_port)
        await self.line.start()


async def story(out: Path) -> None:
    template = ROOT / "samples" / "functions" / "template.yaml"
    async with Softphone(user=CALLER) as phone:
        stage = ToolStage(out, template, phone.address, "managed-agent")
        async with stage:
            await stage.put_key("CARTESIA_AGENT_ID", "tools")
            call = await phone.call(stage.target)
            await call.wait_answered(10)
            await call.wait_ended(25)
            assert (call.ended_by, call.ended_count) == ("them", 1)
            record = stage.line.calls[-1]
            async with asyncio.timeout(5):
                await record.finished.wait()
        await stage.line.close()
    answers = [(each.name, each.is_error, each.error_type, each.result) for each in record.client_tool_results]
    assert [(name, wrong, kind) for name, wrong, kind, _ in answers] == [
        ("find_table", False, ""),
        ("find_table", True, "tool_error"),
        ("find_table", True, "invalid_arguments"),
        ("fly", True, "unknown_tool"),
        ("end_call", False, ""),
    ]
    assert json.loads(answers[0][3]) == {"slots": ["19:30"]}
    assert answers[1][3] == "large parties: offer a call back"
    assert "seats" in answers[2][3]


def test_an_agents_tools_are_functions_and_their_errors_can_be_read(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
