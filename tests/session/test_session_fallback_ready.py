"""A call that waits for its agent when the fallback takes it over: from then on it rings for whoever is dialled, and
its agent's end is nothing to it (DESIGN §4, §7.7)."""

import pytest

from cordboard.contract import link
from cordboard.contract.patience import Fallback, Patience
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round

TO = Fallback(to="+15550100", callerid="+15550199", timeout=20, prompt="nobody is there", code=503)
PROMPT = Fallback(prompt="not heard", code=503)
CURVE = Patience(tone_after=0.7, fallback_after=3.0)
WAYS = ["late", "late, agent starting", "failed", "agent refused", "start refused"]


def expecting(made: Round) -> Answer:
    """Answers when its agent is ready, with all that may be commanded meanwhile."""
    if made.round == 0:
        made.command("call.answer", "caller", when="agent_ready")
        made.command("call.record", "caller")
        made.command("call.say", "caller", sound={"kind": "text", "content": "welcome"}, name="say")
        create = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16"}
        return made.wait(made.command("agent.create", "agent", **create))
    if made.outcome()["status"] == "failed":
        return made.fail("CommandFailed", "the agent")
    if made.round == 1:
        made.command("media.bridge", "caller+agent", a="caller", b="agent")
        return made.wait(made.command("agent.start", "agent"))
    return made.done()


def failing(made: Round) -> Answer:
    return expecting(made) if made.round == 0 else made.fail()


def taken_over(way: str, fallback: Fallback, callee: str = "ring") -> Bench:
    """A ringing call whose fallback has begun."""
    bench = Bench(call_alerting=failing if way == "failed" else expecting, call_failed=None, command_failed=None)
    bench.scenario_on_error, bench.patience, bench.fallback = "fallback", CURVE, fallback
    bench.retake()
    bench.callee.mode = callee
    if way == "late":
        bench.hold.add("call.alerting")
    elif way == "late, agent starting":
        bench.plane.mute.add(link.AgentBegin)
    elif way == "agent refused":
        bench.plane.refuse[link.AgentOpen] = ("connect_failed", "refused")
    elif way == "start refused":
        bench.plane.refuse[link.AgentBegin] = ("not_acked", "no ack")
    bench.caller.call()
    if way == "late":  # its first round is answered, the second never is
        bench.give(bench.held.pop())
        bench.pump()
    if way.startswith("late"):
        assert bench.noted("fallback") == []
        bench.run(3.01)
    [begun] = [entry for entry in bench.kept.timeline if entry.what == "fallback"]
    assert begun.data["why"] == ("late" if way.startswith("late") else {"failed": "KeyError"}.get(way, "CommandFailed"))
    return bench


@pytest.mark.parametrize("way", WAYS)
def test_the_caller_rings_on_until_the_one_that_is_dialled_answers(way: str) -> None:
    bench = taken_over(way, TO)
    bench.run(12)  # longer than a call waits for its agent
    assert bench.caller.all(sip.Failed) == []
    assert bench.callee.all(sip.Ended) == []
    assert {event.code for event in bench.caller.all(sip.Provisional)} == {180}
    bench.callee.pick_up()
    bench.run(1)
    assert len(bench.caller.all(sip.Answered)) == 1
    caller, to, agent = (f"{bench.sid}/{name}" for name in ("caller", "fallback", "agent"))
    routes = [(message.source, message.sink) for message in bench.plane.all(link.Route)]
    assert routes[-2:] == [(to, caller), (caller, to)]
    assert all(agent not in route for route in routes)
    assert bench.plane.all(link.PlayOver) == []
    bench.callee.hang_up()
    bench.run(1)
    assert bench.record.cause == "fallback.hangup"


@pytest.mark.parametrize("way", WAYS)
def test_the_caller_is_refused_with_the_fallback_s_code_where_nobody_is_reached(way: str) -> None:
    bench = taken_over(way, TO, "busy")
    assert bench.caller.last(sip.Failed).code == 503
    bench.run(20)
    assert bench.record.cause == ("handler.late" if way.startswith("late") else "handler.failed")
    assert bench.record.fault == "function"


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_hears_no_prompt_is_refused_with_the_fallback_s_code(way: str) -> None:
    bench = taken_over(way, PROMPT)
    assert bench.caller.last(sip.Failed).code == 503
    bench.run(20)
    assert bench.record.cause == ("handler.late" if way.startswith("late") else "handler.failed")


def test_an_agent_that_is_ready_after_all_answers_nothing() -> None:
    bench = taken_over("late, agent starting", TO)
    bench.plane.release(link.AgentBegin)
    assert bench.caller.all(sip.Answered) == []
    bench.caller.hang_up()
    bench.run(1)
    assert len(bench.callee.all(sip.Ended)) == 1
    assert bench.record.cause == "caller.cancelled"


def test_a_call_whose_wait_is_given_up_is_recorded_from_its_answer() -> None:
    bench = taken_over("late", TO, "answer")
    bench.run(1)
    assert len(bench.plane.all(link.RecordBegin)) == 1
    assert [each for each in bench.effects if isinstance(each, out.PreparePrompt)]
