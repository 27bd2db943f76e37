"""What a scenario's test can say and see."""

from pathlib import Path

import pytest

from cordboard.session.intake import StartRefused
from cordboard.testing import Edge, NoAnswer, NoSuchCall, Reply
from cordboard.testing.plugin import find_template

CALLER, NUMBER, TRANSFER = "+15551234567", "+18005550100", "+18339906144"


@pytest.fixture
def keyed(edge: Edge) -> Edge:
    edge.keys(CARTESIA_API_KEY="test-key", CARTESIA_AGENT_ID="agent-1", PSTN_CALLER_ID="+15550001111")
    return edge


def test_what_the_agent_says_is_heard_in_its_time(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    caller.agent.says("Hello!", seconds=2)
    assert caller.heard == []
    keyed.advance(3)
    assert caller.heard == ["Hello!"]
    caller.agent.says("Anything else?", seconds=10)
    keyed.advance(1)
    caller.agent.clears()
    caller.agent.says("Good bye.", seconds=1)
    keyed.advance(2)
    assert caller.heard == ["Hello!", "Anything else?", "Good bye."]


def test_hears_says_no_where_nothing_is_bridged(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    agent = caller.agent
    caller.control({"action": "call_transfer"})
    consult = keyed.dialed(TRANSFER)
    assert not caller.hears(agent)
    assert not consult.hears(caller)
    assert not caller.hears(consult)
    consult.answer()
    assert consult.hears(caller)
    other = keyed.call("+15557654321", to=NUMBER)
    assert not other.hears(caller)
    caller.hangup()
    assert not caller.hears(consult)
    assert not consult.hears(caller)


def test_hears_waits_for_what_the_agent_still_says(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    caller.agent.says("a long story", seconds=3)
    assert caller.hears(caller.agent)
    assert caller.heard == ["a long story"]


def test_legs_and_sessions_tell_what_they_are(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER, headers={"X-Campaign": "spring"})
    session = caller.session
    assert (caller.name, caller.number, caller.state, caller.code) == ("caller", CALLER, "answered", 200)
    assert (session.cause, session.state.transfer_in_progress, session.state.transferred) == (None, False, False)
    assert list(session.commands[:3]) == ["call.answer", "call.record", "agent.create"]
    caller.control({"action": "call_transfer"})
    consult = keyed.dialed(TRANSFER)
    assert (consult.name, consult.number, consult.state) == ("consult", TRANSFER, "ringing")
    assert consult.session.id == session.id
    assert session.state.transfer_in_progress
    consult.refuse(486)
    assert (consult.state, consult.code) == ("ended", 486)
    assert session.cause == "consult.failed"
    assert "CONSULT_CALL_FAILED" in session.log


def test_keys_sound_and_arrive(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    caller.press("42#")
    digits = [message["dtmf"] for message in caller.agent.messages if message["event"] == "dtmf"]
    assert digits == ["4", "2", "#"]


def test_the_agent_calls_a_tool_on_the_url_that_it_was_given(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    assert caller.agent.calls_tool("anything", action="call_transfer") == {"ok": True}
    assert keyed.dialed(TRANSFER).state == "ringing"


def test_control_replies_are_text_and_json(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    reply = caller.control({"action": "sing"}, verb="tool")
    assert isinstance(reply, Reply)
    assert reply.status == 422
    assert reply.json() == {"ok": False, "error": "unknown action"}


def test_a_dropped_agent_ends_the_call(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    caller.agent.drops(1011, "internal error")
    keyed.advance(1)
    assert (caller.state, caller.session.cause) == ("ended", "agent.error")


def test_without_keys_the_log_says_why(edge: Edge) -> None:
    caller = edge.call(CALLER, to=NUMBER)
    assert (caller.state, caller.session.cause) == ("ended", "handler.terminate")
    assert "SOMETHING_WENT_WRONG" in caller.session.log
    with pytest.raises(NoSuchCall, match="has no agent"):
        caller.agent.clears()


def test_what_is_not_there_is_named(keyed: Edge) -> None:
    with pytest.raises(NoSuchCall, match="dialled: nothing"):
        keyed.dialed(TRANSFER)
    with pytest.raises(StartRefused, match="no function is of scenario 'reminder'; scenarios there: line-agent"):
        keyed.start("reminder", to="+1")
    with pytest.raises(StartRefused, match=r"does not listen to session\.started"):
        keyed.start("line-agent")
    with pytest.raises(ValueError, match="there is no 'plane_dies'"):
        keyed.faults(plane_dies=1.0)


def test_faults_of_the_network_lose_packets_and_not_calls(keyed: Edge) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    keyed.faults(packet_loss=0.3)
    caller.agent.says("a long story", seconds=4)
    keyed.advance(5)
    assert caller.heard == ["a long story"]
    keyed.faults(packet_loss=1.0)
    caller.agent.says("nobody hears this", seconds=1)
    keyed.advance(2)
    assert caller.heard == ["a long story"]


def test_a_request_that_no_control_answers_is_told(keyed: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = keyed.call(CALLER, to=NUMBER)
    monkeypatch.setattr(keyed.simulation.edge, "request", lambda *args: "never")
    with pytest.raises(NoAnswer, match="within 12 s"):
        caller.control({"action": "end_call"})


def test_the_template_is_found_upwards_and_not_above_the_root(tmp_path: Path) -> None:
    root, deep = tmp_path / "project", tmp_path / "project" / "tests" / "unit"
    deep.mkdir(parents=True)
    with pytest.raises(pytest.UsageError, match=r"needs a template\.yaml"):
        find_template(deep, root)
    (tmp_path / "template.yaml").touch()
    with pytest.raises(pytest.UsageError):
        find_template(deep, root)
    (root / "template.yaml").touch()
    assert find_template(deep, root) == root / "template.yaml"
    (root / "tests" / "template.yaml").touch()
    assert find_template(deep, root) == root / "tests" / "template.yaml"


NARROW = """
from cordboard.scenario import AppEvents, ApplicationStorage, Scenario, Session, events

scenario = Scenario("narrow")


@scenario.on(AppEvents.CallAlerting)
async def alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    url = await session.control_url(verbs=["end_call"])
    await ApplicationStorage.put("URL", url, ttl=60)


@scenario.on(AppEvents.HttpRequest)
async def asked(session: Session[None], event: events.HttpRequest) -> dict[str, bool]:
    return {"ok": True}


handler = scenario.lambda_handler()
"""


def test_a_narrow_control_url_can_be_asked(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "narrow.py").write_text(NARROW)
    (tmp_path / "template.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Narrow:\n    Type: AWS::Serverless::Function\n"
        "    Properties: {CodeUri: functions/, Handler: narrow.handler}\n"
    )
    edge = Edge(tmp_path / "template.yaml")
    try:
        caller = edge.call(CALLER, to=NUMBER)
        url = edge.stored("URL")
        assert caller.control({"action": "end_call"}, url=url).status == 200
        assert caller.control({"action": "call_transfer"}, url=url).status == 403
        assert caller.control({"action": "call_transfer"}).status == 200
        caller.hangup()
    finally:
        edge.close()
