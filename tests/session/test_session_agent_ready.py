"""DESIGN §7.7: a call that is answered once its agent is ready rings until then, and is refused where it is not."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round


def create(made: Round, name: str = "agent", version: str = "2025-04-16") -> str:
    return made.command("agent.create", name, api_key={"secret": "KEY"}, agent_id="a1", version=version)


def when_ready(made: Round) -> Answer:
    """Everything is commanded before the call is answered; a failure is swallowed."""
    if made.round == 0:
        made.command("call.answer", "caller", when="agent_ready")
        made.command("call.record", "caller")
        return made.wait(create(made))
    if made.round == 1 and made.outcome()["status"] == "done":
        made.command("media.bridge", "caller+agent", a="caller", b="agent")
        made.command("agent.start", "agent")
    return made.done()


def ringing(*changes: str, **handlers: Any) -> Bench:
    """A call whose agent has not acknowledged yet."""
    bench = Bench(*changes, **{"call_alerting": when_ready, "command_failed": None, **handlers})
    bench.plane.mute.add(link.AgentBegin)
    bench.caller.call()
    return bench


def responses(bench: Bench) -> list[int]:
    """Codes that the caller got, 100 apart."""
    return [event.code for event in bench.caller.all(sip.Provisional)] + [
        event.response.code for event in bench.caller.all(sip.Answered)
    ]


def routes(bench: Bench) -> list[str]:
    return [message.sink.partition("/")[2] for message in bench.plane.all(link.Route)]


def test_the_caller_hears_ringing_until_the_agent_has_acknowledged() -> None:
    bench = ringing()
    bench.run(9.5)
    assert responses(bench) == [180]
    assert bench.of("call.connected") == []
    bench.plane.release(link.AgentBegin)
    assert responses(bench) == [180, 200]
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.cause == "caller.hangup"


def test_what_was_commanded_meanwhile_takes_effect_at_the_answer() -> None:
    bench = ringing()
    bench.run(3)
    assert routes(bench) == []
    assert bench.plane.all(link.RecordBegin) == []
    bench.plane.release(link.AgentBegin)
    assert routes(bench) == ["agent", "caller"]
    assert len(bench.plane.all(link.RecordBegin)) == 1
    sent = [type(message) for message in bench.plane.got]
    answered = max(index for index, message in enumerate(bench.plane.got) if isinstance(message, link.LegMedia))
    assert answered < sent.index(link.RecordBegin) < sent.index(link.Route)


def test_a_prompt_waits_for_the_answer_and_a_route_that_was_undone_does_not_come() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller", when="agent_ready")
            made.command("call.say", "caller", sound={"kind": "text", "content": "hello"}, name="say")
            return made.wait(create(made))
        made.command("media.send", "agent+caller", source="agent", sink="caller")
        made.command("media.stop", "agent+caller", source="agent", sink="caller")
        made.command("call.say", "caller", sound={"kind": "text", "content": "welcome"}, name="again")
        made.command("agent.start", "agent")
        return made.done()

    bench = ringing(call_alerting=handler)
    for effect in [each for each in bench.effects if isinstance(each, out.PreparePrompt)]:
        bench.engine.prompt_ready(effect.request, "/p", bench.now)
    bench.pump()
    assert bench.plane.all(link.PlayOver) == []
    bench.plane.release(link.AgentBegin)
    assert [message.player.partition("/")[2] for message in bench.plane.all(link.PlayOver)] == ["again~p2"]
    assert routes(bench) == []


def test_early_media_that_the_handler_began_is_followed_by_no_180() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.early_media", "caller")
        made.command("call.answer", "caller", when="agent_ready")
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    assert responses(bench) == [183]


def test_without_an_acknowledgement_the_call_is_refused_after_ten_seconds() -> None:
    bench = ringing()
    bench.run(9.99)
    assert bench.caller.all(sip.Failed) == []
    bench.run(0.02)
    assert bench.caller.last(sip.Failed).code == 480
    bench.run(20)
    assert bench.record.cause == "agent.error"
    assert bench.record.fault == "agent"
    assert not bench.record.legs[0].answered


def test_a_scenario_that_makes_no_agent_is_at_fault() -> None:
    bench = Bench(call_alerting=lambda made: (made.command("call.answer", "caller", when="agent_ready"), None)[1])
    bench.caller.call()
    bench.run(11)
    assert bench.caller.last(sip.Failed).code == 480
    assert bench.record.cause == "limit.no_answer"


@pytest.mark.parametrize("failing", [link.AgentOpen, link.AgentBegin])
def test_an_agent_that_fails_refuses_the_call_at_once(failing: type) -> None:
    bench = Bench(call_alerting=when_ready, command_failed=None)
    bench.plane.refuse[failing] = ("connect_failed", "refused")
    bench.caller.call()
    if failing is link.AgentBegin:  # the plane closes what does not acknowledge
        bench.plane.gone(f"{bench.sid}/agent", 1011, "no ack", "error")
        bench.pump()
    assert bench.caller.last(sip.Failed).code == 480
    bench.run(1)
    assert bench.record.cause == "agent.error"


def test_a_handler_that_does_not_catch_the_failure_is_not_the_cause() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller", when="agent_ready")
            return made.wait(create(made))
        return made.fail("CommandFailed", "connect_failed")

    bench = Bench(call_alerting=handler)
    bench.plane.refuse[link.AgentOpen] = ("connect_failed", "refused")
    bench.caller.call()
    bench.run(1)
    assert bench.caller.last(sip.Failed).code == 480
    assert (bench.record.cause, bench.record.fault) == ("agent.error", "agent")


def test_a_handler_may_yet_make_another_agent() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller", when="agent_ready")
            return made.wait(create(made))
        if made.round == 1:
            assert made.outcome()["status"] == "failed"
            bench.plane.refuse.clear()
            return made.wait(create(made, "spare"))
        made.command("agent.start", "spare")
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.plane.refuse[link.AgentOpen] = ("connect_failed", "refused")
    bench.caller.call()
    assert responses(bench) == [180, 200]


def test_a_caller_who_gives_up_takes_the_agent_along() -> None:
    bench = ringing()
    bench.run(2)
    bench.caller.hang_up()
    bench.run(1)
    assert [message.agent for message in bench.plane.all(link.AgentClose)] == [f"{bench.sid}/agent"]
    assert bench.record.cause == "caller.cancelled"
    bench.run(20)
    assert responses(bench) == [180]


def test_an_answer_without_a_condition_answers_at_once() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.answer", "caller", when="agent_ready")
        return made.wait(made.command("call.answer", "caller")) if made.round == 0 else made.done()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    assert responses(bench) == [180, 200]
    bench.run(15)
    assert [entry["status"] for entry in bench.rounds[1].journal] == ["done", "done"]


def test_a_ready_agent_is_not_waited_for() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            return made.wait(create(made))
        if made.round == 1:
            return made.wait(made.command("agent.start", "agent"))
        made.command("call.answer", "caller", when="agent_ready")
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    assert responses(bench) == [200]


def test_an_answer_that_is_awaited_after_the_start_is_done_when_it_is_sent() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller", when="agent_ready")
            return made.wait(create(made))
        if made.round == 1:
            made.command("agent.start", "agent")
            return made.wait(made.journal[0]["id"])
        assert made.journal[0]["status"] == "done"
        return made.done()

    bench = ringing(call_alerting=handler)
    bench.run(4)
    assert [made.round for made in bench.of("call.alerting")] == [0, 1]
    bench.plane.release(link.AgentBegin)
    assert [made.round for made in bench.of("call.alerting")] == [0, 1, 2]
