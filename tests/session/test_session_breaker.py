"""The circuit breaker of a function: when it opens, what events meet meanwhile, and how it closes again."""

import inspect
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.contract import link
from cordboard.contract.patience import Fallback, Patience
from cordboard.session import effects as out
from cordboard.session.breaker import FAILURES, PAUSE, Breakers
from cordboard.sip import events as sip

from .session_bench import Bench, answered, with_agent


def lose_all(bench: Bench, kind: str = "crashed") -> None:
    """Everything that is asked goes without an answer."""
    while bench.held:
        bench.lose(bench.held.pop(0), kind)


def broken(bench: Bench, times: int = FAILURES, kind: str = "crashed") -> Bench:
    """A call after rounds without an answer: each digit is asked for twice."""
    bench.caller.call()
    bench.hold.add("call.tone")
    while len(bench.of("call.tone")) < times:
        bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
        while bench.held and len(bench.of("call.tone")) <= times:
            bench.lose(bench.held.pop(0), kind)
    return bench


def test_five_rounds_without_an_answer_open_it_and_nothing_waits_any_more() -> None:
    bench = broken(Bench(call_alerting=with_agent, call_tone=None, http_request=None))
    assert len(bench.of("call.tone")) == FAILURES
    assert bench.noted("breaker opens")
    assert [each.message for each in bench.kept.logs] == ["the breaker of a function opens"]
    for _ in range(100):
        bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert bench.status(bench.http(bench.control_path)) == 500
    assert len(bench.of("call.tone")) == FAILURES
    assert bench.of("http.request") == []


def test_it_is_the_function_s_and_not_the_call_s() -> None:
    bench = broken(Bench(call_alerting=with_agent, call_tone=None))
    bench.caller.hang_up()
    bench.run(1)
    bench.caller.call()
    assert bench.caller.last(sip.Failed).code == 480
    assert bench.kept.ended[-1].cause == "handler.failed"
    assert len(bench.of("call.alerting")) == 3


def test_one_event_a_pause_is_let_through_and_an_answer_closes_it() -> None:
    bench = broken(Bench(call_alerting=with_agent, call_tone=None))
    bench.run(PAUSE - 0.1)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert bench.held == []
    bench.run(0.2)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert len(bench.held) == 1
    bench.lose(bench.held.pop(), "timeout")
    assert bench.held == []  # a probe is tried once
    bench.run(PAUSE)
    bench.hold.clear()
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert bench.noted("breaker closes")
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert len(bench.of("call.tone")) == FAILURES + 3


@pytest.mark.parametrize("kind", ["raised", "too_large"])
def test_what_costs_no_time_does_not_open_it(kind: str) -> None:
    bench = broken(Bench(call_alerting=with_agent, call_tone=None), times=20, kind=kind)
    assert not bench.noted("breaker opens")


def test_an_answer_in_between_begins_the_count_anew() -> None:
    bench = broken(Bench(call_alerting=with_agent, call_tone=None), times=FAILURES - 1)
    bench.hold.clear()
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    bench.hold.add("call.tone")
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    bench.lose(bench.held.pop(), "crashed")
    assert len(bench.held) == 1
    assert not bench.noted("breaker opens")


def test_a_call_that_comes_meanwhile_has_the_fallback_at_once() -> None:
    bench = Bench(call_alerting=with_agent, call_tone=None)
    bench.patience = Patience(fallback_after=5.0)
    bench.fallback = Fallback(to="+15550100")
    bench.callee.mode = "ring"
    bench.retake()
    broken(bench)
    bench.caller.hang_up()
    bench.run(1)
    bench.caller.call()
    assert bench.callee.last(sip.IncomingInvite).callee == "+15550100"
    bench.callee.pick_up()
    assert bench.caller.all(sip.Failed) == []
    assert bench.caller.last(sip.Answered).leg == bench.caller.leg


def test_a_caller_who_speaks_with_an_agent_keeps_it() -> None:
    bench = Bench(call_alerting=with_agent, call_tone=None, http_request=None)
    bench.patience, bench.fallback = Patience(fallback_after=5.0), Fallback(code=503)
    bench.retake()
    broken(bench)
    assert bench.status(bench.http(bench.control_path)) == 500
    assert bench.plane.all(link.AgentClose) == []
    assert bench.caller.all(sip.Ended) == []


def test_a_full_mailbox_of_refused_events_is_worked_off() -> None:
    bench = Bench(call_alerting=answered, call_tone=None, http_request=None)
    bench.caller.call()
    bench.hold.add("http.request")
    bench.http(bench.control_path)
    for _ in range(150):
        bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    breakers = bench.engine._services.breakers
    for _ in range(FAILURES):
        breakers.failed("r1", "app", bench.now)
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 300)  # none of them may begin within another's end
    try:
        lose_all(bench)
    finally:
        sys.setrecursionlimit(depth)
    assert [each.data["error"] for each in bench.noted("call.tone failed")] == ["breaker_open"] * 150
    assert bench.caller.all(sip.Ended) == []


def test_the_timeline_and_the_log_tell_it_without_a_word_of_the_event() -> None:
    bench = broken(Bench(call_alerting=with_agent, call_tone=None))
    [line] = [effect for effect in bench.effects if isinstance(effect, out.Log)]
    assert line.fields == {"function": "app", "release": "r1"}


def test_a_probe_whose_outcome_never_comes_is_followed_by_another() -> None:
    breakers = Breakers()
    for _ in range(FAILURES):
        breakers.failed("r", "f", 0.0)
    assert [breakers.admits("r", "f", at) for at in (0, PAUSE - 0.1, PAUSE, PAUSE, 2 * PAUSE - 0.1, 2 * PAUSE)] == [
        False, False, True, False, False, True,
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("afffffx"), st.floats(0, 12)), max_size=60))
def test_an_open_one_lets_one_round_a_pause_through(story: list[tuple[str, float]]) -> None:
    breakers, now, row, let = Breakers(), 0.0, 0, -PAUSE
    for what, pause in story:
        now += pause
        if what == "a":
            assert breakers.answered("r", "f") is (row >= FAILURES)
            row = 0
        elif what == "f":
            row += 1
            assert breakers.failed("r", "f", now) is (row == FAILURES)
            let = now
        elif breakers.admits("r", "f", now):
            assert row < FAILURES or now >= let + PAUSE
            let = now if row >= FAILURES else let
        else:
            assert row >= FAILURES
            assert now < let + PAUSE
        assert breakers.open("r", "f") is (row >= FAILURES)
        assert breakers.admits("r", "other", now)
