"""The outbound sample in virtual time: it dials, the agent speaks when somebody picks up."""

import pytest

from cordboard.testing import Edge, SessionView

pytestmark = pytest.mark.cordboard(scenario="reminder")

CALLEE = "+15551230000"


@pytest.fixture
def session(edge: Edge) -> SessionView:
    edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a", PSTN_CALLER_ID="+15550001111")
    return edge.start("reminder", to=CALLEE, name="Mina")


def test_who_picks_up_hears_the_agent(edge: Edge, session: SessionView) -> None:
    callee = edge.dialed(CALLEE)
    edge.advance(5)
    callee.answer()
    assert callee.agent.started["metadata"]["name"] == "Mina"
    assert callee.hears(callee.agent)
    callee.hangup()
    assert session.cause == "callee.hangup"


def test_who_is_busy_is_not_called_again(edge: Edge, session: SessionView) -> None:
    edge.dialed(CALLEE).refuse(486)
    edge.advance(1)
    assert session.cause == "callee.failed"
