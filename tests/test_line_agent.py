import pytest

from cordboard.testing import Edge


def test_agent_transfers_the_caller(edge: Edge) -> None:
    edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a", PSTN_CALLER_ID="+15550001111")
    caller = edge.call("+15551234567", to="+18005550100")
    assert caller.agent.started["metadata"]["from"] == "+15551234567" and caller.hears(caller.agent)
    assert caller.control({"action": "call_transfer"}).json() == {"ok": True}
    consult = edge.dialed("+18339906144")
    consult.answer()
    assert caller.hears(consult) and consult.hears(caller) and not caller.agent.connected
    consult.hangup()
    assert (caller.state, caller.session.cause) == ("ended", "consult.hangup")


@pytest.mark.cordboard(
    seeds=8,
    lost_answers=0.1,
    late_answers=0.05,
    crashes=0.05,
    duplicate_invocations=0.1,
    agent_drops=0.1,
    agent_slow_ack=0.3,
    plane_death=0.02,
    packet_loss=0.05,
)
def test_whatever_goes_wrong_nobody_is_left_on_a_dead_line(edge: Edge) -> None:
    edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a", PSTN_CALLER_ID="+15550001111")
    caller = edge.call("+15551234567", to="+18005550100")
    edge.advance(12)
    if caller.state == "answered":
        caller.control({"action": "call_transfer"})
        assert list(caller.session.commands).count("call.dial") <= 1
    if caller.state == "answered" and "call.dial" in caller.session.commands:
        consult = edge.dialed("+18339906144")
        consult.answer()
        edge.advance(2)
        consult.hangup()
    else:
        caller.hangup()
    edge.advance_until(lambda: caller.state == "ended" and caller.session.cause, at_most=30)
