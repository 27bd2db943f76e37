"""Corners: where two rules meet, and where an earlier event decides what a later one means."""

from collections.abc import Callable
from typing import Any

from cordboard.contract import link
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, answered, with_agent

PLAYOUT = ("call.hangup", "caller", {"after": "playout"})
DIAL = ("call.dial", "consult", {"to": "+15550002"})


def key(bench: Bench, digit: str) -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", digit))


def does(*commands: tuple[Any, ...]) -> Callable[[Round], Answer]:
    def handler(made: Round) -> Answer:
        for type_, target, *args in commands:
            made.command(type_, target, **(args[0] if args else {}))
        return made.done()

    return handler


def keys(**acts: tuple[Any, ...]) -> Callable[[Round], Answer]:
    """A handler of call.tone: `k1=(command, …)` for each key."""
    return lambda made: does(*acts.get(f"k{made.data['tone']}", ()))(made)


def talking(*changes: str, **handlers: Any) -> Bench:
    bench = Bench(*changes, **{"call_alerting": with_agent, **handlers})
    bench.caller.call()
    return bench


def fallbacks(bench: Bench) -> list[str]:
    return [message.source.partition("/")[2] or message.source for message in bench.plane.all(link.LegFallback)]


# --- turns


def test_each_round_has_its_own_second_try() -> None:
    bench = talking(call_tone=None)
    bench.hold.add("call.tone")
    key(bench, "1")
    bench.lose(bench.held[0], "crashed")
    bench.answer(bench.held[1], bench.held[1].wait(bench.held[1].command("timer.set", "t", seconds=9.0)))
    bench.lose(bench.held[2], "crashed")
    assert [(made.round, made.attempt) for made in bench.held] == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_a_repeated_command_reaches_the_plane_once() -> None:
    def tone(made: Round) -> Answer:
        made.journal.clear()
        step = made.command("call.send_digits", "caller", digits="9")
        return made.wait(step) if made.round == 0 else made.done()

    bench = talking(call_tone=tone)
    key(bench, "1")
    assert len(bench.of("call.tone")) == 2
    assert len(bench.plane.all(link.LegDigits)) == 1


def test_no_handler_but_terminating_is_told_once_the_session_terminates() -> None:
    bench = talking(call_tone=keys(k1=(PLAYOUT, ("session.terminate", None))), http_request=None)
    key(bench, "1")
    path = bench.control_path
    key(bench, "2")
    assert len(bench.of("call.tone")) == 1
    assert bench.status(bench.http(path)) == 404
    assert bench.kept.ended == []


def test_a_caller_who_hangs_up_during_the_playout_is_the_cause() -> None:
    bench = talking(call_tone=keys(k1=(PLAYOUT, ("session.terminate", None))))
    key(bench, "1")
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.cause == "caller.hangup"


def test_terminating_again_while_terminating_is_done_at_once() -> None:
    def last(made: Round) -> Answer:
        return made.wait(made.command("session.terminate")) if made.round == 0 else made.done()

    bench = talking(call_tone=does(("session.terminate", None)), session_terminating=last)
    key(bench, "1")
    bench.run(0.5)
    assert [made.round for made in bench.of("session.terminating")] == [0, 1]
    assert len(bench.kept.ended) == 1


# --- legs


def test_a_leg_whose_peer_is_dead_is_over_for_its_handler_after_eight_seconds() -> None:
    bench = talking(call_tone=keys(k1=(("call.hangup", "caller"),)), call_disconnected=None)
    bench.caller.dead = True
    key(bench, "1")
    bench.run(7.9)
    assert bench.of("call.disconnected") == []
    bench.run(0.2)
    (made,) = bench.of("call.disconnected")
    assert made.data["by"] == "us"


def test_who_hung_up_first_is_who_ended_the_leg() -> None:
    bench = talking(call_tone=keys(k1=(("call.hangup", "caller"),)))
    bench.caller.dead = True
    key(bench, "1")
    bench.engine.shutdown(bench.now)
    bench.run(12)
    assert bench.record.legs[0].ended_by == "us"


def test_a_leg_that_is_hanging_up_is_not_asked_whether_it_lives() -> None:
    bench = talking(call_tone=keys(k1=(("call.hangup", "caller"),)))
    bench.caller.dead = True
    key(bench, "1")
    bench.plane.tell(link.LegSilent(f"{bench.sid}/caller"))
    assert bench.noted("asking the peer") == []


def test_digits_are_not_told_where_a_handler_does_not_want_them() -> None:
    bench = talking(call_tone=keys(k1=(("call.handle_tones", "caller", {"on": False}),)))
    key(bench, "1")
    key(bench, "2")
    assert [made.data["tone"] for made in bench.of("call.tone")] == ["1"]


def test_a_full_route_leaves_the_others_open() -> None:
    bench = Bench(
        '[[routes]] → [[routes]]\nto = "+18005550100"\nscenario = "desk"\nmax_calls = 1\n[[routes]]',
        'to = "+1800*" → to = "+1800*"\nmax_calls = 1',
        call_alerting=answered,
    )
    bench.caller.call()
    second = bench.phone(("192.0.2.3", 5060))
    second.call("+18005550101")
    assert len(second.all(sip.Answered)) == 1
    second.call()
    assert second.last(sip.Failed).code == 486


# --- what a leg without a source hears


def test_a_caller_who_waits_for_a_ringing_leg_is_not_ended_as_unbridged() -> None:
    bench = Bench(call_alerting=answered, call_tone=keys(k1=(DIAL,)))
    bench.callee.mode = "ring"
    bench.caller.call()
    key(bench, "1")
    bench.run(30)
    assert bench.caller.all(sip.Ended) == []


def timer_of(seconds: float) -> Bench:
    alerting = does(("call.answer", "caller"), ("timer.set", "t", {"seconds": seconds}))
    bench = Bench(call_alerting=alerting, timer=None)
    bench.caller.call()
    return bench


def test_a_timer_that_runs_out_soon_is_something_to_wait_for() -> None:
    bench = timer_of(30.0)
    bench.run(29)
    assert bench.caller.all(sip.Ended) == []
    bench.run(13)
    assert bench.record.cause == "limit.unbridged"


def test_a_timer_far_off_is_no_reason_to_let_a_caller_wait_in_silence() -> None:
    bench = timer_of(3000.0)
    bench.run(9)
    assert bench.caller.all(sip.Ended) == []
    bench.run(3)
    assert len(bench.caller.all(sip.Ended)) == 1


def test_a_caller_who_is_being_hung_up_hears_no_ringback() -> None:
    bench = talking(call_tone=keys(k1=(PLAYOUT, ("media.unbridge", "x", {"a": "caller", "b": "agent"}), DIAL)))
    bench.callee.mode = "ring"
    key(bench, "1")
    assert fallbacks(bench) == []


def test_the_newest_leg_s_early_media_is_heard() -> None:
    dials = (("call.dial", "a", {"to": "+15550002"}), ("call.dial", "b", {"to": "+15550003"}))
    bench = Bench(call_alerting=answered, call_tone=keys(k1=dials))
    bench.callee.mode = "early"
    bench.caller.call()
    key(bench, "1")
    assert fallbacks(bench)[-1] == "b"


def test_early_media_is_told_once_however_often_it_is_offered() -> None:
    bench = Bench(call_alerting=answered, call_tone=keys(k1=(DIAL,)), call_audio_started=None)
    bench.callee.mode = "early"
    bench.caller.call()
    key(bench, "1")
    bench.callee.take(bench.callee.last(sip.IncomingInvite))
    bench.pump()
    assert len(bench.callee.all(sip.IncomingInvite)) == 2
    assert len(bench.of("call.audio_started")) == 1


def test_a_replaced_source_is_told_by_name() -> None:
    bench = talking(media_replaced=None)
    unit = bench.sid
    bench.plane.tell(link.MediaNote("media.replaced", f"{unit}/agent", f"{unit}/caller", f"{unit}/consult~2"))
    (made,) = bench.of("media.replaced")
    assert dict(made.data) == {"source": "agent", "sink": "caller", "by": "consult"}


# --- ends


def test_the_idle_limit_counts_from_the_last_leg() -> None:
    def timer(made: Round) -> Answer:
        made.command("call.dial", "consult", to="+15550002")
        return made.done()

    bench = Bench(
        '[limits]\nidle_session = "20s"',
        call_alerting=does(
            ("timer.set", "long", {"seconds": 3000.0}), ("timer.set", "d", {"seconds": 10.0}), ("call.reject", "caller")
        ),
        timer=timer,
    )
    bench.callee.mode = "busy"
    bench.caller.call()
    bench.run(29.9)
    assert bench.kept.ended == []
    bench.run(1)
    assert bench.record.cause == "consult.failed"


# --- order and robustness


def test_a_dialog_is_on_disk_before_the_message_that_makes_it_leaves() -> None:
    bench = talking(call_tone=keys(k1=(DIAL,)))
    key(bench, "1")
    kept = [index for index, effect in enumerate(bench.effects) if isinstance(effect, out.KeepDialog)]
    left = [
        index
        for index, effect in enumerate(bench.effects)
        if isinstance(effect, out.SendSip) and (effect.data.startswith((b"INVITE ", b"SIP/2.0 200 ")))
    ]
    assert kept[0] < left[0], "the caller's 200"
    assert kept[1] < left[1], "the consultant's INVITE"


def test_a_word_of_the_agent_s_service_that_is_not_known_is_told_as_unknown() -> None:
    bench = talking(agent_unknown=None)
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.sings", {"la": 1}, bench.now))
    assert [made.data["data"] for made in bench.of("agent.unknown")] == [{"la": 1}]


def test_late_words_of_a_plane_concern_nobody() -> None:
    bench = talking()
    session = bench.sid
    bench.caller.hang_up()
    bench.run(1)
    for message in (
        link.LegDigit(f"{session}/caller", "1"),
        link.Done(f"{session}#1x"),
        link.SessionClosed(session),
        link.AgentGone(f"{session}/agent", 1000, "", "us", True),
        link.LegDigit("", "1"),
        link.RecordOver(f"{session}/x", 1.0),
    ):
        bench.plane.tell(message)
    assert len(bench.kept.ended) == 1


def test_the_hint_for_an_address_of_version_six_names_that_address_alone() -> None:
    bench = Bench(call_alerting=answered)
    stranger = bench.phone(("2001:db8::7", 5060))
    stranger.raw(
        b"OPTIONS sip:x@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n"
        b"From: <sip:a@h>;tag=1\r\nTo: <sip:x@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    (line,) = [log for log in bench.kept.logs if "no trunk" in log.message]
    assert '"2001:db8::7/128"' in str(line.fields["hint"])
