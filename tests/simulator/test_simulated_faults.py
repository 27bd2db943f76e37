"""Parts die, digits travel, handlers are slow, networks lose: what a call does then, in virtual time."""

from pathlib import Path

import pytest
from tests.simulator.calls import (
    CALLER,
    NUMBER,
    agent_of,
    control,
    heard,
    heard_by_agent,
    record_of,
    transfer,
)
from tests.simulator.conftest import Make

from cordboard.simulator.agent_service import Manners
from cordboard.simulator.simulation import Simulation

ODD = Path(__file__).parent / "scenarios" / "template.yaml"


@pytest.fixture
def odd(make: Make) -> Simulation:
    return make(ODD)


# --- parts that die


@pytest.mark.parametrize("audio", [False, True])
def test_a_plane_that_dies_ends_its_calls_and_no_others(make: Make, audio: bool) -> None:
    sim = make(planes=2, elided=not audio)
    first, second = sim.call(CALLER, NUMBER), sim.call("+15557654321", NUMBER)
    lost = sim.session_of(first).plane
    assert sim.session_of(second).plane != lost
    sim.edge.kill_plane(lost)
    sim.world.settle()
    assert (first.state, second.state) == ("ended", "answered")
    sim.world.advance(2.5)  # the record waits for the plane's ledger as long as for a slow plane
    assert (record_of(sim, first).cause, record_of(sim, first).fault) == ("plane.lost", "edge")
    sim.world.advance(2.0)
    third = sim.call(CALLER, NUMBER)
    assert third.state == "answered"
    for phone in (second, third):
        phone.hangup()
    sim.world.settle()


def test_a_plane_that_hangs_is_killed_at_its_lease(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.edge.hang_plane(0)
    sim.world.advance(9.0)
    assert caller.state == "answered"
    sim.world.advance(3.0)
    assert caller.state == "ended"
    sim.world.advance(1.5)
    assert record_of(sim, caller).cause == "plane.lost"
    again = sim.call(CALLER, NUMBER)
    assert again.state == "answered"
    again.hangup()
    sim.world.settle()


def test_the_next_control_ends_the_calls_of_the_last_one(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    consult.answer()
    sim.world.advance(1.0)
    sim.edge.restart_control(after=2.0)
    sim.world.advance(1.0)
    assert (caller.state, consult.state) == ("answered", "answered")
    sim.world.advance(1.5)
    assert (caller.state, consult.state) == ("ended", "ended")
    assert record_of(sim, caller).cause == "control.lost"
    again = sim.call(CALLER, NUMBER)
    assert again.state == "answered"
    again.hangup()
    sim.world.settle()


def test_a_phone_that_rings_for_a_dead_control_is_cancelled_by_the_next(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    sim.edge.restart_control(after=1.0)
    sim.world.advance(3.0)
    assert (caller.state, consult.state, consult.code) == ("ended", "ended", 487)


def test_without_control_the_plane_falls_silent_at_its_lease(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    agent.say("a long story", 40.0)
    sim.world.advance(1.0)
    sim.edge.restart_control(after=20.0)
    sim.world.advance(12.0)
    assert not agent.connected
    before = caller.samples
    sim.world.advance(5.0)
    assert caller.samples == before
    sim.world.advance(5.0)
    assert caller.state == "ended"


def test_an_edge_that_is_asked_to_stop_ends_its_calls(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.edge.shutdown()
    sim.world.settle()
    assert record_of(sim, caller).cause == "edge.shutdown"
    late = sim.call(CALLER, NUMBER)
    assert (late.state, late.code) == ("ended", 503)


def test_a_phone_whose_network_is_gone_is_found_out(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.world.advance(5.0)
    caller.dead = True
    sim.world.advance(20.0 + 32.0 + 32.0 + 5.0)  # silence, OPTIONS unanswered, BYE unanswered
    assert record_of(sim, caller).cause == "media.lost"
    assert not agent_of(sim, caller).connected


def test_a_full_disk_costs_the_recording_and_not_the_call(sim: Simulation) -> None:
    sim.edge.disk_full = True
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("hello", 3.0)
    sim.world.advance(4.0)
    assert caller.state == "answered"
    assert heard(sim, caller) == {"hello": 3.0}
    caller.hangup()
    sim.world.settle()


def test_a_recording_holds_both_sides(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("hello", 2.0)
    sim.world.advance(4.0)
    caller.hangup()
    sim.world.settle()
    [data] = sim.edge.files.values()
    assert data[:4] == b"RIFF"
    assert len(data) == pytest.approx(2 * 8000 * 4, rel=0.05)


# --- the agent's service


@pytest.mark.parametrize(
    "manners",
    [Manners(reachable=False), Manners(status=503), Manners(status=401), Manners(acks=False)],
    ids=["unreachable", "503", "401", "no ack"],
)
def test_an_agent_that_cannot_be_had_ends_the_call(sim: Simulation, manners: Manners) -> None:
    sim.service.manners = manners
    caller = sim.call(CALLER, NUMBER)
    sim.world.advance(15.0)
    assert caller.state == "ended"
    assert record_of(sim, caller).cause in ("handler.terminate", "agent.error")


def test_an_agent_that_never_answers_a_close_frame_is_dropped(sim: Simulation) -> None:
    sim.service.manners = Manners(closes=False)
    caller = sim.call(CALLER, NUMBER)
    caller.hangup()
    sim.world.settle()
    assert len(sim.session_of(caller).ended) == 1


# --- digits and hold


def test_digits_travel_both_ways_and_are_counted_once(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    caller.press("12#")
    sim.world.advance(1.0)
    assert [each["dtmf"] for each in agent.messages if each["event"] == "dtmf"] == ["1", "2", "#"]
    caller.press_info("7")
    sim.world.advance(1.0)
    assert [each["dtmf"] for each in agent.messages if each["event"] == "dtmf"] == ["1", "2", "#", "7"]
    agent.dtmf("9")
    sim.world.advance(1.0)
    assert caller.pressed == "9"
    caller.hangup()
    sim.world.settle()


def test_digits_pass_between_two_bridged_phones(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    consult.answer()
    sim.world.settle()
    caller.press("4711")
    sim.world.advance(2.0)
    assert consult.pressed == "4711"
    caller.hangup()
    sim.world.settle()


def test_a_scenario_that_listens_gets_each_digit_once(odd: Simulation) -> None:
    caller = odd.call(CALLER, "tones")
    caller.press("31")
    odd.world.advance(0.5)
    caller.press_info("1")
    odd.world.advance(1.5)
    assert odd.session_of(caller).state["tones"] == "31"  # INFO tells the last key once more
    caller.hangup()
    odd.world.settle()


def test_a_caller_on_hold_misses_what_is_said_and_the_agent_hears_silence(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    sim.world.advance(1.0)
    caller.hold()
    sim.world.settle()
    before = agent.heard_bytes
    agent.say("are you there", 2.0)
    sim.world.advance(3.0)
    assert heard(sim, caller) == {}
    assert agent.heard_bytes - before == pytest.approx(3 * 8000, rel=0.1)
    caller.hold("sendrecv")
    sim.world.settle()
    agent.say("welcome back", 1.0)
    caller.say("thanks", 1.0)
    sim.world.advance(2.0)
    assert heard(sim, caller) == {"welcome back": 1.0}
    assert heard_by_agent(sim, agent) == {"thanks": 1.0}
    caller.hangup()
    sim.world.settle()
    [entry] = [each for each in record_of(sim, caller).ledger if each.source.endswith("/agent")]
    assert entry.discarded["hold"] == 2 * 8000


# --- audio


def test_an_agent_at_sixteen_kilohertz_is_heard_and_hears(odd: Simulation) -> None:
    caller = odd.call(CALLER, "wide")
    agent = agent_of(odd, caller)
    assert agent.started["config"]["input_format"] == "pcm_16000"
    agent.say("hello", 2.0)
    caller.say("good day", 1.0)
    odd.world.advance(3.0)
    assert heard(odd, caller)["hello"] == pytest.approx(2.0, abs=0.03)
    assert heard_by_agent(odd, agent)["good day"] == pytest.approx(1.0, abs=0.05)
    caller.hangup()
    odd.world.settle()


def test_phones_that_take_a_law_alone_hear_the_same(make: Make) -> None:
    sim = make(elided=False)
    sim.exchange.codecs = ("PCMA",)
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("hello", 2.0)
    caller.say("good day", 1.0)
    sim.world.advance(3.0)
    assert heard(sim, caller)["hello"] == pytest.approx(2.0, abs=0.03)
    assert heard_by_agent(sim, agent_of(sim, caller))["good day"] == pytest.approx(1.0, abs=0.03)
    sim.exchange.codecs = ("PCMU",)
    consult = transfer(sim, caller)
    consult.answer()
    sim.world.settle()
    began = sim.world.now
    consult.say("me", 1.0)
    sim.world.advance(2.0)
    assert heard(sim, caller, began)["me"] == pytest.approx(1.0, abs=0.03)
    caller.hangup()
    sim.world.settle()


def test_early_media_takes_the_place_of_ringback(sim: Simulation) -> None:
    sim.exchange.rings = False
    caller = sim.call(CALLER, NUMBER)
    consult = transfer(sim, caller)
    sim.world.advance(1.0)
    consult.ring(early=True)
    sim.world.settle()
    began = sim.world.now
    consult.say("the person you have called", 2.0)
    sim.world.advance(3.0)
    assert heard(sim, caller, began)["the person you have called"] == pytest.approx(2.0, abs=0.05)
    caller.hangup()
    sim.world.settle()
    assert consult.state == "ended"


# --- handlers


def test_an_answered_leg_that_hears_nobody_ends_after_ten_seconds(odd: Simulation) -> None:
    caller = odd.call(CALLER, "silence")
    odd.world.advance(9.5)
    assert caller.state == "answered"
    odd.world.advance(2.0)
    assert caller.state == "ended"
    assert record_of(odd, caller).cause == "limit.unbridged"


def test_a_timer_of_the_scenario_ends_a_call(odd: Simulation) -> None:
    caller = odd.call(CALLER, "tones")
    odd.world.advance(7.5)
    assert caller.state == "answered"
    odd.world.advance(1.0)
    assert caller.state == "ended"
    assert odd.session_of(caller).state == {"tones": "", "timers": 1}
    assert record_of(odd, caller).cause == "handler.terminate"


def test_a_handler_that_sleeps_is_answered_later_in_virtual_time(odd: Simulation) -> None:
    caller = odd.call(CALLER, "slow")
    odd.world.advance(2.5)
    assert caller.state == "calling"
    odd.world.advance(1.0)
    assert caller.state == "answered"
    odd.world.advance(2.0)
    assert caller.state == "ended"


def test_a_handler_that_is_stuck_is_tried_twice_and_the_call_refused(odd: Simulation) -> None:
    caller = odd.call(CALLER, "stuck")
    odd.world.advance(9.0)
    assert caller.state == "calling"
    odd.world.advance(2.0)
    assert (caller.state, caller.code) == ("ended", 480)
    assert [invoke.payload["attempt"] for invoke in odd.edge.rounds.invocations] == [1, 2]
    assert record_of(odd, caller).cause == "handler.failed"


@pytest.mark.parametrize(("number", "code"), [("broken", 480), ("refused", 486)])
def test_a_call_that_is_not_taken(odd: Simulation, number: str, code: int) -> None:
    caller = odd.call(CALLER, number)
    assert (caller.state, caller.code) == ("ended", code)
    assert len(odd.session_of(caller).ended) == 1


def test_a_call_that_nobody_answers_rings_for_a_minute(odd: Simulation) -> None:
    caller = odd.call(CALLER, "ringing")
    odd.world.advance(59.0)
    assert (caller.state, caller.responses) == ("ringing", [180])
    odd.world.advance(2.0)
    assert (caller.state, caller.code) == ("ended", 480)
    assert record_of(odd, caller).cause == "limit.no_answer"


@pytest.mark.parametrize("kind", ["function crashed", "answer lost", "answer late"])
def test_a_lost_round_is_tried_once_more(sim: Simulation, kind: str) -> None:
    sim.faults.next(kind, "call.alerting")
    caller = sim.call(CALLER, NUMBER)
    sim.world.advance(6.0)  # a late answer comes after its limit of five seconds, and is dropped
    assert caller.state == "answered"
    assert agent_of(sim, caller).connected
    caller.hangup()
    sim.world.settle()


def test_a_control_request_whose_round_is_lost_twice_is_500_and_the_call_goes_on(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next("function crashed", "http.request")
    sim.faults.next("function crashed", "http.request", nth=2)
    assert control(sim, caller, {"action": "end_call"}).status == 500
    assert caller.state == "answered"
    caller.hangup()
    sim.world.settle()
