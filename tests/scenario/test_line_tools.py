"""The line_tools sample, whole calls in virtual time: what an agent's POST to the control URL does to the call."""

from typing import Any

import pytest

from cordboard.testing import Edge

pytestmark = pytest.mark.cordboard(template="samples/functions/template.yaml", scenario="line-tools")

SALES = "+15550002222"


@pytest.fixture
def desk(edge: Edge) -> Edge:
    edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a", PSTN_CALLER_ID="+15550001111", TRANSFER_SALES=SALES)
    return edge


def test_digits_of_the_agent_are_pressed_on_the_call(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    assert caller.control({"action": "send_dtmf", "digits": "12#"}).json() == {"ok": True}
    desk.advance(2)
    assert caller.digits == "12#"
    caller.hangup()


def test_a_transfer_goes_to_the_number_of_a_name(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    assert caller.control({"action": "call_transfer", "to": "sales"}).json() == {"ok": True}
    consult = desk.dialed(SALES)
    consult.answer()
    assert caller.hears(consult)
    assert consult.hears(caller)
    assert not caller.agent.connected
    consult.hangup()
    desk.advance(1)
    assert caller.state == "ended"


def test_the_farewell_is_heard_out(desk: Edge) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    caller.agent.says("goodbye", seconds=2)
    caller.control({"action": "end_call"})
    desk.advance(1)
    assert caller.state != "ended"
    desk.advance(3)
    assert caller.state == "ended"
    assert caller.heard == ["goodbye"]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"action": "call_transfer", "to": "+442071234567"}, "to must be a name, such as sales"),
        ({"action": "call_transfer", "to": "legal"}, "nobody is called 'legal' here"),
        ({"action": "call_transfer", "to": ["sales"]}, "to must be a name, such as sales"),
        ({"action": "send_dtmf"}, "digits must be 1 to 64 of 0-9, * and #"),
        ({"action": "send_dtmf", "digits": "1p2"}, "digits must be 1 to 64 of 0-9, * and #"),
        ({"action": "sing"}, "unknown action 'sing'"),
    ],
)
def test_what_cannot_be_done_is_told_to_the_agent_and_the_call_goes_on(
    desk: Edge, request_: dict[str, Any], error: str
) -> None:
    caller = desk.call("+15551234567", to="+18005550100")
    reply = caller.control(request_)
    assert (reply.status, reply.json()) == (422, {"ok": False, "error": error})
    assert caller.agent.connected
    caller.hangup()
