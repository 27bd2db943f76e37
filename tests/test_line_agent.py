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
