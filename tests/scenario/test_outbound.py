"""The outbound sample on a whole edge in virtual time: who picks up, who does not, and what cannot be dialled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cordboard.testing import Edge, SessionView

TEMPLATE = Path(__file__).parents[2] / "samples" / "functions" / "template.yaml"
CALLEE, OURS = "+15551230000", "+15550001111"


@pytest.fixture
def edge() -> Iterator[Edge]:
    made = Edge(TEMPLATE, scenario="survey")
    made.keys(CARTESIA_API_KEY="test-key", CARTESIA_AGENT_ID="agent-1", PSTN_CALLER_ID=OURS)
    try:
        yield made
        made.simulation.quiet()
    finally:
        made.close()


def open_sockets(edge: Edge) -> int:
    return sum(agent.connected for agent in edge.simulation.service.agents)


def remind(edge: Edge) -> SessionView:
    return edge.start("reminder", to=CALLEE, name="Mina")


def test_who_picks_up_hears_the_agent_at_once(edge: Edge) -> None:
    session = remind(edge)
    callee = edge.dialed(CALLEE)
    assert (callee.state, callee.name, callee.session.id) == ("ringing", "callee", session.id)
    assert open_sockets(edge) == 1, "its socket opens while it rings"
    callee.ring()
    edge.advance(5)
    callee.answer()
    assert callee.agent.started["metadata"] == {"to": CALLEE, "name": "Mina"}
    callee.agent.says("Your table is at seven.", seconds=2)
    edge.advance(3)
    assert list(callee.heard) == ["Your table is at seven."]
    assert callee.hears(callee.agent)
    callee.hangup()
    assert session.cause == "callee.hangup"
    assert open_sockets(edge) == 0
    assert list(session.commands)[:2] == ["call.dial", "agent.create"]


def test_the_agent_hangs_up_when_it_was_heard_out(edge: Edge) -> None:
    session = remind(edge)
    callee = edge.dialed(CALLEE)
    callee.answer()
    callee.agent.says("Good bye.", seconds=2)
    callee.agent.drops(1000, "call ended by agent")
    assert callee.state == "answered"
    edge.advance(3)
    assert (callee.state, list(callee.heard)) == ("ended", ["Good bye."])
    assert session.cause == "agent.closed"


@pytest.mark.parametrize("code", [486, 480, 603, 404])
def test_who_is_busy_ends_the_session(edge: Edge, code: int) -> None:
    session = remind(edge)
    edge.dialed(CALLEE).refuse(code)
    edge.advance(1)
    assert session.cause == "callee.failed"
    assert edge.simulation.edge.sessions[session.id].ended[0].legs[0].code == code


def test_who_does_not_pick_up_is_given_up_after_half_a_minute(edge: Edge) -> None:
    session = remind(edge)
    edge.dialed(CALLEE).ring()
    edge.advance(29)
    assert edge.dialed(CALLEE).state == "ringing"
    edge.advance(3)
    assert (session.cause, edge.dialed(CALLEE).state) == ("callee.failed", "ended")


def test_an_agent_that_is_lost_while_it_rings_calls_off(edge: Edge) -> None:
    session = remind(edge)
    callee = edge.dialed(CALLEE)
    callee.agent.drops()
    edge.advance(1)
    assert (callee.state, session.cause) == ("ended", "agent.lost")


def test_without_an_agent_the_call_is_called_off(edge: Edge) -> None:
    edge.simulation.secrets.remove("CARTESIA_API_KEY")
    session = remind(edge)
    edge.advance(1)
    assert (edge.dialed(CALLEE).state, session.cause) == ("ended", "handler.terminate")
    assert "NO_AGENT" in session.log


def test_without_a_key_nobody_is_dialled(edge: Edge) -> None:
    edge.simulation.storage.remove("PSTN_CALLER_ID")
    session = remind(edge)
    edge.advance(1)
    assert session.cause == "handler.failed"
    assert edge.simulation.exchange.phones == []


def test_a_session_without_a_number_fails_by_name(edge: Edge) -> None:
    session = edge.start("reminder", name="Mina")
    edge.advance(1)
    assert session.cause == "handler.failed"
    found = edge.simulation.edge.sessions[session.id].timeline
    assert any("KeyError" in entry.what for entry in found)


def test_sessions_run_side_by_side(edge: Edge) -> None:
    numbers = [f"+1555123000{digit}" for digit in range(5)]
    sessions = [edge.start("reminder", to=number, name=number[-1]) for number in numbers]
    for number in numbers:
        edge.dialed(number).answer()
    assert [edge.dialed(number).agent.started["metadata"]["name"] for number in numbers] == list("01234")
    for number in numbers:
        edge.dialed(number).hangup()
    assert [session.cause for session in sessions] == ["callee.hangup"] * 5


@pytest.mark.parametrize("after", [0.0, 0.003, 0.011, 1.0, 30.01])
@pytest.mark.parametrize("what", ["refuse", "answer and hang up", "the agent is lost", "the operator ends it"])
def test_whatever_happens_at_any_moment_it_ends_once_and_leaves_nothing(edge: Edge, what: str, after: float) -> None:
    session = edge.simulation.edge.sessions[edge.simulation.edge.start_session("reminder", {"to": CALLEE})]
    edge.advance(after)
    callee = next((phone for phone in edge.simulation.exchange.phones if phone.state == "ringing"), None)
    agent = next((agent for agent in edge.simulation.service.agents if agent.connected), None)
    if what == "the operator ends it":
        control = edge.simulation.edge.control
        assert control is not None
        if not session.ended:
            control.operate(lambda operations: operations.end(session.id), edge.simulation.world.now)
    elif what == "the agent is lost" and agent is not None:
        agent.drop(1006, "")
    elif what == "refuse" and callee is not None:
        callee.refuse(486)
    elif callee is not None:
        callee.answer()
        callee.hangup()
    edge.advance(35)
    assert len(session.ended) == 1, "the end of the test looks for what is left"


@pytest.mark.parametrize("answered", [False, True])
def test_a_control_that_dies_leaves_nobody_on_a_dead_line(edge: Edge, answered: bool) -> None:
    session = remind(edge)
    callee = edge.dialed(CALLEE)
    if answered:
        callee.answer()
    edge.simulation.edge.restart_control()
    edge.advance(20)
    assert (callee.state, session.cause) == ("ended", "control.lost")
    assert len(edge.simulation.edge.sessions[session.id].ended) == 1
