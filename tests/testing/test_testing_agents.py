"""Agents scripted in the test, on both wires, and what their callers hear, press and leave behind."""

import pytest

from cordboard.testing import Edge, NeverHappened, ToolRefused

CALLER, NUMBER = "+15551234567", "+18005550100"
SAMPLES = "samples/functions/template.yaml"


@pytest.fixture(params=["line", "managed"])
def both(edge: Edge, request: pytest.FixtureRequest) -> Edge:
    edge.keys(CARTESIA_API_KEY="test-key", CARTESIA_AGENT_ID="agent-1", PSTN_CALLER_ID="+15550001111")
    edge.wire(request.param)
    return edge


@pytest.fixture
def managed(edge: Edge) -> Edge:
    edge.keys(CARTESIA_API_KEY="test-key", CARTESIA_AGENT_ID="agent-1")
    return edge


def test_the_same_handlers_serve_both_wires(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    agent = caller.agent
    assert (agent.wire, agent.started["metadata"]["from"]) == (both.simulation.edge.wire, CALLER)
    agent.says("Good day. How may I help you?", seconds=2)
    both.advance(2.5)
    caller.say("a table, please", seconds=1)
    both.advance(1.5)
    assert agent.heard == ["a table, please"]
    assert caller.hears(agent)
    assert caller.heard_text() == "Good day. How may I help you?"
    agent.hangs_up("good-bye")
    both.advance(1)
    assert (caller.state, caller.session.cause) == ("ended", "agent.closed")


def test_words_cut_by_a_barge_in_are_not_heard_and_the_transcript_says_the_same(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    caller.agent.says("one two three four five six seven eight", seconds=4)
    both.advance(1)
    caller.agent.understands("stop")
    caller.agent.clears()
    both.advance(3)
    heard = caller.heard_text()
    assert heard == "one two three"
    caller.hangup()
    both.advance(1)
    [line] = [line for line in caller.session.transcript if "agent:" in line]
    assert f"agent: {heard} [four five" in line
    assert any("caller: stop" in line for line in caller.session.transcript)


def test_digits_travel_both_ways_in_their_time(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    began = both.simulation.world.now
    caller.press("12#", gap=1.0)
    assert both.simulation.world.now - began == pytest.approx(3 * 1.22, abs=0.1)
    assert caller.agent.digits == "12#"
    caller.agent.presses("47")
    both.advance(1)
    assert caller.digits == "47"


def test_a_recording_holds_what_both_said(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    caller.agent.says("Good day.", seconds=2)
    caller.say("hello", seconds=1)
    both.advance(3)
    caller.hangup()
    both.advance(1)
    [recording] = caller.session.recordings.values()
    assert (recording.phone, recording.edge) == (["hello"], ["Good day."])
    assert recording.seconds == pytest.approx(3, abs=0.3)


def test_who_holds_hears_nothing(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    caller.hold()
    caller.agent.says("Are you there?", seconds=1)
    both.advance(2)
    caller.unhold()
    caller.agent.says("Welcome back.", seconds=1)
    both.advance(2)
    assert caller.heard == ["Welcome back."]


def test_the_line_wire_has_custom_events_and_the_managed_one_says_it_has_not(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    if caller.agent.wire == "line":
        caller.agent.custom({"mood": "good"})
        assert any("agent.custom" in line for line in caller.session.timeline)
    else:
        with pytest.raises(ValueError, match="the Managed wire has no custom"):
            caller.agent.custom({"mood": "good"})


def test_a_tool_is_called_as_the_wire_does(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    if caller.agent.wire == "line":
        assert caller.agent.calls_tool("any", action="call_transfer") == {"ok": True}
        with pytest.raises(ToolRefused, match="unknown action") as refused:
            caller.agent.calls_tool("any", action="sing")
        assert refused.value.error_type == "422"


@pytest.mark.cordboard(template=SAMPLES, scenario="managed-agent")
def test_a_client_tool_has_a_result_or_an_error_that_the_agent_reads(managed: Edge) -> None:
    agent = managed.call(CALLER, to=NUMBER).agent
    assert agent.wire == "managed"
    assert agent.calls_tool("find_table", day="friday", seats=4) == {"slots": ["19:30"]}
    with pytest.raises(ToolRefused, match="large parties") as refused:
        agent.calls_tool("find_table", day="friday", seats=20)
    assert (refused.value.tool, refused.value.error_type) == ("find_table", "tool_error")
    with pytest.raises(ToolRefused) as wrong:
        agent.calls_tool("find_table", day="friday", seats="many")
    assert wrong.value.error_type == "invalid_arguments"


@pytest.mark.cordboard(template=SAMPLES, scenario="managed-agent", seeds=5, lost_answers=0.2, agent_drops=0.05)
def test_a_tool_that_ends_the_call_ends_it_whatever_is_lost(managed: Edge) -> None:
    caller = managed.call(CALLER, to=NUMBER)
    if caller.state == "answered" and caller.agent.connected:
        caller.agent.calls_tool("end_call")
    managed.advance_until(lambda: caller.state == "ended", at_most=30)


def test_time_goes_on_until_something_is_so(both: Edge) -> None:
    caller = both.call(CALLER, to=NUMBER)
    caller.agent.says("Hello!", seconds=2)
    assert both.advance_until(lambda: caller.heard) == pytest.approx(0.04, abs=0.04)
    assert both.advance_until(lambda: True) == 0
    with pytest.raises(NeverHappened, match="within 5 s"):
        both.advance_until(lambda: caller.state == "ended", at_most=5)


def test_an_unknown_wire_is_named(edge: Edge) -> None:
    with pytest.raises(ValueError, match="'sip': there are line, managed"):
        edge.wire("sip")  # type: ignore[arg-type]
