"""Each example of the handlers' page that plays something is a scenario, and does what the page says of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.testing.project import write

from cordboard.media.wav import write_pcm16
from cordboard.testing import Edge

PAGE = Path(__file__).parents[2] / "docs" / "handlers.md"
PRELUDE = """
from cordboard.scenario import (
    AppEvents, ApplicationStorage, CallEvents, Cartesia, PlayerEvents, Scenario, Session, VoxEngine, events)

scenario = Scenario("desk")
"""
BRIDGED = """
@scenario.on(AppEvents.CallAlerting)
async def bridged(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    agent = await Cartesia.create_agents_client(
        api_key=session.secret("CARTESIA_API_KEY"), agent_id="a", cartesia_version="2025-04-16")
    VoxEngine.send_media_between(event.call, agent)
    agent.start()
"""
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Desk:
    Type: AWS::Serverless::Function
    Properties: {Handler: desk.handler, CodeUri: functions/, Timeout: 10}
"""
NEWS = "https://news.example/latest.wav"


def examples() -> dict[str, str]:
    """The section's examples by the name of their first handler."""
    section = PAGE.read_text("utf-8").partition("\n## Players\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return {next(iter(_functions(block))): block for block in blocks}


def _functions(block: str) -> Iterator[str]:
    return (node.name for node in ast.parse(block).body if isinstance(node, ast.AsyncFunctionDef))


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """An edge whose scenario is the example that a test is named after."""
    block = examples()[request.node.name.partition("_")[2].partition("[")[0].partition("__")[0]]
    code = PRELUDE + ("" if "CallAlerting" in block else BRIDGED) + block + "\nhandler = scenario.lambda_handler()\n"
    config = '[dial]\nallow = ["*"]\n[[routes]]\nto = "*"\nscenario = "desk"\n'
    write(tmp_path, {"functions/desk.py": code, "template.yaml": TEMPLATE, "cordboard.toml": config})
    (tmp_path / "prompts").mkdir()
    for name in ("hold", "welcome"):
        write_pcm16(tmp_path / "prompts" / f"{name}.wav", np.zeros(8000, np.int16), 8000)
    edge = Edge(tmp_path / "template.yaml")
    edge.keys(CARTESIA_API_KEY="k", PSTN_CALLER_ID="+15550001111")
    yield edge
    edge.verify()
    edge.close()


def test_closed(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    desk.advance(5)
    assert (list(caller.heard), caller.state) == (["We are closed today. Goodbye."], "ended")


def test_bring_someone(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    assert caller.hears(caller.agent)
    caller.control({})
    assert caller.hears("One moment, please.")
    assert not caller.hears(caller.agent)
    desk.advance(2)
    assert caller.hears("hold.wav")
    consult = desk.dialed("+18339906144")
    consult.answer()
    assert caller.hears(consult)
    assert consult.hears(caller)
    assert not caller.hears("hold.wav")
    caller.hangup()


def test_bring_someone__who_does_not_answer(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    caller.control({})
    desk.advance(3)
    desk.dialed("+18339906144").refuse()
    assert caller.hears(caller.agent)
    caller.hangup()


def test_ask(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    desk.advance(1.5)
    assert caller.hears("Enter your card number.")
    caller.press("4111111111111111")
    assert caller.hears("Thank you.")
    desk.advance(3)
    assert caller.state == "ended"
    assert list(caller.heard) == ["welcome.wav", "Enter your card number.", "Thank you."]


@pytest.mark.parametrize("there", [True, False])
def test_news(desk: Edge, there: bool) -> None:
    desk.sound(NEWS, 4.0, error="" if there else "404 Not Found")
    caller = desk.call("+15551234567", to="+18005550100")
    desk.advance(2)
    assert list(caller.heard) == [NEWS if there else "There are no news."]
    desk.advance(4)
    assert caller.state == "ended"


def test_read_aloud(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    caller.control({})
    desk.advance(3)
    assert list(caller.heard) == ["Your table is booked ", "for two."]
    assert caller.hears(caller.agent)
    caller.hangup()


def test_read_aloud__where_sonic_does_not_answer(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    assert caller.hears(caller.agent)
    desk.simulation.service.manners.reachable = False
    caller.control({})
    desk.advance(3)
    assert list(caller.heard)[-1] == "Your table is booked for two."
    assert caller.hears(caller.agent)
    caller.hangup()


def test_every_example_is_tried() -> None:
    tried = {name.partition("_")[2].partition("__")[0] for name in globals() if name.startswith("test_")}
    assert set(examples()) <= tried
