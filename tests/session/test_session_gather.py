"""Gathers: one event each, whatever keys, time, prompts and ends do; a secret one's digits are written nowhere."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.contract import link
from cordboard.contract.codec import encode
from cordboard.session import effects

from .session_bench import Answer, Bench, Handler, Round, answered

ALL_KEYS = "0123456789*#"


def gathering(*more: Handler, name: str = "menu", **args: Any) -> Bench:
    """A connected call whose handler gathers; `more` answers further tones."""

    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("call.gather", "caller", name=name, **args)
        return made.done()

    bench = Bench(call_alerting=alerting, call_gathered=None, call_tone=more[0] if more else None, command_failed=None)
    bench.caller.call()
    return bench


def again(name: str = "second", **args: Any) -> Handler:
    def handler(made: Round) -> Answer:
        made.command("call.gather", "caller", name=name, **args)
        return made.done()

    return handler


class Keys:
    """The plane's side of the newest gather: whose a key is (plane.digits), told as the plane tells it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.gathered: list[str] = []

    def press(self, keys: str) -> None:
        for each in keys:
            began = self.bench.plane.last(link.LegGather)
            self.gathered.append(began.gather)
            last = self.gathered.count(began.gather) == began.max_digits or each in began.finish_on
            self.bench.plane.tell(link.LegDigit(began.leg, each, began.gather, last))


def gathered(bench: Bench) -> list[tuple[str | None, str, str]]:
    return [(made.target, made.data["digits"], made.data["reason"]) for made in bench.of("call.gathered")]


@pytest.mark.parametrize(
    ("args", "pressed", "event"),
    [
        ({}, "1", ("menu", "1", "complete")),
        ({"max_digits": 4}, "12#", ("menu", "12", "complete")),
        ({"max_digits": 4}, "#", ("menu", "", "complete")),
        ({"max_digits": 2, "finish_on": ""}, "##", ("menu", "##", "complete")),
        ({"max_digits": 4, "finish_on": "*0"}, "120", ("menu", "12", "complete")),
    ],
)
def test_digits_are_collected_until_the_last_one(args: dict[str, Any], pressed: str, event: Any) -> None:
    bench = gathering(**args)
    Keys(bench).press(pressed)
    assert gathered(bench) == [event]
    assert bench.of("call.tone") == []
    assert bench.of("call.gathered")[0].data["call"] == "caller"


def test_time_runs_anew_with_each_digit_and_ends_it() -> None:
    bench = gathering(max_digits=9, timeout=3.0)
    keys = Keys(bench)
    for each in "123":
        bench.run(2.9)
        keys.press(each)
    bench.run(2.9)
    assert gathered(bench) == []
    bench.run(0.2)
    assert gathered(bench) == [("menu", "123", "timeout")]
    ended = bench.plane.last(link.LegGatherEnd)
    assert ended.gather == bench.plane.last(link.LegGather).gather


@pytest.mark.parametrize(("crossing", "event"), [("7", ("menu", "7", "timeout")), ("7#", ("menu", "7", "complete"))])
def test_digits_that_cross_the_end_of_the_time_are_the_gathers(crossing: str, event: Any) -> None:
    bench = gathering(max_digits=9, timeout=3.0)
    bench.plane.mute.add(link.LegGatherEnd)
    bench.run(3.5)
    assert gathered(bench) == []
    Keys(bench).press(crossing)
    bench.plane.release(link.LegGatherEnd)
    bench.run(60)
    assert gathered(bench)[:1] == [event]
    assert len(gathered(bench)) == 1


def test_it_is_begun_when_the_plane_says_so() -> None:
    rounds: list[Round] = []

    def handler(made: Round) -> Answer:
        rounds.append(made)
        if made.round == 0:
            return made.wait(made.command("call.gather", "caller", name="pin", timeout=1.0))
        return made.done()

    bench = Bench(call_alerting=answered, call_tone=handler, call_gathered=None)
    bench.caller.call()
    bench.plane.mute.add(link.LegGather)
    unit = f"{bench.sid}/caller"
    bench.plane.tell(link.LegDigit(unit, "1"))
    bench.run(1.5)
    assert [made.round for made in rounds] == [0]
    bench.plane.release(link.LegGather)
    assert [made.round for made in rounds] == [0, 1]
    assert rounds[1].outcome()["status"] == "done"
    bench.run(0.9)
    assert gathered(bench) == []
    bench.run(0.2)
    assert gathered(bench) == [("pin", "", "timeout")]


def test_a_plane_that_does_not_confirm_fails_the_command_and_there_is_no_gather() -> None:
    bench = gathering(again())
    bench.plane.mute.add(link.LegGather)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    bench.run(2.5)
    assert [made.data["code"] for made in bench.of("command.failed")] == ["timeout"]
    bench.plane.release(link.LegGather)
    ended = [each.gather for each in bench.plane.all(link.LegGatherEnd)]
    assert [each.gather for each in bench.plane.all(link.LegGather)][-1] in ended
    bench.run(9)
    assert gathered(bench) == [("menu", "", "interrupted")]


@pytest.mark.parametrize(("last", "reason"), [(False, "interrupted"), (True, "complete")])
def test_a_second_gather_takes_the_place_of_the_first(last: bool, reason: str) -> None:
    bench = gathering(again(max_digits=2), max_digits=4, timeout=0.5)
    keys = Keys(bench)
    keys.press("1")
    bench.plane.mute.add(link.LegGather)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "9"))  # sets the second off
    first = bench.plane.all(link.LegGather)[0]
    bench.plane.tell(link.LegDigit(first.leg, "2", first.gather, last))  # pressed before the plane heard of the second
    bench.run(1.0)
    assert gathered(bench) == ([("menu", "12", reason)] if last else [])
    bench.plane.release(link.LegGather)
    assert gathered(bench) == [("menu", "12", reason)]
    keys.press("34")
    bench.run(5)
    assert gathered(bench) == [("menu", "12", reason), ("second", "34", "complete")]


def test_three_at_once_end_in_their_order() -> None:
    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        for name in "abc":
            made.command("call.gather", "caller", name=name, timeout=1.0)
        return made.done()

    bench = Bench(call_alerting=alerting, call_gathered=None)
    bench.caller.call()
    bench.run(1.5)
    assert gathered(bench) == [("a", "", "interrupted"), ("b", "", "interrupted"), ("c", "", "timeout")]


def test_the_end_of_the_leg_interrupts_it_before_it_is_told() -> None:
    bench = gathering(max_digits=4)
    bench.handlers[("call.disconnected", None)] = None
    Keys(bench).press("12")
    bench.caller.hang_up()
    assert gathered(bench) == [("menu", "12", "interrupted")]
    assert not bench.engine._sessions or not bench.engine._sessions[bench.sid].gathering._live


def test_a_gather_that_the_plane_has_not_confirmed_ends_with_its_leg_by_its_command_alone() -> None:
    bench = gathering(again())
    bench.plane.mute.add(link.LegGather)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "9"))
    bench.hold.add("call.disconnected")
    bench.caller.hang_up()
    assert gathered(bench) == [("menu", "", "interrupted")]
    assert [made.data["code"] for made in bench.of("command.failed")] == ["call_ended"]


def test_a_gather_keeps_a_call_that_hears_nobody_and_its_end_gives_it_ten_seconds() -> None:
    bench = gathering(timeout=60.0)
    bench.run(59)
    assert bench.kept.ended == []
    bench.run(9)
    assert gathered(bench) == [("menu", "", "timeout")]
    assert bench.kept.ended == []
    bench.run(6)
    assert bench.record.cause == "limit.unbridged"


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"max_digits": 0}, "max_digits"),
        ({"max_digits": 65}, "max_digits"),
        ({"finish_on": "x"}, "finish_on"),
        ({"finish_on": "##"}, "finish_on"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": 121.0}, "timeout"),
        ({"repeat": 11}, "repeat"),
        ({"prompt": [""]}, "prompt[0]"),
        ({"prompt": ["x"] * 11}, "prompt"),
        ({"prompt": ["x" * 1501]}, "prompt[0]"),
        ({"name": ""}, "name"),
    ],
)
def test_wrong_arguments_are_named(args: dict[str, Any], field: str) -> None:
    bench = gathering(**args)
    (failed,) = bench.of("command.failed")
    assert failed.data["code"] == "invalid"
    assert f"{field}:" in failed.data["message"]


def test_a_call_that_is_not_answered_or_over_gathers_nothing() -> None:
    def alerting(made: Round) -> Answer:
        made.command("call.gather", "caller", name="early")
        made.command("call.gather", "nobody", name="none")
        return made.done()

    bench = Bench(call_alerting=alerting, call_gathered=None, command_failed=None)
    bench.caller.call()
    assert [made.data["code"] for made in bench.of("command.failed")] == ["object_ended", "refused"]


def test_an_answer_that_waits_for_its_media_is_waited_for() -> None:
    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("call.gather", "caller", name="menu", timeout=1.0)
        return made.done()

    bench = Bench(call_alerting=alerting, call_gathered=None, command_failed=None)
    bench.plane.mute.add(link.LegMedia)
    bench.caller.call()
    bench.run(0.5)
    assert bench.plane.all(link.LegGather) == []
    bench.plane.release(link.LegMedia)
    bench.run(1.5)
    assert gathered(bench) == [("menu", "", "timeout")]
    assert bench.of("command.failed") == []


# --- prompts


def prompts(bench: Bench) -> list[effects.PreparePrompt]:
    return [each for each in bench.effects if isinstance(each, effects.PreparePrompt)]


def play_prompt(bench: Bench) -> str:
    """The newest prompt is ready and is being heard; its player."""
    bench.engine.prompt_ready(prompts(bench)[-1].request, "/prompt", bench.now)
    bench.pump()
    return bench.plane.last(link.PlayOver).player


def test_a_prompt_is_heard_first_and_played_again_where_nothing_is_pressed() -> None:
    bench = gathering(prompt=["Press 1.", "sounds/now.wav"], repeat=2, timeout=2.0)
    assert [(sound.kind, sound.content) for sound in prompts(bench)[0].sounds] == [
        ("text", "Press 1."),
        ("url", "sounds/now.wav"),
    ]
    for number in range(3):
        assert len(prompts(bench)) == number + 1
        player = play_prompt(bench)
        bench.run(30)
        assert gathered(bench) == []
        bench.plane.tell(link.PlayerSaid(player, "finished", 30.0))
        bench.run(1.9)
        assert gathered(bench) == []
        bench.run(0.2)
    assert gathered(bench) == [("menu", "", "timeout")]
    assert len(prompts(bench)) == 3


def test_a_key_ends_the_prompt_and_counts() -> None:
    bench = gathering(prompt=["Your number, please."], max_digits=2, timeout=2.0)
    player = play_prompt(bench)
    keys = Keys(bench)
    keys.press("1")
    assert bench.plane.last(link.PlayerClose).player == player
    bench.plane.tell(link.PlayerSaid(player, "stopped", 0.4))
    bench.run(1.9)
    keys.press("2")
    bench.run(5)
    assert gathered(bench) == [("menu", "12", "complete")]
    assert len(prompts(bench)) == 1
    assert bench.plane.all(link.LegGatherEnd) == []


def test_a_key_before_the_prompt_is_ready_keeps_it_from_being_heard() -> None:
    bench = gathering(prompt=["Your number, please."], max_digits=2, timeout=2.0)
    Keys(bench).press("1")
    bench.run(0.1)
    bench.engine.prompt_ready(prompts(bench)[-1].request, "/prompt", bench.now)
    bench.run(2.0)
    assert bench.plane.all(link.PlayOver) == []
    assert gathered(bench) == [("menu", "1", "timeout")]


def test_a_prompt_that_cannot_be_heard_is_told_and_collecting_goes_on() -> None:
    bench = gathering(prompt=["sounds/missing.wav"], timeout=2.0)
    bench.engine.prompt_failed(prompts(bench)[-1].request, "there is no such file", bench.now)
    bench.pump()
    assert any("there is no such file" in json.dumps(encode(entry)) for entry in bench.kept.timeline)
    bench.run(1.0)
    Keys(bench).press("5")
    assert gathered(bench) == [("menu", "5", "complete")]


def test_a_gather_that_is_replaced_in_its_prompt_falls_silent() -> None:
    bench = gathering(again(timeout=1.0), prompt=["A long story."], repeat=3)
    player = play_prompt(bench)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "9"))
    assert bench.plane.last(link.PlayerClose).player == player
    bench.plane.tell(link.PlayerSaid(player, "stopped", 0.4))
    bench.run(1.5)
    assert gathered(bench) == [("menu", "", "interrupted"), ("second", "", "timeout")]
    assert len(prompts(bench)) == 1


# --- secrets


def written(bench: Bench) -> str:
    """All that is written down of a call."""
    kept = (effects.WriteTimeline, effects.WriteTranscript, effects.SessionEnded, effects.Log, effects.KeepDialog)
    return "\n".join(repr(each) for each in bench.effects if isinstance(each, kept))


def test_the_digits_of_a_secret_gather_are_for_its_handler_alone() -> None:
    bench = gathering(max_digits=16, secret=True)

    def careless(made: Round) -> Answer:
        made.command("call.gather", "caller", name="next", secret=True, max_digits=4)
        made.command("timer.set", made.data["digits"], seconds=1.0)
        logs = [{"level": "INFO", "message": f"got {made.data['digits']}", "fields": {"n": int(made.data["digits"])}}]
        return made.done(logs=logs) if made.target == "menu" else made.fail(message=f"no {made.data['digits']} here")

    bench.handlers[("call.gathered", None)] = careless
    keys = Keys(bench)
    keys.press("4929123456781234")
    keys.press("7391")
    assert [made.data["digits"] for made in bench.of("call.gathered")] == ["4929123456781234", "7391"]
    bench.run(30)
    bench.caller.hang_up()
    bench.run(1)
    text = written(bench)
    assert "4929123456781234" not in text
    assert "7391" not in text
    assert "'digits': '***'" in text


def test_keys_by_info_are_left_out_of_the_trace_also_when_they_come_again() -> None:
    bench = gathering(max_digits=3, secret=True, timeout=2.0)
    for digit in "482":
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        bench.caller.agent.info(bench.caller.leg, "application/dtmf-relay", body, bench.now)
        bench.pump()
    bench.run(10)
    traced = [entry for entry in bench.kept.timeline if entry.what.startswith("← INFO")]
    assert len(traced) == 3
    assert "Signal=" not in written(bench)
    assert [each.digit for each in bench.plane.all(link.LegInfoDigit)] == list("482")


def test_keys_that_a_secret_gather_does_not_own_yet_are_not_written_either() -> None:
    bench = gathering(secret=True)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "8"))
    assert [made.data for made in bench.of("call.tone")] == [{"tone": "8"}]
    assert "'tone': '***'" in written(bench)
    assert "'tone': '8'" not in written(bench)


def test_a_gather_that_is_no_secret_stands_in_the_timeline() -> None:
    bench = gathering(max_digits=4)
    Keys(bench).press("7391")
    assert "'digits': '7391'" in written(bench)


# --- pauses of recordings


def test_a_recording_is_paused_and_goes_on_and_one_that_is_over_or_unknown_says_so() -> None:
    def tone(made: Round) -> Answer:
        match made.data["tone"]:
            case "1":
                made.command("record.pause", "all", reason="card number")
            case "2":
                made.command("record.resume", "all")
            case "3":
                made.command("record.pause", "none")
            case _:
                made.command("record.pause", "all", reason="x" * 201)
        return made.done()

    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("call.record", "caller", name="all")
        return made.done()

    bench = Bench(call_alerting=alerting, call_tone=tone, command_failed=None)
    bench.caller.call()
    unit = f"{bench.sid}/caller"
    for key in "12":
        bench.plane.tell(link.LegDigit(unit, key))
    assert bench.plane.last(link.RecordPause) == link.RecordPause(f"{bench.sid}/all", "card number")
    assert bench.plane.last(link.RecordResume) == link.RecordResume(f"{bench.sid}/all")
    for key in "34":
        bench.plane.tell(link.LegDigit(unit, key))
    assert [made.data["code"] for made in bench.of("command.failed")] == ["object_ended", "invalid"]
    bench.plane.tell(link.RecordOver(f"{bench.sid}/all", 3.5))
    for key in "12":
        bench.plane.tell(link.LegDigit(unit, key))
    assert len(bench.plane.all(link.RecordPause)) == 1
    assert len(bench.of("command.failed")) == 2


# --- whatever happens

steps = st.one_of(
    st.sampled_from(ALL_KEYS),
    st.sampled_from(["gather", "secret", "prompt", "ready", "heard", "failed", "late", "on time"]),
    st.floats(0.0, 4.0),
)


@given(st.lists(steps, max_size=25), st.integers(1, 4), st.sampled_from(["", "#"]))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_there_is_one_event_for_each_gather_that_began(
    happens: list[Any], most: int, finish_on: str
) -> None:
    """Keys, time, prompts that come, fail or end, confirmations that are late, and gathers in the middle of others."""
    bench = gathering(max_digits=most, finish_on=finish_on, timeout=1.0)
    session = bench.engine._sessions[bench.sid]
    unit = f"{bench.sid}/caller"
    model = Model(bench, most, finish_on)
    told = 0
    for number, step in enumerate(happens):
        if not session.legs.live():
            break  # it heard nobody for too long
        if isinstance(step, float):
            bench.run(step)
        elif step in ("gather", "secret", "prompt"):
            prompt = {"prompt": ["Please."], "repeat": 1} if step == "prompt" else {}
            args = {"max_digits": most, "finish_on": finish_on, "timeout": 1.0, "secret": step == "secret", **prompt}
            bench.handlers[("call.tone", None)] = again(f"g{number}", **args)
            bench.plane.tell(link.LegDigit(unit, "9"))
            del bench.handlers[("call.tone", None)]
        elif step == "late":
            bench.plane.mute |= {link.LegGather, link.LegGatherEnd}
        elif step == "on time":
            model.confirm()
        elif step in ("ready", "failed") and prompts(bench)[told:]:
            asked = prompts(bench)[told]
            told += 1
            if step == "ready":
                bench.engine.prompt_ready(asked.request, "/prompt", bench.now)
            else:
                bench.engine.prompt_failed(asked.request, "no", bench.now)
            bench.pump()
        elif step == "heard" and bench.plane.all(link.PlayOver):
            bench.plane.tell(link.PlayerSaid(bench.plane.last(link.PlayOver).player, "finished", 1.0))
        elif step in ALL_KEYS:
            model.press(step)
        model.see()
    lives = bool(session.legs.live())
    model.confirm()
    bench.caller.hang_up()
    names = [made.target for made in bench.of("call.gathered")]
    began = len(bench.plane.all(link.LegGather)) - len(bench.of("command.failed"))
    assert len(names) == len(set(names))
    assert len(names) == began if lives else len(names) <= began
    assert sum(len(made.data["digits"]) for made in bench.of("call.gathered")) <= model.pressed
    assert not session.gathering._live


class Model:
    """A plane that counts keys as ours does, and may be slow."""

    def __init__(self, bench: Bench, most: int, finish_on: str) -> None:
        self.bench, self.most, self.finish_on = bench, most, finish_on
        self.seen = 0
        self.open = ""
        self.left = 0
        self.pressed = 0
        self.see()

    def see(self) -> None:
        """What control told since."""
        got = [each for each in self.bench.plane.got if isinstance(each, link.LegGather | link.LegGatherEnd)]
        for message in got[self.seen :]:
            if type(message) in self.bench.plane.mute:
                break
            self.seen += 1
            if isinstance(message, link.LegGather):
                self.open, self.left = message.gather, self.most
            elif message.gather == self.open:
                self.open = ""

    def press(self, key: str) -> None:
        if not self.open:
            return
        self.left -= 1
        self.pressed += 1
        last = self.left == 0 or key in self.finish_on
        gather, self.open = self.open, "" if last else self.open
        self.bench.plane.tell(link.LegDigit(f"{self.bench.sid}/caller", key, gather, last))

    def confirm(self) -> None:
        """What was kept back is confirmed, in order."""
        plane = self.bench.plane
        got = [each for each in plane.got if isinstance(each, link.LegGather | link.LegGatherEnd)]
        plane.mute -= {link.LegGather, link.LegGatherEnd}
        for message in got[self.seen :]:
            self.bench.plane.reply(message)
        self.see()
        self.bench.pump()
