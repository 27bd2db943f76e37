"""The managed_tools sample, in this process and through real workers: its template is read, its tools are called."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.rounds import AGENT, ALERTING, CALLER, Played, Result, invocation, play

from cordboard.contract.records import StepError
from cordboard.hosts.host import SnapshotHost
from cordboard.hosts.in_process import InProcessHost
from cordboard.hosts.workers import WorkerHost
from cordboard.scenario import Stores
from cordboard.storage.sqlite import SqliteStorage

TEMPLATE = Path(__file__).parents[2] / "samples" / "functions" / "template.yaml"


class Desk:
    """The sample on one kind of host."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.storage = SqliteStorage(folder / "storage.db", time.time, is_secret=lambda name: False)
        self.storage.put("CARTESIA_AGENT_ID", "agent_1", None)
        self.host: SnapshotHost = (
            InProcessHost(TEMPLATE, stores=Stores(self.storage))
            if kind == "in_process"
            else WorkerHost(TEMPLATE, environment={"CORDBOARD_STORAGE": f"sqlite:{folder / 'storage.db'}"})
        )
        self.loop = asyncio.Runner()
        self.release = self.loop.run(self.host.start())

    def play(
        self, type_: str, target: str | None, data: dict[str, Any], results: dict[str, Result] | None = None
    ) -> Played:
        async def run(request: dict[str, Any]) -> dict[str, Any]:
            asked = self.release.routing_target("managed-agent", type_, target, data)
            found = self.release.route("managed-agent", type_, asked)
            assert found is not None
            return await self.host.invoke(self.release.id, found[0], request, timeout=found[1].timeout)

        return self.loop.run(play(run, invocation(type_, target, data, objects=(CALLER, AGENT)), results))

    def close(self) -> None:
        self.loop.run(self.host.close())
        self.loop.close()
        self.storage.close()


@pytest.fixture(scope="module", params=["in_process", "workers"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(request.param, tmp_path_factory.mktemp("desk"))
    yield made
    made.close()


def test_the_sample_says_what_its_tools_take(desk: Desk) -> None:
    described = next(found for found in desk.release.functions.values() if found.tools)
    find_table, end_call = described.tools
    assert (find_table.name, end_call.name) == ("find_table", "end_call")
    assert find_table.parameters["required"] == ["day", "seats"]
    assert find_table.parameters["properties"]["room"] == {"enum": ["in", "out"], "default": "in"}


@pytest.mark.parametrize(
    ("name", "parameters", "result", "error_type", "commands"),
    [
        ("find_table", {"day": "Friday", "seats": 4}, '{"slots":["19:30"]}', None, []),
        ("find_table", {"day": "Friday", "seats": 13}, "large parties: offer a call back", "tool_error", []),
        ("end_call", {}, '"ok"', None, ["call.hangup caller"]),
    ],
)
def test_a_client_tool_is_answered(
    desk: Desk, name: str, parameters: dict[str, Any], result: str, error_type: str | None, commands: list[str]
) -> None:
    event = desk.play("agent.tool_call", "agent", {"data": {"id": "tc_8", "name": name, "parameters": parameters}})
    assert event.commands == [*commands, "agent.tool_result agent"]
    args = {"id": "tc_8", "result": result, "is_error": error_type is not None}
    assert event.last.commands[-1].args == (args if error_type is None else args | {"error_type": error_type})
    effects = [entry.type for entry in event.last.journal]
    assert effects == (["once"] if result.startswith("{") else [])


def test_the_same_tool_by_custom_and_by_the_control_url(desk: Desk) -> None:
    arguments = {"day": "Friday", "seats": 4, "room": "out"}
    metadata = {"tool": "find_table", "arguments": arguments, "id": "c1"}
    event = desk.play("agent.custom", "agent", {"data": {"event": "custom", "metadata": metadata}})
    answer = {"tool": "find_table", "id": "c1", "result": {"slots": ["19:30"]}}
    assert event.last.commands[0].args == {"metadata": answer}
    data = {"method": "POST", "path": "/find_table", "verb": "find_table", "content": json.dumps(arguments)}
    reply = desk.play("http.request", None, data).last.reply
    assert reply is not None
    assert (reply.status, json.loads(reply.content())) == (200, {"slots": ["19:30"]})


def test_a_wrong_argument_is_named(desk: Desk) -> None:
    call = {"id": "tc_9", "name": "find_table", "parameters": {"day": "Friday", "seats": "four", "room": "roof"}}
    args = desk.play("agent.tool_call", "agent", {"data": call}).last.commands[0].args
    assert (args["error_type"], "seats: expected a whole number" in args["result"]) == ("invalid_arguments", True)
    assert "room: 'roof' is none of 'in', 'out'" in args["result"]


def test_the_samples_call_is_answered_bridged_and_ended(desk: Desk) -> None:
    alerting = desk.play("call.alerting", "caller", ALERTING)
    assert alerting.commands == ["call.answer caller", "agent.create agent", "media.bridge caller+agent",
                                 "agent.start agent"]  # fmt: skip
    refused = desk.play("call.alerting", "caller", ALERTING, {"agent.create": StepError("connect_failed", "401")})
    assert refused.commands == ["call.answer caller", "agent.create agent", "session.terminate"]
    gone = desk.play("call.disconnected", "caller", {})
    assert gone.commands == ["session.terminate"]
    closed = desk.play("websocket.close", "agent", {"code": 1000, "by": "agent"})
    assert closed.commands == ["call.hangup caller"]
