"""What an agent said last is heard to its end, whatever its handler does then: silence counts from the last word."""

from typing import Any

import pytest
from tests.simulator.calls import CALLER, NUMBER, agent_of, control, record_of
from tests.simulator.conftest import Make
from tests.simulator.test_simulated_patience import LAST, PROMPT, TEMPLATE, TONE, heard, near

from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation

FAREWELL = "good bye"


def about(seconds: float, within: float = 0.1) -> Any:
    """The plane tells that its queue is dry ten times a second."""
    return pytest.approx(seconds, abs=within)


@pytest.fixture
def late(make: Make) -> Simulation:
    return make(TEMPLATE)


def with_farewell(sim: Simulation, called: str, seconds: float, *, hangs_up: bool = True) -> tuple[Phone, float]:
    """A call whose agent begins to say good-bye, which comes at once, and when it began."""
    caller = sim.call(CALLER, called)
    sim.world.advance(0.5)
    began = sim.world.now
    agent = agent_of(sim, caller)
    agent.say(FAREWELL, seconds)
    if hangs_up:
        agent.drop(1000, "call ended by agent")
    return caller, began


def is_heard(sim: Simulation, caller: Phone, began: float, seconds: float) -> list[tuple[str, float, float]]:
    """All that a caller heard; its farewell first, and whole."""
    (what, begin, end), *rest = heard(sim, caller, began)
    assert (what, begin, end) == near(FAREWELL, 0.0, seconds)
    return rest


def test_a_handler_that_is_late_with_the_close_lets_the_farewell_be_heard(late: Simulation) -> None:
    caller, began = with_farewell(late, "bye-30", 12.0)
    late.world.advance(16.9)
    tone, prompt, _ = is_heard(late, caller, began, 12.0)
    assert (tone[0], prompt[0]) == (TONE, PROMPT)
    assert (tone[1], prompt[1]) == (about(12.75), about(14.05))
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(0.3)
    assert len(late.exchange.dialed("+15550100")) == 1
    caller.hangup()


def test_a_handler_that_does_nothing_leaves_the_caller_alone_from_the_last_word_on(late: Simulation) -> None:
    caller, began = with_farewell(late, "bye-0", 16.0)
    late.world.advance(25.9)
    assert is_heard(late, caller, began, 16.0) == []
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(2.2)  # it is looked at once a second
    assert len(late.exchange.dialed("+15550100")) == 1
    caller.hangup()


def test_a_handler_that_answers_within_the_farewell_has_shown_no_patience_at_all(late: Simulation) -> None:
    caller, began = with_farewell(late, "bye-11", 12.0)
    late.world.advance(20)
    assert is_heard(late, caller, began, 12.0) == []
    caller.hangup()


def test_an_agent_that_its_handler_closed_is_heard_out(late: Simulation) -> None:
    caller, began = with_farewell(late, "bye-0", 6.0, hangs_up=False)
    with pytest.raises(KeyError):  # the reply takes its time
        control(late, caller, {"seconds": 30, "close": True})
    late.world.advance(10.9)
    tone, prompt, _ = is_heard(late, caller, began, 6.0)
    assert (tone[1], prompt[1]) == (about(6.75), about(8.05))
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(0.3)
    assert len(late.exchange.dialed("+15550100")) == 1
    caller.hangup()


def test_a_player_is_heard_out(late: Simulation) -> None:
    text = "a sentence of sixty characters, which takes four seconds too"
    caller = late.call(CALLER, "bye-0")
    late.world.advance(0.5)
    began = late.world.now
    with pytest.raises(KeyError):
        control(late, caller, {"seconds": 30, "alone": True, "say": text})
    late.world.advance(8.9)
    sentence, tone, prompt, _ = heard(late, caller, began)
    assert (sentence[0], sentence[2] - sentence[1]) == (text, about(len(text) / 15, 0.03))
    last = sentence[2]
    assert (tone[1] - last, prompt[1] - last) == (about(0.8), about(2.1))
    assert late.exchange.dialed("+15550100") == []
    late.world.advance(0.5)
    assert len(late.exchange.dialed("+15550100")) == 1
    caller.hangup()


def test_the_fallback_of_a_failed_close_rings_behind_the_farewell(late: Simulation) -> None:
    for nth in (1, 2):
        late.faults.next("function crashed", "websocket.close:agent", nth)
    caller, began = with_farewell(late, "bye-0", 4.0)
    late.world.advance(4.5)
    [other] = late.exchange.dialed("+15550100")
    [ringback] = is_heard(late, caller, began, 4.0)
    assert ringback[1] == about(4.1)
    other.answer()
    late.world.settle()
    other.say("what can I do", 1.0)
    late.world.advance(2)
    assert heard(late, caller, began)[-1][0] == "what can I do"
    caller.hangup()


def test_a_fallback_that_reaches_nobody_speaks_after_the_farewell(late: Simulation) -> None:
    for nth in (1, 2):
        late.faults.next("function crashed", "websocket.close:agent", nth)
    caller, began = with_farewell(late, "bye-0", 14.0)
    late.world.advance(18)  # the one that is dialled has ten seconds
    [(what, begin, end)] = is_heard(late, caller, began, 14.0)
    assert (what, end - begin) == (LAST, about(1.2, 0.03))
    assert begin == about(14.15, 0.15)
    assert caller.state == "ended"


def test_a_failed_close_that_ends_the_call_ends_it_after_the_farewell(sim: Simulation) -> None:
    for nth in (1, 2):
        sim.faults.next("function crashed", "websocket.close:agent", nth)
    caller, began = with_farewell(sim, NUMBER, 4.0)
    sim.world.advance(6)
    assert is_heard(sim, caller, began, 4.0) == []
    assert caller.state == "ended"
    assert record_of(sim, caller).cause == "handler.failed"
