"""Recordings with an announcement: heard out before they begin, by those who must hear it; or there is none."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session import effects

from .session_bench import Answer, Bench, Round, answered
from .test_session_gather import play_prompt, prompts

ANNOUNCE = '[recording]\nannounce = "This call is recorded."'


def recording(made: Round) -> Answer:
    made.command("call.answer", "caller")
    made.command("call.record", "caller", name="all")
    return made.done()


def announced(*changes: str, **handlers: Any) -> Bench:
    """A call whose handler records."""
    bench = Bench(ANNOUNCE, *changes, **{"call_alerting": recording, "record_failed": None, **handlers})
    bench.caller.call()
    return bench


def begun(bench: Bench) -> int:
    return len(bench.plane.all(link.RecordBegin))


def test_a_recording_begins_when_its_announcement_was_heard_out() -> None:
    bench = announced()
    (prompt,) = prompts(bench)
    assert [sound.content for sound in prompt.sounds] == ["This call is recorded."]
    player = play_prompt(bench)
    assert begun(bench) == 0
    bench.plane.tell(link.PlayerSaid(player, "finished", 2.0))
    assert begun(bench) == 1
    bench.plane.tell(link.RecordOver(f"{bench.sid}/all", 1.0))
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.recordings == ("all.wav",)


@pytest.mark.parametrize("how", ["failed", "stopped"])
def test_without_its_announcement_there_is_no_recording_and_no_file(how: Any) -> None:
    bench = announced()
    bench.plane.tell(link.PlayerSaid(play_prompt(bench), how, 0.5, "no sound"))
    (failed,) = bench.of("record.failed")
    assert (failed.target, failed.data["reason"]) == ("all", "the announcement was not heard out: no sound")
    bench.caller.hang_up()
    bench.run(1)
    assert begun(bench) == 0
    assert bench.record.recordings == ()
    (ended,) = [each for each in bench.effects if isinstance(each, effects.SessionEnded)]
    assert ended.recordings == ()


def test_an_announcement_that_cannot_be_prepared_is_told_with_its_reason() -> None:
    bench = announced()
    bench.engine.prompt_failed(prompts(bench)[0].request, "espeak-ng is not installed", bench.now)
    bench.pump()
    assert bench.of("record.failed")[0].data["reason"].endswith("espeak-ng is not installed")


def test_a_call_that_ends_meanwhile_was_not_recorded() -> None:
    bench = announced()
    play_prompt(bench)
    bench.caller.hang_up()
    bench.run(1)
    assert bench.told("event").count("record.failed:all") == 1
    assert (begun(bench), bench.record.recordings) == (0, ())


def test_what_is_commanded_before_it_begins_counts() -> None:
    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        for name in ("one", "two"):
            made.command("call.record", "caller", name=name)
            made.command("record.pause", name, reason="not yet")
            if name == "one":
                made.command("record.stop", name)
        return made.done()

    bench = announced(call_alerting=alerting, command_failed=None)
    assert [made.target for made in bench.of("record.failed")] == ["one"]
    bench.run(0.1)
    bench.plane.tell(link.PlayerSaid(play_prompt(bench), "finished", 2.0))
    assert [each.recording for each in bench.plane.all(link.RecordBegin)] == [f"{bench.sid}/two"]
    assert bench.plane.all(link.RecordPause) == [link.RecordPause(f"{bench.sid}/two", "not yet")]


def test_what_comes_meanwhile_is_heard_after_it() -> None:
    def alerting(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller")
            made.command("call.record", "caller", name="all")
            key = {"secret": "KEY"}
            return made.wait(made.command("agent.create", "agent", api_key=key, agent_id="a", version="2025-04-16"))
        made.command("media.bridge", "caller+agent", a="caller", b="agent")
        made.command("call.gather", "caller", name="menu", prompt=["Press 1."])
        return made.done()

    bench = announced(call_alerting=alerting, call_gathered=None)
    caller, agent = f"{bench.sid}/caller", f"{bench.sid}/agent"
    first, second = prompts(bench)
    for each in (second, first):
        bench.engine.prompt_ready(each.request, "/sound", bench.now)
        bench.pump()
    (over,) = bench.plane.all(link.PlayOver)
    assert [(each.source, each.sink) for each in bench.plane.all(link.Route)] == [(caller, agent)]
    assert bench.plane.all(link.PlayerClose) == []
    bench.plane.tell(link.PlayerSaid(over.player, "finished", 2.0))
    assert begun(bench) == 1
    assert [(each.source, each.sink) for each in bench.plane.all(link.Route)] == [(caller, agent), (agent, caller)]
    assert len(bench.plane.all(link.PlayOver)) == 2
    assert bench.plane.all(link.PlayerClose) == []


@pytest.mark.parametrize(
    ("required_for", "caller", "heard"),
    [
        ([], "+15550001", True),
        (["+1*"], "+15550001", True),
        (["+49*", "+1555*"], "+15550001", True),
        (["+49*"], "+15550001", False),
        (["+49*"], "anonymous", True),
    ],
)
def test_the_number_at_the_other_end_says_whether_it_is_needed(
    required_for: list[str], caller: str, heard: bool
) -> None:
    bench = Bench(ANNOUNCE, f"required_for = {required_for!r}".replace("'", '"'), call_alerting=recording)
    bench.caller.call(user=caller)
    assert (len(prompts(bench)), begun(bench)) == ((1, 0) if heard else (0, 1))


def test_a_leg_that_is_dialled_hears_it_when_it_answers() -> None:
    def tone(made: Round) -> Answer:
        made.command("call.dial", "consult", to="+15550002")
        made.command("call.record", "consult", name="theirs")
        return made.done()

    bench = Bench(ANNOUNCE, call_alerting=answered, call_tone=tone)
    bench.callee.mode = "ring"
    bench.caller.call()
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    bench.run(5)
    assert prompts(bench) == []
    bench.callee.pick_up()
    assert len(prompts(bench)) == 1
    assert begun(bench) == 0
