"""The managed_tools sample in virtual time: an agent calls its tools, and the caller hears it out."""

import pytest

from cordboard.testing import Edge, Leg, ToolRefused

pytestmark = pytest.mark.cordboard(scenario="managed-agent")


@pytest.fixture
def caller(edge: Edge) -> Leg:
    edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a")
    return edge.call("+15551234567", to="+18005550100")


def test_the_agent_finds_a_table(caller: Leg) -> None:
    assert caller.agent.calls_tool("find_table", day="friday", seats=4) == {"slots": ["19:30"]}
    with pytest.raises(ToolRefused, match="offer a call back"):
        caller.agent.calls_tool("find_table", day="friday", seats=20)


def test_the_farewell_is_heard_out(edge: Edge, caller: Leg) -> None:
    caller.agent.says("See you on Friday!", seconds=2)
    assert caller.agent.calls_tool("end_call") == "ok"
    edge.advance_until(lambda: caller.state == "ended", at_most=5)
    assert caller.heard_text() == "See you on Friday!"


@pytest.mark.cordboard(seeds=5, lost_answers=0.2, duplicate_invocations=0.2)
def test_the_call_ends_whatever_is_lost(edge: Edge, caller: Leg) -> None:
    caller.agent.calls_tool("end_call")
    edge.advance_until(lambda: caller.state == "ended", at_most=30)
