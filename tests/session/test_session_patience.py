"""The dead-air shield at its corners; what a caller hears of it is found in tests/simulator/test_simulated_patience."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.patience import Fallback, Patience
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, answered, with_agent

CURVE = Patience(tone_after=0.7, prompt="one moment", prompt_after=2.0)


def answering(made: Round) -> Answer:
    """Answers, and is then asked again: a round that a test may hold."""
    return made.wait(made.command("call.answer", "caller")) if made.round == 0 else made.done()


def a_call(patience: Patience | None = CURVE, fallback: Fallback | None = None, **handlers: Any) -> Bench:
    """An answered call whose handler is at work."""
    bench = Bench(**{"call_alerting": answering, "call_tone": None, **handlers})
    bench.patience, bench.fallback = patience, fallback
    bench.retake()
    bench.hold.add("call.alerting")
    bench.caller.call()
    bench.give(bench.held.pop())
    bench.pump()
    assert len(bench.caller.all(sip.Answered)) == 1
    return bench


def prepared(bench: Bench) -> list[str]:
    return [each.sounds[0].content for each in bench.effects if isinstance(each, out.PreparePrompt)]


def ready(bench: Bench, path: str = "/p") -> None:
    """The newest sound that was asked for is ready."""
    request = [each.request for each in bench.effects if isinstance(each, out.PreparePrompt)][-1]
    bench.engine.prompt_ready(request, path, bench.now)
    bench.pump()


def tones(bench: Bench) -> list[str]:
    return [message.source for message in bench.plane.all(link.LegFallback)]


def test_a_scenario_without_patience_has_no_shield() -> None:
    bench = a_call(None)
    bench.run(9)
    assert tones(bench) == []
    assert prepared(bench) == []


def test_the_prompt_is_made_once_and_loaded_a_second_before_its_time() -> None:
    bench = a_call()
    assert prepared(bench) == ["one moment"]
    ready(bench)
    bench.run(0.95)
    assert bench.plane.all(link.SoundOpen) == []
    bench.run(0.1)
    ready(bench)
    assert len(bench.plane.all(link.SoundOpen)) == 1
    bench.run(0.9)
    assert bench.plane.all(link.PlayOver) == []
    bench.run(0.1)
    assert len(bench.plane.all(link.PlayOver)) == 1
    bench.run(5)
    assert len(bench.plane.all(link.PlayOver)) == 1


def test_the_fallback_s_prompt_is_made_in_time_too() -> None:
    bench = a_call(fallback=Fallback(prompt="call again"))
    assert prepared(bench) == ["one moment", "call again"]


def test_a_prompt_that_is_ready_too_late_is_heard_then() -> None:
    bench = a_call()
    bench.run(2.5)
    ready(bench)
    assert len(bench.plane.all(link.PlayOver)) == 1


def test_a_prompt_that_cannot_be_made_leaves_the_tone() -> None:
    bench = a_call()
    bench.run(1.5)
    request = [each.request for each in bench.effects if isinstance(each, out.PreparePrompt)][-1]
    bench.engine.prompt_failed(request, "nobody can speak", bench.now)
    bench.run(3)
    assert bench.plane.all(link.PlayOver) == []
    assert tones(bench) == ["comfort"]


def test_a_prompt_that_nobody_needs_any_more_is_closed() -> None:
    bench = a_call()
    bench.run(1.5)
    ready(bench)
    bench.give(bench.held.pop())
    bench.pump()
    assert [message.player for message in bench.plane.all(link.PlayerClose)] == [
        message.player for message in bench.plane.all(link.SoundOpen)
    ]
    assert tones(bench) == ["comfort", ""]
    bench.run(5)
    assert bench.plane.all(link.PlayOver) == []


def test_a_sound_of_the_handler_that_is_being_made_is_not_spoken_over() -> None:
    def says(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.say", "caller", sound={"kind": "text", "content": "listen"}, name="say")
            return made.wait(made.command("call.answer", "caller"))
        return made.done()

    bench = a_call(call_alerting=says)
    bench.run(1.5)
    ready(bench)
    bench.run(1)
    assert bench.plane.all(link.PlayOver) == []


def test_keys_that_are_gathered_are_waited_for_in_peace() -> None:
    def gathers(made: Round) -> Answer:
        if made.round == 0:
            return made.wait(made.command("call.answer", "caller"))
        if made.round == 1:
            return made.wait(made.command("call.gather", "caller", name="pin", timeout=60))
        return made.done()

    bench = a_call(call_alerting=gathers)
    bench.give(bench.held.pop())
    bench.pump()
    bench.run(9)
    assert tones(bench) == []


def test_a_handler_s_own_patience_takes_the_place_of_the_scenario_s() -> None:
    bench = a_call()
    bench.caller.hang_up()
    bench.run(2)
    app = bench.release().functions["app"]
    own = [type(each)(each.type, each.target, patience=Patience(tone_after=3.0)) for each in app.events]
    bench.engine.set_release(type(bench.release())("r2", {"app": type(app)("desk", tuple(own), patience=CURVE)}))
    bench.held.clear()
    bench.caller.call()
    bench.give(bench.held.pop())
    bench.pump()
    before = len(tones(bench))
    bench.run(2.9)
    assert len(tones(bench)) == before
    bench.run(0.2)
    assert tones(bench)[before:] == ["comfort"]


def test_the_seconds_of_two_events_in_a_row_are_one_silence() -> None:
    bench = a_call()
    bench.hold.add("call.tone")
    bench.run(0.5)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    bench.give(bench.held.pop())
    bench.pump()
    assert [made.type for made in bench.held] == ["call.tone"]
    bench.run(0.25)
    assert tones(bench) == ["comfort"]


@pytest.mark.parametrize("kind", ["done", "hang up", "terminate"])
def test_whatever_ends_the_wait_ends_the_tone(kind: str) -> None:
    bench = a_call()
    bench.run(1)
    assert tones(bench) == ["comfort"]
    if kind == "done":
        bench.give(bench.held.pop())
        bench.pump()
        assert tones(bench)[-1] == ""
    elif kind == "hang up":
        bench.caller.hang_up()
    else:
        made = bench.held.pop()
        made.command("session.terminate")
        bench.answer(made, made.done())
    bench.run(50)  # a host that says nothing is waited for twice
    assert len(bench.kept.ended) == 1
    assert bench.engine.live == 0


def test_an_agent_that_is_being_started_after_the_turn_keeps_the_curve_going() -> None:
    def handler(made: Round) -> Answer:
        found = with_agent(made)
        return made.done() if made.round == 1 else found

    bench = Bench(call_alerting=handler)
    bench.patience, bench.fallback = Patience(tone_after=0.7, fallback_after=5.0), Fallback(prompt="sorry")
    bench.retake()
    bench.plane.mute.add(link.AgentBegin)
    bench.caller.call()
    bench.run(1)
    assert tones(bench) == ["comfort"]
    bench.plane.release(link.AgentBegin)
    assert tones(bench) == ["comfort", ""]
    bench.run(6)
    assert bench.told("cause") == []


def test_a_call_without_a_handler_at_work_waits_for_its_limit_alone() -> None:
    bench = Bench(call_alerting=answered)
    bench.patience, bench.fallback = CURVE, None
    bench.retake()
    bench.caller.call()
    bench.run(12)
    assert tones(bench) == []
    assert bench.record.cause == "limit.unbridged"
