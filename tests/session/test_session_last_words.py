"""An agent that is gone is heard until its last word: what the control engine counts, and when it tells the plane."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.patience import Fallback, Patience
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, with_agent

TO = Fallback(to="+15550100", callerid="+15550199", prompt="nobody is there")
PROMPT = Fallback(prompt="call again, please")
CURVE = Patience(tone_after=0.7, fallback_after=5.0)


def failed(made: Round) -> Answer:
    return made.fail()


def a_call(patience: Patience | None = None, fallback: Fallback | None = None, **handlers: Any) -> Bench:
    """A call that speaks with its agent; an event of it that fails is ignored."""
    bench = Bench(**{"call_alerting": with_agent, **handlers})
    bench.patience, bench.fallback = patience, fallback
    bench.on_error = {"websocket.close": "ignore"}
    bench.retake()
    bench.callee.mode = "ring"
    bench.caller.call()
    return bench


def goes_talking(bench: Bench) -> None:
    """The agent closes its socket, and its words are still heard."""
    bench.plane.gone(f"{bench.sid}/agent", 1000, "call ended by agent", "agent", talking=True)
    bench.pump()


def heard_out(bench: Bench) -> None:
    unit = f"{bench.sid}/agent"
    bench.plane.tell(link.MediaNote("media.ended", unit, f"{bench.sid}/caller"))


def tones(bench: Bench) -> list[str]:
    return [message.source for message in bench.plane.all(link.LegFallback)]


def prompts(bench: Bench) -> list[str]:
    asked = [each for each in bench.effects if isinstance(each, out.PreparePrompt) and "#warm" not in each.request]
    return [each.sounds[0].content for each in asked]


def test_ten_seconds_without_anybody_count_from_the_last_word() -> None:
    bench = a_call()
    goes_talking(bench)
    bench.run(16)
    heard_out(bench)
    bench.run(9.9)
    assert bench.caller.all(sip.Ended) == []
    bench.run(1.2)
    assert len(bench.caller.all(sip.Ended)) == 1
    bench.run(1)
    assert bench.record.cause == "limit.unbridged"


def test_words_that_were_heard_before_the_close_are_not_waited_for() -> None:
    bench = a_call()
    bench.plane.gone(f"{bench.sid}/agent", 1000, "call ended by agent", "agent")
    bench.pump()
    bench.run(12)
    assert bench.record.cause == "limit.unbridged"


def test_the_end_of_an_agent_s_sound_while_it_lives_takes_nothing_away() -> None:
    bench = a_call()
    heard_out(bench)
    bench.run(30)
    assert bench.caller.all(sip.Ended) == []


def test_a_close_that_fails_meanwhile_is_late_for_ever_from_the_last_word_on() -> None:
    bench = a_call(CURVE, TO, websocket_close=failed)
    goes_talking(bench)
    bench.run(12)
    assert tones(bench) == []
    heard_out(bench)
    bench.run(0.69)
    assert tones(bench) == []
    bench.run(4.3)
    assert tones(bench) == ["comfort"]
    assert bench.callee.all(sip.IncomingInvite) == []
    bench.run(0.02)
    assert len(bench.callee.all(sip.IncomingInvite)) == 1


def test_an_agent_that_takes_its_place_is_not_taken_away_with_it() -> None:
    def again(made: Round) -> Answer:
        if made.round == 0:
            create = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16"}
            return made.wait(made.command("agent.create", "next", **create))
        if made.round == 1:
            made.command("media.bridge", "caller+next", a="caller", b="next")
            return made.wait(made.command("agent.start", "next"))
        return made.done()

    bench = a_call(CURVE, TO, websocket_close=again)
    goes_talking(bench)
    heard_out(bench)
    bench.run(30)
    assert tones(bench) == []
    assert bench.caller.all(sip.Ended) == []


def test_a_player_over_the_last_words_brings_nobody_back() -> None:
    def plays(made: Round) -> Answer:
        made.command("player.create", "music", sound={"kind": "url", "content": "hold.wav"})
        made.command("media.send", "music+caller", source="music", sink="caller")
        return made.done()

    bench = a_call(websocket_close=plays)
    goes_talking(bench)
    request = [each.request for each in bench.effects if isinstance(each, out.PreparePrompt)][-1]
    bench.engine.prompt_ready(request, "/p", bench.now)
    bench.pump()
    routes = [message.source for message in bench.plane.all(link.Route)]
    bench.plane.tell(link.PlayerSaid(routes[-1], "finished", 2.0))  # before the plane has told the words' end
    assert [message.source for message in bench.plane.all(link.Route)] == routes
    heard_out(bench)
    bench.run(12)
    assert bench.record.cause == "limit.unbridged"


def test_ringing_is_ready_behind_the_last_words() -> None:
    def transfer(made: Round) -> Answer:
        made.command("call.dial", "consult", to="+15550177")
        return made.done()

    bench = a_call(websocket_close=transfer)
    goes_talking(bench)
    assert tones(bench) == ["ringback"]  # the plane lets it be heard when it has no source


@pytest.mark.parametrize("way", ["failed", "breaker"])
def test_a_fallback_does_not_cut_the_last_words(way: str) -> None:
    bench = a_call(CURVE if way == "breaker" else None, PROMPT, websocket_close=failed, call_tone=None)
    bench.on_error = {"websocket.close": "fallback"} if way == "failed" else {}
    bench.retake()
    bench.caller.hang_up()
    bench.run(2)
    bench.caller.call()
    if way == "breaker":
        bench.hold.add("call.tone")
        while not bench.noted("breaker opens"):
            bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
            while bench.held:
                bench.lose(bench.held.pop(), "crashed")
    before = len(bench.plane.all(link.Unroute))
    goes_talking(bench)
    assert [entry.data["why"] for entry in bench.kept.timeline if entry.what == "fallback"] == [
        "breaker_open" if way == "breaker" else "KeyError"
    ]
    bench.run(12)
    assert len(bench.plane.all(link.Unroute)) == before
    assert prompts(bench) == []
    heard_out(bench)
    assert prompts(bench) == ["call again, please"]
    assert bench.caller.all(sip.Ended) == []


def test_a_caller_who_hangs_up_during_the_last_words_hears_no_fallback() -> None:
    bench = Bench(call_alerting=with_agent, websocket_close=failed, call_disconnected=None)
    bench.scenario_on_error, bench.fallback = "fallback", PROMPT
    bench.retake()
    bench.hold.add("call.disconnected")  # the session is not over yet
    bench.caller.call()
    goes_talking(bench)
    bench.caller.hang_up()
    heard_out(bench)
    assert prompts(bench) == []
    bench.give(bench.held.pop())
    bench.run(1)
    assert bench.record.cause == "caller.hangup"


def test_a_failure_that_ends_the_session_lets_the_last_words_be_heard() -> None:
    bench = a_call(websocket_close=failed, timer=None, call_disconnected=None)
    bench.on_error = {}
    bench.retake()
    bench.caller.hang_up()
    bench.run(2)
    bench.caller.call()
    goes_talking(bench)
    bench.run(14)
    assert bench.caller.all(sip.Ended) == []
    assert bench.status(bench.http(bench.control_path)) == 404
    bench.plane.release(link.LegPlayout)
    assert len(bench.caller.all(sip.Ended)) == 1
    bench.run(1)
    assert (bench.kept.ended[-1].cause, bench.kept.ended[-1].fault) == ("handler.failed", "function")
    assert len(bench.of("call.disconnected")) == 1  # that of the call before


def test_silence_begins_with_the_agent_that_is_not_there_yet_and_not_with_its_event() -> None:
    """The caller speaks with one agent while its handler works, and is then given one that has not started."""

    def moves(made: Round) -> Answer:
        if made.round == 0:
            create = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16"}
            return made.wait(made.command("agent.create", "next", **create))
        made.command("media.bridge", "caller+next", a="caller", b="next")
        return made.wait(made.command("agent.start", "next"))

    bench = a_call(CURVE, TO, http_request=moves)
    bench.hold.add("http.request")
    bench.plane.mute.add(link.AgentBegin)
    bench.http(bench.control_path)
    bench.run(4)
    assert tones(bench) == []
    for _ in range(2):
        bench.give(bench.held.pop())
        bench.pump()
    bench.run(0.69)
    assert tones(bench) == []
    bench.run(0.02)
    assert tones(bench) == ["comfort"]
