"""What a caller hears, and when, while the function is late: found in the sound that arrives at the phone."""

import itertools
import json
import random
from pathlib import Path

import pytest
from tests.simulator.calls import CALLER, agent_of, control, record_of
from tests.simulator.conftest import Make

from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation
from cordboard.simulator.voices import tones_in

TEMPLATE = Path(__file__).parent / "patience" / "template.yaml"
TONE, PROMPT, LAST = "400 Hz", "One moment please.", "Please call again."
FRAME = 0.02


@pytest.fixture
def late(make: Make) -> Simulation:
    return make(TEMPLATE)


def answered_at(sim: Simulation, phone: Phone) -> float:
    """The moment of our 200."""
    session = sim.session_of(phone)
    return session.began + next(each.at for each in session.timeline if each.what == "call.connected:caller")


def heard(sim: Simulation, phone: Phone, since: float | None = None) -> list[tuple[str, float, float]]:
    """(what, from, to) in seconds since the answer, or another moment; the pauses of the comfort tone count as it."""
    zero = answered_at(sim, phone) if since is None else since
    found: list[tuple[str, float, float]] = []
    for (first, one), (second, two) in zip(phone.frames, phone.frames[1:], strict=False):
        if first < zero or second - first > 1.5 * FRAME:
            continue
        tones = tones_in([one, two])
        if not tones:
            continue
        said = sim.voices.of(tones[0][0])
        what = said.text if said is not None else f"{tones[0][0]} Hz"
        begin, end = round(first - zero, 3), round(second - zero + FRAME, 3)
        if found and found[-1][0] == what and begin - found[-1][2] < 1.5:
            found[-1] = (what, found[-1][1], end)
        else:
            found.append((what, begin, end))
    return found


def near(what: str, begin: float, end: float) -> tuple[object, ...]:
    return what, pytest.approx(begin, abs=0.05), pytest.approx(end, abs=0.05)


def test_a_function_in_time_lets_nothing_be_heard(late: Simulation) -> None:
    caller = late.call(CALLER, "late-0.6")
    late.world.advance(3)
    assert heard(late, caller) == []
    agent_of(late, caller).say("hello", 1.0)
    late.world.advance(2)
    assert [what for what, _, _ in heard(late, caller)] == ["hello"]
    caller.hangup()


def test_the_tone_from_0_7_s_and_the_prompt_from_2_s_and_both_end_with_the_answer(late: Simulation) -> None:
    caller = late.call(CALLER, "late-2.5")
    late.world.advance(2.45)
    assert heard(late, caller)[0] == near(TONE, 0.7, 0.9)
    assert heard(late, caller)[1][:2] == near(PROMPT, 2.0, 0)[:2]
    late.world.advance(0.15)
    agent_of(late, caller).say("hello", 1.0)
    late.world.advance(2)
    _, prompt, hello = heard(late, caller)
    assert prompt == near(PROMPT, 2.0, 2.5)
    assert hello == near("hello", 2.6, 3.6)
    caller.hangup()


def test_the_tone_alone_ends_at_once_too(late: Simulation) -> None:
    caller = late.call(CALLER, "late-0.8")
    late.world.advance(4)
    assert heard(late, caller) == [near(TONE, 0.7, 0.8)]
    caller.hangup()


def test_a_sound_that_the_handler_commands_takes_the_prompt_s_place(late: Simulation) -> None:
    caller = late.call(CALLER, "say-2.5")
    late.world.advance(5)
    assert [what for what, _, _ in heard(late, caller)] == [TONE, PROMPT, "Here you are."]
    assert heard(late, caller)[2][1] == pytest.approx(2.55, abs=0.06)
    caller.hangup()


def test_the_whole_curve_to_the_fallback_at_5_s(late: Simulation) -> None:
    caller = late.call(CALLER, "late-9")
    late.world.advance(4.95)
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(0.1)
    [other] = late.exchange.dialed("+15550100")
    tone, prompt, again, *_ = heard(late, caller)
    assert tone[:2] == near(TONE, 0.7, 0)[:2]
    assert prompt == near(PROMPT, 2.0, 3.2)
    assert again[:2] == near(TONE, 3.4, 0)[:2]  # the tone's cadence goes on where the prompt broke in
    samples = caller.samples
    late.world.advance(1.5)
    assert caller.samples - samples == pytest.approx(1.5 * 8000, abs=400)  # ringback
    other.answer()
    late.world.settle()
    began = late.world.now
    other.say("what can I do for you", 1.0)
    caller.say("my function is late", 1.0)
    late.world.advance(5)
    assert [what for what, _, _ in heard(late, caller, began)] == ["what can I do for you"]
    assert "late answer dropped" in [each.what for each in late.session_of(caller).timeline]
    other.hangup()
    late.world.settle()
    assert record_of(late, caller).cause == "fallback.hangup"
    assert late.service.of_session(late.session_of(caller).id) == []


def test_where_nobody_answers_the_fallback_s_prompt_is_the_last_word(late: Simulation) -> None:
    caller = late.call(CALLER, "late-9")
    late.world.advance(17)
    assert heard(late, caller)[-1] == near(LAST, 15.0, 15.0 + len(LAST) / 15)
    assert caller.state == "ended"
    assert record_of(late, caller).cause == "handler.late"
    assert record_of(late, caller).fault == "function"


def test_a_call_that_rings_hears_nothing_and_is_dialled_on_after_5_s(late: Simulation) -> None:
    caller = late.call(CALLER, "ring-9")
    late.world.advance(4.9)
    assert caller.frames == []
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(0.2)
    [other] = late.exchange.dialed("+15550100")
    assert caller.state == "ringing"
    other.answer()
    late.world.settle()
    assert caller.state == "answered"
    caller.hangup()
    late.world.settle()
    assert other.state == "ended"


def test_silence_is_counted_from_the_answer_not_from_the_ring(late: Simulation) -> None:
    caller = late.call(CALLER, "ready-0")
    assert caller.state == "answered"
    agent_of(late, caller).say("hello", 1.0)
    late.world.advance(3)
    assert [what for what, _, _ in heard(late, caller)] == ["hello"]
    caller.hangup()


def test_nobody_talks_over_an_agent(late: Simulation) -> None:
    caller = late.call(CALLER, "late-0")
    late.world.advance(0.5)
    began = late.world.now
    agent_of(late, caller).say("a long story", 8.0)
    with pytest.raises(KeyError):  # the reply takes its time
        control(late, caller, {"seconds": 4.5})
    late.world.advance(6)
    assert [what for what, _, _ in heard(late, caller, began)] == ["a long story"]
    assert late.exchange.dialed("+15550100") == []
    caller.hangup()


def test_a_caller_whose_agent_is_taken_away_is_shielded_and_the_agent_is_back(late: Simulation) -> None:
    caller = late.call(CALLER, "late-0")
    late.world.advance(0.5)
    with pytest.raises(KeyError):
        control(late, caller, {"seconds": 2.5, "alone": True})
    began = late.world.now
    late.world.advance(3)
    agent_of(late, caller).say("here I am again", 1.0)
    late.world.advance(2)
    tone, prompt, back = heard(late, caller, began)
    assert (tone[:2], prompt) == (near(TONE, 0.7, 0)[:2], near(PROMPT, 2.0, 2.5))
    assert back == near("here I am again", 3.0, 4.0)
    caller.hangup()


def test_a_caller_on_hold_is_left_alone(late: Simulation) -> None:
    caller = late.call(CALLER, "late-9")
    late.world.advance(0.5)
    caller.hold()
    late.world.advance(8)
    assert heard(late, caller) == []
    assert late.exchange.dialed("+15550100") == []
    caller.hangup()


def test_an_event_that_fails_and_leaves_silence_is_as_late_as_can_be(late: Simulation) -> None:
    caller = late.call(CALLER, "late-0")
    late.world.advance(0.5)
    for nth in (2, 3):  # the round after the one that took the agent away, and its second attempt
        late.faults.next("function crashed", "http.request", nth)
    began = late.world.now
    assert control(late, caller, {"seconds": 0, "alone": True}).status == 500
    late.world.advance(4.9)
    assert [what for what, _, _ in heard(late, caller, began)] == [TONE, PROMPT, TONE]
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(0.2)
    assert len(late.exchange.dialed("+15550100")) == 1
    caller.hangup()


def test_an_agent_that_does_not_acknowledge_is_silence_too(late: Simulation) -> None:
    late.faults.next("ack late")
    caller = late.call(CALLER, "late-0")
    late.world.advance(3.9)
    tone, prompt, again = heard(late, caller)
    assert (tone[:2], prompt[:2], again[0]) == (near(TONE, 0.7, 0)[:2], near(PROMPT, 2.0, 0)[:2], TONE)
    late.world.advance(0.2)
    began = late.world.now
    agent_of(late, caller).say("hello", 1.0)
    late.world.advance(3)
    assert heard(late, caller, began) == [near("hello", 0, 1)]
    caller.hangup()


KEEP_ALIVE = 0.1
"""Seconds around a frame in which no other came: it keeps a path open, and is no sound."""
LIMIT = 2.5


def crowd(seed: int) -> Simulation:
    """Callers of a scenario whose functions crash, are lost and are late, and whose agents and callees never stop
    speaking: whoever hears nothing is in silence."""
    sim = Simulation(TEMPLATE, seed=seed)
    sim.keys(CARTESIA_API_KEY="test-key")
    chance = random.Random(seed)
    rates = {"lost_answers": 0.12, "crashes": 0.12, "late_answers": 0.12, "agent_drops": 0.0005, "agent_slow_ack": 0.3}
    sim.faults.rates(seed, rates)
    phones: list[Phone] = []
    for step in range(80):
        if step % 5 == 0 and step < 40:
            how = chance.choice(("late", "late", "late", "ring", "ready"))
            phones.append(sim.call(CALLER, f"{how}-{chance.choice((0, 0.5, 1.5, 3, 7))}"))
        for agent in sim.service.agents:
            if agent.connected and agent.started and agent.sound_until < sim.world.now + 0.25:
                agent.say("and on", 0.5)  # short pieces: what is unbridged is lost, and is no silence of a function
        for phone in sim.exchange.phones:
            if phone.state == "ringing" and phone not in phones and chance.random() < 0.2:
                phone.answer()
            elif phone.state == "answered" and phone not in phones:
                phone.say("what can I do", 0.5)
        for phone in phones:
            if phone.state == "answered" and chance.random() < 0.08:
                asked = {"seconds": chance.choice((0, 1, 3)), "alone": chance.random() < 0.7}
                url = sim.session_of(phone).control_url.rpartition("/")[2]
                sim.edge.request("POST", url, {"content-type": "application/json"}, json.dumps(asked).encode())
            if phone.state == "answered" and chance.random() < 0.02:
                phone.hangup()
        sim.world.advance(0.5)
    for phone in sim.exchange.phones:
        phone.hangup()
    return sim


def silences(sim: Simulation, phone: Phone) -> list[tuple[float, float]]:
    """(from, seconds) of every time in which an answered caller heard nothing at all."""
    moments = [moment for moment, _ in phone.frames]
    near = [0.0, *moments, 1e9]
    sound = [
        moment
        for before, moment, after in zip(near, moments, near[2:], strict=False)
        if min(moment - before, after - moment) < KEEP_ALIVE
    ]
    record = record_of(sim, phone)
    leg = next(each for each in record.legs if each.name == "caller")
    begin = answered_at(sim, phone)
    edges = [begin, *sound, begin + leg.duration]
    return [(one - begin, two - one) for one, two in itertools.pairwise(edges)]


@pytest.mark.parametrize("seed", range(4))
def test_no_caller_waits_in_silence_whatever_befalls_the_functions(seed: int) -> None:
    with crowd(seed) as sim:
        sim.quiet()
        answered = [phone for phone in sim.exchange.phones if phone.invite is None and phone.frames]
        assert len(answered) >= 3
        assert len(sim.faults.log) > 5
        for phone in answered:
            worst = max(silences(sim, phone), key=lambda each: each[1])
            assert worst[1] <= LIMIT, (worst, [(e.at, e.kind, e.what) for e in sim.session_of(phone).timeline])
