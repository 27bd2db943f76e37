"""The seed's story in virtual time: greeting, transfer, farewell, and every way in which it may go wrong."""

import pytest
from tests.simulator.calls import (
    CALLER,
    NUMBER,
    TRANSFER,
    agent_of,
    control,
    heard,
    heard_by_agent,
    record_of,
    transfer,
)
from tests.simulator.conftest import Make

from cordboard.simulator.simulation import Simulation


def test_both_sides_hear_each_other_and_a_hang_up_ends_it_once(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    assert agent.started["metadata"]["from"] == CALLER
    agent.say("hello", 2.0)
    caller.say("good day", 1.0)
    sim.world.advance(3.0)
    assert heard(sim, caller) == {"hello": 2.0}
    assert heard_by_agent(sim, agent) == {"good day": 1.0}
    caller.hangup()
    sim.world.settle()
    record = record_of(sim, caller)
    assert (record.cause, record.fault) == ("caller.hangup", "none")
    assert not agent.connected


def test_transfer_bridges_and_the_consult_ends_it(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    consult = transfer(sim, caller)
    assert not agent.connected
    sim.world.advance(3.0)
    assert caller.samples > 8000  # ringback
    consult.answer()
    sim.world.settle()
    began = sim.world.now
    caller.say("who is there", 1.0)
    consult.say("me", 1.0)
    sim.world.advance(2.0)
    assert heard(sim, caller, began) == {"me": 1.0}
    assert heard(sim, consult, began) == {"who is there": 1.0}
    consult.hangup()
    sim.world.settle()
    assert record_of(sim, caller).cause == "consult.hangup"
    assert caller.state == "ended"
    assert caller.ended_by == "them"


def test_a_caller_who_hangs_up_after_the_transfer_ends_both_legs(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    consult.answer()
    sim.world.advance(1.0)
    caller.hangup()
    sim.world.settle()
    assert record_of(sim, caller).cause == "caller.hangup"
    assert consult.state == "ended"


def test_end_call_lets_the_farewell_be_heard_out(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    agent.say("good bye, it was nice to speak with you", 4.0)
    sim.world.advance(0.5)
    assert control(sim, caller, {"action": "end_call"}).status == 200
    sim.world.advance(2.0)
    assert caller.state == "answered"
    sim.world.advance(2.5)
    assert caller.state == "ended"
    assert heard(sim, caller) == {"good bye, it was nice to speak with you": 4.0}
    assert record_of(sim, caller).cause == "handler.terminate"


def test_end_call_waits_fifteen_seconds_at_most(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("a long story", 40.0)
    sim.world.advance(1.0)
    control(sim, caller, {"action": "end_call"})
    sim.world.advance(14.5)
    assert caller.state == "answered"
    sim.world.advance(1.0)
    assert caller.state == "ended"
    assert heard(sim, caller)["a long story"] == pytest.approx(16.0, abs=0.2)


def test_a_broken_agent_socket_ends_the_call_by_its_own_cause(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).drop()
    sim.world.advance(1.0)
    assert caller.state == "ended"
    record = record_of(sim, caller)
    assert (record.cause, record.fault) == ("agent.lost", "agent")


def test_what_the_agent_said_before_it_closed_is_heard(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    agent.say("that was all", 3.0)
    agent.drop(1000, "call ended by agent")
    sim.world.advance(2.5)
    assert caller.state == "answered"
    sim.world.advance(1.5)
    assert caller.state == "ended"
    assert heard(sim, caller) == {"that was all": 3.0}
    assert record_of(sim, caller).cause == "agent.closed"


@pytest.mark.parametrize("code", [486, 603, 404, 503])
def test_a_refused_transfer_ends_the_call(sim: Simulation, code: int) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    consult.refuse(code)
    sim.world.settle()
    assert caller.state == "ended"
    assert record_of(sim, caller).cause == "consult.failed"
    assert [leg.code for leg in record_of(sim, caller).legs if leg.name == "consult"] == [code]


def test_nobody_answers_the_transfer_for_a_minute(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    sim.world.advance(59.0)
    assert (caller.state, consult.state) == ("answered", "ringing")
    sim.world.advance(2.0)
    assert (caller.state, consult.state) == ("ended", "ended")
    assert consult.code == 487
    assert record_of(sim, caller).cause == "consult.failed"


def test_a_second_transfer_dials_nobody(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    transfer(sim, caller)
    assert control(sim, caller, {"action": "call_transfer"}).status == 200
    assert len(sim.exchange.dialed(TRANSFER)) == 1
    caller.hangup()
    sim.world.advance(1.0)


def test_a_caller_who_hangs_up_while_the_consult_rings_leaves_nobody_ringing(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    caller.hangup()
    sim.world.settle()
    assert (consult.state, consult.code) == ("ended", 487)
    assert record_of(sim, caller).cause == "caller.hangup"


def test_an_answer_that_crosses_the_cancel_is_ended_by_bye(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    caller.hangup()
    consult.answer()
    sim.world.settle()
    assert (caller.state, consult.state) == ("ended", "ended")
    assert record_of(sim, caller).cause == "caller.hangup"


def test_a_caller_who_gives_up_before_the_answer(sim: Simulation) -> None:
    caller = sim.exchange.call(CALLER, NUMBER)
    caller.hangup()
    sim.world.settle()
    assert caller.state == "ended"
    assert caller.ends == 1
    assert record_of(sim, caller).cause in ("caller.cancelled", "caller.hangup")


def test_a_caller_who_hangs_up_in_the_middle_of_a_turn(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("a long story", 20.0)
    sim.world.advance(5.0)
    caller.hangup()
    sim.world.settle()
    [entry] = [each for each in record_of(sim, caller).ledger if each.source.endswith("/agent")]
    assert entry.received == 20 * 8000
    assert entry.discarded == {"ended": entry.received - entry.sent}
    assert entry.sent == pytest.approx(5 * 8000, abs=400)


def test_a_clear_leaves_nothing_to_hear_and_what_follows_survives(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    agent.say("a long story", 20.0)
    sim.world.advance(2.0)
    agent.clear()
    agent.say("sorry?", 1.0)
    sim.world.advance(5.0)
    assert heard(sim, caller)["sorry?"] == 1.0
    assert heard(sim, caller)["a long story"] == pytest.approx(2.0, abs=0.05)
    caller.hangup()
    sim.world.settle()
    [entry] = [each for each in record_of(sim, caller).ledger if each.source.endswith("/agent")]
    assert entry.cleared == 20 * 8000 - (entry.sent - 8000)
    assert record_of(sim, caller).figures["clears"][0]["by"] == "agent"


def test_an_agent_that_floods_costs_a_minute_of_memory_and_no_more(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    for _ in range(4):
        agent.say("blah", 30.0)
    sim.world.settle()
    caller.hangup()
    sim.world.settle()
    [entry] = [each for each in record_of(sim, caller).ledger if each.source.endswith("/agent")]
    assert entry.received == 120 * 8000
    assert entry.discarded["overflow"] == pytest.approx(60 * 8000, abs=400)


def test_bad_control_requests_never_end_the_call(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    assert control(sim, caller, b"no json").status == 400
    assert control(sim, caller, {"action": "dance"}).status == 422
    assert control(sim, caller, b"[]").status == 400
    assert caller.state == "answered"
    caller.hangup()
    sim.world.settle()


def test_a_missing_key_undoes_nothing(sim: Simulation) -> None:
    sim.storage.remove("PSTN_CALLER_ID")
    caller = sim.call(CALLER, NUMBER)
    assert control(sim, caller, {"action": "call_transfer"}).status == 500
    assert agent_of(sim, caller).connected
    caller.hangup()
    sim.world.settle()


def test_a_missing_agent_id_ends_the_call_at_once(sim: Simulation) -> None:
    sim.storage.remove("CARTESIA_AGENT_ID")
    caller = sim.call(CALLER, NUMBER)
    assert caller.state == "ended"
    assert record_of(sim, caller).cause == "handler.terminate"
    assert not sim.service.agents


def test_a_caller_too_many_is_refused(make_one_call: Simulation) -> None:
    sim = make_one_call
    first, second = sim.call(CALLER, NUMBER), sim.call("+15557654321", NUMBER)
    assert (first.state, second.state, second.code) == ("answered", "ended", 503)
    first.hangup()
    sim.world.settle()
    third = sim.call("+15557654321", NUMBER)
    assert third.state == "answered"
    third.hangup()
    sim.world.settle()


@pytest.fixture
def make_one_call(make: Make) -> Simulation:
    return make(limits={"max_calls": 1})


def test_a_call_lasts_as_long_as_it_may(make: Make) -> None:
    sim = make(limits={"max_duration": 30.0})
    caller = sim.call(CALLER, NUMBER)
    sim.world.advance(29.5)
    assert caller.state == "answered"
    sim.world.advance(1.0)
    assert caller.state == "ended"
    assert record_of(sim, caller).cause == "limit.max_duration"
