"""The handlers' page on late functions: its example is a scenario, and does what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.testing.project import write

from cordboard.testing import Edge

PAGE = Path(__file__).parents[2] / "docs" / "handlers.md"
PRELUDE = """
import asyncio

from cordboard.scenario import (
    AppEvents, Cartesia, Fallback, Patience, Scenario, Session, VoxEngine, WebSocketEvents, events)


async def slow() -> str:
    await asyncio.sleep(SECONDS)
    return "We are sorry."


async def apology(session: Session[None]) -> str:
    return await session.once("apology", slow)


"""
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Desk:
    Type: AWS::Serverless::Function
    Properties: {Handler: desk.handler, CodeUri: functions/, Timeout: 10}
"""
CONFIG = '[dial]\nallow = ["+1*"]\n[[routes]]\nto = "*"\nscenario = "desk"\n'


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """The page's example, whose apology takes the seconds of the test's mark."""
    section = PAGE.read_text("utf-8").partition("\n## When a function is late\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    code = PRELUDE.replace("SECONDS", str(request.param)) + block + "\nhandler = scenario.lambda_handler()\n"
    write(tmp_path, {"functions/desk.py": code, "template.yaml": TEMPLATE, "cordboard.toml": CONFIG})
    edge = Edge(tmp_path / "template.yaml")
    edge.keys(CARTESIA_API_KEY="k")
    yield edge
    edge.advance(45)
    edge.verify()
    edge.close()


@pytest.mark.parametrize("desk", [0.2], indirect=True)
def test_a_function_in_time(desk: Edge) -> None:
    caller = desk.call("+15551234567", "desk")
    assert caller.state == "answered"
    caller.agent.drops()
    desk.advance(3)
    assert caller.heard == ["We are sorry."]
    caller.hangup()


@pytest.mark.parametrize("desk", [4.0], indirect=True)
def test_a_function_that_is_late(desk: Edge) -> None:
    caller = desk.call("+15551234567", "desk")
    caller.agent.drops()
    desk.advance(6)
    assert caller.heard == ["One moment please.", "We are sorry."]
    caller.hangup()


@pytest.mark.parametrize("desk", [9.0], indirect=True)
def test_a_function_that_is_too_late(desk: Edge) -> None:
    caller = desk.call("+15551234567", "desk")
    caller.agent.drops()
    desk.advance(6)
    other = desk.dialed("+18005550199")
    other.answer()
    assert caller.hears(other)
    other.hangup()
    desk.advance(1)
    assert caller.session.cause == "fallback.hangup"


@pytest.mark.parametrize("desk", [0.2], indirect=True)
def test_an_agent_that_never_acknowledges_costs_nothing(desk: Edge) -> None:
    desk.simulation.service.manners.reachable = False
    caller = desk.call("+15551234567", "desk")
    desk.advance(1)
    assert caller.code == 480
    assert caller.session.cause == "agent.error"
