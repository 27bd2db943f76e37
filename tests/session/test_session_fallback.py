"""DESIGN §4: what the edge does by itself with a call whose function failed, is late, or left it alone."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.patience import Fallback
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, answered, with_agent

TO = Fallback(to="+15550100", callerid="+15550199", timeout=20, prompt="nobody is there", code=503)
PROMPT = Fallback(prompt="call again, please")


def failed(made: Round) -> Answer:
    return made.fail()


def a_call(fallback: Fallback | None = TO, callee: str = "ring", **handlers: Any) -> Bench:
    """A call whose handlers' failures lead to the fallback; by default its call.tone fails."""
    bench = Bench(**{"call_alerting": with_agent, "call_tone": failed, **handlers})
    bench.scenario_on_error, bench.fallback = "fallback", fallback
    bench.retake()
    bench.callee.mode = callee
    bench.caller.call()
    return bench


def press(bench: Bench) -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))


def prompts(bench: Bench) -> list[out.PreparePrompt]:
    return [each for each in bench.effects if isinstance(each, out.PreparePrompt)]


def hear_out(bench: Bench) -> None:
    """The prompt is prepared and heard to its end."""
    bench.engine.prompt_ready(prompts(bench)[-1].request, "/p", bench.now)
    bench.pump()
    player = bench.plane.all(link.PlayOver)[-1].player
    bench.plane.tell(link.PlayerSaid(player, "finished", 2.0))


def routes(bench: Bench) -> list[tuple[str, str]]:
    return [(m.source.partition("/")[2], m.sink.partition("/")[2]) for m in bench.plane.all(link.Route)]


def test_the_caller_is_dialled_on_hears_ringing_and_is_bridged() -> None:
    bench = a_call()
    press(bench)
    assert bench.plane.all(link.AgentClose) != []
    invite = bench.callee.last(sip.IncomingInvite)
    assert (invite.callee, invite.caller) == ("+15550100", "+15550199")
    assert bench.plane.last(link.LegFallback).source == "ringback"
    bench.run(3)
    bench.callee.pick_up()
    assert routes(bench)[-2:] == [("fallback", "caller"), ("caller", "fallback")]
    assert bench.plane.last(link.LegFallback).source == ""
    bench.run(30)
    bench.callee.hang_up()
    bench.run(1)
    assert len(bench.caller.all(sip.Ended)) == 1
    assert (bench.record.cause, bench.record.fault) == ("fallback.hangup", "none")
    assert [leg.name for leg in bench.record.legs] == ["caller", "fallback"]


def test_a_caller_who_hangs_up_takes_the_other_leg_along() -> None:
    bench = a_call(callee="answer")
    press(bench)
    bench.run(5)
    bench.caller.hang_up()
    bench.run(1)
    assert len(bench.callee.all(sip.Ended)) == 1
    assert bench.record.cause == "caller.hangup"


@pytest.mark.parametrize("callee", ["busy", "ring"])
def test_where_nobody_is_reached_the_caller_is_told_and_the_call_ends(callee: str) -> None:
    bench = a_call(callee=callee)
    press(bench)
    bench.run(19.9)
    assert (prompts(bench) == []) is (callee == "ring")
    bench.run(3)
    assert [each.sounds[0].content for each in prompts(bench)] == ["nobody is there"]
    if callee == "busy":
        return
    hear_out(bench)
    bench.run(1)
    assert (bench.record.cause, bench.record.fault) == ("handler.failed", "function")


def test_what_may_not_be_dialled_is_not_dialled() -> None:
    bench = a_call(Fallback(to="+19005550100"))
    press(bench)
    bench.run(1)
    assert bench.callee.all(sip.IncomingInvite) == []
    assert bench.noted("not dialled")
    assert bench.record.cause == "handler.failed"


def test_a_prompt_is_heard_out_before_the_call_ends() -> None:
    bench = a_call(PROMPT)
    press(bench)
    bench.run(1)
    assert len(bench.caller.all(sip.Ended)) == 0
    hear_out(bench)
    assert len(bench.caller.all(sip.Ended)) == 1
    bench.run(1)
    assert bench.record.cause == "handler.failed"


def test_a_prompt_that_cannot_be_made_ends_the_call() -> None:
    bench = a_call(PROMPT)
    press(bench)
    bench.engine.prompt_failed(prompts(bench)[-1].request, "nobody can speak", bench.now)
    bench.pump()
    assert len(bench.caller.all(sip.Ended)) == 1


def test_an_unanswered_call_is_refused_with_the_code_of_the_fallback() -> None:
    bench = a_call(Fallback(prompt="not heard", code=503), call_alerting=failed)
    assert bench.caller.last(sip.Failed).code == 503
    assert prompts(bench) == []
    bench.run(20)
    assert bench.record.cause == "handler.failed"


def test_an_unanswered_call_rings_until_the_one_that_is_dialled_answers() -> None:
    bench = a_call(call_alerting=failed)
    assert [each.code for each in bench.caller.all(sip.Provisional)][-1] == 180
    assert bench.caller.all(sip.Answered) == []
    bench.run(3)
    bench.callee.pick_up()
    assert len(bench.caller.all(sip.Answered)) == 1
    assert routes(bench) == [("fallback", "caller"), ("caller", "fallback")]


def test_an_unanswered_call_whose_fallback_is_busy_is_refused() -> None:
    bench = a_call(callee="busy", call_alerting=failed)
    assert bench.caller.last(sip.Failed).code == 503


def test_a_failed_alerting_leads_to_the_fallback_once_the_call_is_answered() -> None:
    def handler(made: Round) -> Answer:
        return made.wait(made.command("call.answer", "caller")) if made.round == 0 else made.fail()

    bench = Bench(call_alerting=handler)
    bench.fallback = PROMPT
    bench.retake()
    bench.caller.call()
    assert len(prompts(bench)) == 1


def test_from_then_on_handlers_hear_of_the_call_s_end_alone() -> None:
    bench = a_call(
        call_connected=None, call_disconnected=None, websocket_close=None, timer=None, session_terminating=None,
        http_request=None,
    )  # fmt: skip
    bench.callee.mode = "answer"
    before = len(bench.rounds)
    press(bench)
    press(bench)
    bench.run(5)
    assert [made.type for made in bench.rounds[before:]] == ["call.tone"]
    assert bench.status(bench.http(bench.control_path)) == 503
    bench.caller.hang_up()
    bench.run(1)
    assert [(made.type, made.target) for made in bench.rounds[before + 1 :]] == [
        ("call.disconnected", "caller"),
        ("session.terminating", None),
    ]


def test_requests_that_wait_are_told_that_no_handler_is_asked_any_more() -> None:
    bench = a_call(http_request=None)
    bench.hold.add("call.tone")
    press(bench)
    waiting = [bench.http(bench.control_path) for _ in range(3)]
    assert [bench.status(each) for each in waiting] == [None] * 3
    bench.answer(bench.held[0], bench.held[0].fail())
    assert [bench.status(each) for each in waiting] == [503] * 3
    assert all(b'"fallback"' in bench.kept.replies[each].body for each in waiting)


def test_what_the_handler_had_begun_is_over() -> None:
    def consult(made: Round) -> Answer:
        made.command("call.dial", "consult", to="+15550177")
        made.command("timer.set", "late", seconds=600)
        made.command("call.gather", "caller", name="pin", secret=True, timeout=60)
        made.command("player.create", "music", sound={"kind": "url", "content": "hold.wav"}, loop=True)
        return made.done()

    bench = a_call(PROMPT, http_request=consult, call_gathered=None, timer=failed)
    bench.http(bench.control_path)
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {}, bench.now))
    press(bench)
    assert len(bench.callee.all(sip.Ended)) == 1  # cancelled
    assert len(bench.plane.all(link.LegGatherEnd)) == 1
    bench.run(20)
    assert bench.of("timer") == []
    assert bench.of("call.gathered") == []
    assert bench.record.cause == "handler.failed"


def test_a_late_answer_changes_nothing() -> None:
    bench = a_call(PROMPT, agent_custom=None, call_message=None)
    bench.hold.add("call.tone")
    press(bench)
    (late,) = bench.held
    bench.lose(late, "crashed")
    bench.lose(bench.held[-1], "crashed")
    assert len(prompts(bench)) == 1
    late.command("call.hangup", "caller")
    bench.answer(late, late.done())
    assert bench.noted("late answer dropped")
    assert bench.caller.all(sip.Ended) == []


def test_a_call_that_hears_nobody_is_given_the_fallback_in_place_of_its_end() -> None:
    bench = Bench(call_alerting=answered)
    bench.fallback = PROMPT
    bench.retake()
    bench.caller.call()
    bench.run(9)
    assert prompts(bench) == []
    bench.run(3)
    assert len(prompts(bench)) == 1
    hear_out(bench)
    bench.run(1)
    assert bench.record.cause == "limit.unbridged"


def test_a_call_that_is_being_hung_up_after_playout_is_left_to_its_end() -> None:
    def goodbye(made: Round) -> Answer:
        made.command("call.hangup", "caller", after="playout")
        return made.done()

    bench = a_call(TO, http_request=goodbye)
    bench.http(bench.control_path)
    press(bench)
    bench.run(1)
    assert bench.callee.all(sip.IncomingInvite) == []
    assert bench.record.cause == "handler.failed"
