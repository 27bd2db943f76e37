"""Many calls at once, and the rarer courses of one."""

import pytest
from tests.simulator.calls import CALLER, NUMBER, agent_of, control, heard, heard_by_agent, record_of, transfer
from tests.simulator.conftest import Make

from cordboard.simulator.network import Conditions
from cordboard.simulator.simulation import Simulation


def test_calls_at_the_same_time_hear_their_own_agents_alone(make: Make) -> None:
    sim = make(planes=3)
    phones = [sim.exchange.call(f"+1555000{index:04}", NUMBER) for index in range(24)]
    sim.world.settle()
    for index, phone in enumerate(phones):
        agent_of(sim, phone).say(f"hello {index}", 1.0)
        phone.say(f"here is {index}", 0.5)
    sim.world.advance(2.0)
    for index, phone in enumerate(phones):
        assert heard(sim, phone) == {f"hello {index}": 1.0}
        assert heard_by_agent(sim, agent_of(sim, phone)) == {f"here is {index}": 0.5}
    assert sorted(sim.session_of(phone).plane for phone in phones) == [0] * 8 + [1] * 8 + [2] * 8
    for phone in phones:
        phone.hangup()
    sim.world.settle()
    assert len({record_of(sim, phone).session for phone in phones}) == 24


def test_what_is_queued_at_a_transfer_is_counted_as_unbridged(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("one moment, I connect you", 5.0)
    sim.world.advance(1.0)
    consult = transfer(sim, caller)
    began = sim.world.now
    sim.world.advance(1.0)
    assert "one moment, I connect you" not in heard(sim, caller, began + 0.02)
    consult.answer()
    sim.world.settle()
    consult.hangup()
    sim.world.settle()
    entries = {entry.source.rpartition("/")[2]: entry for entry in record_of(sim, caller).ledger}
    assert entries["agent"].discarded == {"unbridged": 5 * 8000 - entries["agent"].sent}
    assert entries["agent"].sent == pytest.approx(8000, abs=400)
    assert entries["ringback"].sent == pytest.approx(8000, abs=400)


def test_the_caller_hears_ringback_while_the_consult_rings_and_nothing_of_it_after(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    sim.world.advance(2.0)
    assert caller.samples == pytest.approx(2 * 8000, abs=400)
    consult.answer()
    sim.world.settle()
    answered = caller.samples
    sim.world.advance(2.0)
    assert caller.samples == answered
    caller.hangup()
    sim.world.settle()


def test_a_flood_of_control_requests_is_told_to_come_later(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    codes = [control(sim, caller, {"action": "dance"}).status for _ in range(20)]
    assert codes == sorted(codes)
    assert set(codes) == {422, 429}
    sim.world.advance(1.0)
    assert control(sim, caller, {"action": "dance"}).status == 422
    caller.hangup()
    sim.world.settle()


def test_the_control_url_is_dead_after_the_call_and_stands_in_no_timeline(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    token = sim.session_of(caller).control_url.rpartition("/")[2]
    caller.hangup()
    sim.world.settle()
    assert control(sim, caller, {"action": "end_call"}).status == 404
    written = repr(sim.session_of(caller).timeline)
    assert token not in written
    assert "test-key" not in written


def test_a_callee_that_refuses_our_codecs_fails_the_transfer(make: Make) -> None:
    sim = make()
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    consult.refuse(488)
    sim.world.settle()
    assert record_of(sim, caller).cause == "consult.failed"


def test_a_long_call_keeps_its_agent_fed_and_its_phone_alive(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.world.advance(120.0)
    agent = agent_of(sim, caller)
    assert caller.state == "answered"
    assert agent.heard_bytes == pytest.approx(120 * 8000, rel=0.01)
    assert caller.reports >= 20
    caller.hangup()
    sim.world.settle()


def test_a_network_that_loses_half_of_the_signalling_delays_and_loses_no_call(make: Make) -> None:
    sim = make(conditions=Conditions(loss=0.5), seed=5)
    caller = sim.exchange.call(CALLER, NUMBER)
    sim.world.advance(20.0)
    caller.hangup()
    sim.world.advance(60.0)
    assert caller.ends == 1
    assert all(len(session.ended) == 1 for session in sim.edge.sessions.values())


def test_the_transcript_tells_what_was_heard(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    agent.say("This is heard.", 2.0)
    sim.world.advance(3.0)
    agent.say("This is not.", 4.0)
    agent.clear()
    caller.hangup()
    sim.world.settle()
    session = sim.session_of(caller)
    first, second = session.utterances
    assert (first.heard, first.unheard, first.heard_seconds, first.estimated) == ("This is heard.", "", 2.0, False)
    assert (second.text, second.unheard, second.estimated) == ("This is not.", "is not.", True)
    assert second.heard_seconds == pytest.approx(0.02, abs=0.02)
    assert "[is not.]" in session.transcript[1]
