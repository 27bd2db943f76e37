"""Each kind of fault, ordered once: what goes wrong then, and what is on record of it."""

import pytest
from tests.simulator.calls import CALLER, NUMBER, agent_of, control, heard, record_of
from tests.simulator.conftest import Make

from cordboard.simulator.faults import KINDS, Fault, Faults
from cordboard.simulator.simulation import Simulation


def end(sim: Simulation) -> None:
    for phone in sim.exchange.phones:
        phone.hangup()
    sim.world.settle()


def kinds_of(sim: Simulation) -> list[str]:
    return [fault.kind for fault in sim.faults.log]


def attempts(sim: Simulation, event: str) -> list[int]:
    rounds = sim.edge.rounds.invocations
    return [each.payload["attempt"] for each in rounds if each.payload["event"]["type"] == event]


def test_a_lost_answer_is_asked_for_again_and_stands_in_the_timeline(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next("answer lost", "http.request")
    assert control(sim, caller, {"action": "sing"}).status == 422
    assert attempts(sim, "http.request") == [1, 2]
    session = sim.session_of(caller)
    [fault] = [entry for entry in session.timeline if entry.kind == "fault"]
    assert (fault.what, fault.data) == ("answer lost", {"event": "http.request", "nth": 1})
    assert sim.faults.log == [Fault("answer lost", "http.request", 1, sim.faults.log[0].at, session.id, ordered=True)]
    assert str(sim.faults.log[0]).endswith(f"  answer lost  http.request #1  {session.id}")
    end(sim)


def test_the_second_of_two_answers_changes_nothing(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next("invoked twice", "http.request")
    assert control(sim, caller, {"action": "call_transfer"}).status == 200
    assert len(sim.exchange.phones) == 2
    assert sim.session_of(caller).state["transfer_in_progress"] is True
    assert "late answer dropped" in [entry.what for entry in sim.session_of(caller).timeline]
    end(sim)


def test_a_late_answer_is_dropped(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next("answer late", "http.request")
    url = sim.session_of(caller).control_url.rpartition("/")[2]
    sim.edge.request("POST", url, {"content-type": "application/json"}, b'{"action": "end_call"}')
    sim.world.advance(6.0)
    assert caller.state == "ended"
    assert attempts(sim, "http.request") == [1, 2]


def test_an_agent_that_is_dropped_says_no_more(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next("agent dropped", "turn_ended", nth=2)
    agent = agent_of(sim, caller)
    agent.say("one", 1.0)
    sim.world.advance(2.0)
    agent.say("two", 1.0)
    agent.say("three", 1.0)
    sim.world.advance(4.0)
    assert heard(sim, caller) == {"one": 1.0, "two": 1.0}
    assert (caller.state, record_of(sim, caller).cause) == ("ended", "agent.lost")


def test_a_late_ack_delays_what_the_caller_says(sim: Simulation) -> None:
    sim.faults.next("ack late")
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    before = agent.heard_bytes
    sim.world.advance(3.5)
    assert agent.heard_bytes == before
    sim.world.advance(2.0)
    assert agent.heard_bytes > before
    end(sim)


def test_storage_is_down_for_a_while(make: Make) -> None:
    sim = make()
    sim.faults.rates(0, {}, storage_down=(5.0, 10.0))
    assert sim.call(CALLER, NUMBER).state == "answered"
    sim.world.advance(6.0)
    assert sim.call(CALLER, NUMBER).state == "ended"
    assert [(fault.kind, fault.event) for fault in sim.faults.log] == [("storage down", "CARTESIA_AGENT_ID")]
    sim.world.advance(10.0)
    assert sim.call(CALLER, NUMBER).state == "answered"
    end(sim)


def test_a_plane_dies_at_an_event(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next("plane died", "http.request")
    url = sim.session_of(caller).control_url.rpartition("/")[2]
    sim.edge.request("POST", url, {"content-type": "application/json"}, b'{"action": "sing"}')
    sim.world.advance(4.0)
    assert (caller.state, record_of(sim, caller).cause) == ("ended", "plane.lost")


@pytest.mark.parametrize("kind", ["packet lost", "packet late", "packet doubled"])
def test_one_packet_goes_wrong(sim: Simulation, kind: str) -> None:
    caller = sim.call(CALLER, NUMBER)
    sim.faults.next(kind, "rtp", nth=10)
    agent_of(sim, caller).say("hello", 1.0)
    sim.world.advance(2.0)
    assert kinds_of(sim) == [kind]
    assert heard(sim, caller)["hello"] == pytest.approx(1.0, abs=0.05)
    assert sim.network.lost == (kind == "packet lost")
    end(sim)


def test_an_invite_that_is_lost_is_sent_again(sim: Simulation) -> None:
    sim.faults.next("signalling lost", "INVITE")
    caller = sim.call(CALLER, NUMBER)
    assert caller.state == "calling"
    sim.world.advance(0.6)
    assert caller.state == "answered"
    assert [fault.kind for fault in sim.faults.log] == ["signalling lost"]
    end(sim)


def test_chance_is_the_seeds_and_orders_repeat_it() -> None:
    def run(faults: Faults) -> list[bool]:
        return [faults.happens("answer lost", event) for event in ("a", "b") * 20]

    def made(seed: int) -> Faults:
        faults = Faults(lambda: 0.0)
        faults.rates(seed, {"lost_answers": 0.2})
        return faults

    first = made(3)
    came = run(first)
    assert came == run(made(3))
    assert came != run(made(4))
    assert 0 < sum(came) < 20
    again = Faults(lambda: 0.0)
    again.only(first.log)
    again.rates(4, {"lost_answers": 1.0})
    assert run(again) == came
    assert again.log == first.log
    assert not any(fault.ordered for fault in again.log)


@pytest.mark.parametrize(
    ("rates", "window", "message"),
    [
        ({"lost_answer": 0.1}, None, "there is no 'lost_answer'; there are agent_drops"),
        ({"crashes": 1.5}, None, "crashes: 1.5 is no share"),
        ({}, (-1.0, 2.0), "storage_down"),
    ],
)
def test_what_is_no_fault_is_named(rates: dict[str, float], window: tuple[float, float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faults(lambda: 0.0).rates(0, rates, window)


def test_unknown_orders_are_named() -> None:
    faults = Faults(lambda: 0.0)
    with pytest.raises(ValueError, match="there is no 'answer gone'; there are ack late"):
        faults.next("answer gone")
    with pytest.raises(ValueError, match="nth"):
        faults.next("answer lost", nth=0)
    assert len(set(KINDS.values())) == len(KINDS)
