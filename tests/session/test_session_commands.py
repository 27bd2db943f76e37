"""Commands: each has its limit, fails by name, or is idempotent; they start in order and end in no promised one."""

from typing import Any

import pytest

from cordboard.contract import commands, link
from cordboard.contract.records import StepError
from cordboard.session.executor import IDEMPOTENT, MAX_TIMERS
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Handler, Round, answered, with_agent

CREATE = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16"}


def digit(bench: Bench, key: str = "1") -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", key))


def on_digit(act: Handler, alerting: Handler = answered, **handlers: Any) -> Bench:
    """A connected call whose first digit lets `act` answer."""
    bench = Bench(call_alerting=alerting, call_tone=act, command_failed=None, **handlers)
    bench.caller.call()
    return bench


def awaited(type_: str, target: str | None = None, **args: Any) -> Handler:
    def handler(made: Round) -> Answer:
        return made.wait(made.command(type_, target, **args)) if made.round == 0 else made.done()

    return handler


def sent(type_: str, target: str | None = None, **args: Any) -> Handler:
    def handler(made: Round) -> Answer:
        made.command(type_, target, **args)
        return made.done()

    return handler


def outcome(bench: Bench) -> tuple[str, str]:
    """(status, error code) of the awaited command."""
    step = bench.of("call.tone")[-1].journal[0]
    return step["status"], step.get("error", {}).get("code", "")


LIMITS = [
    ("agent.create", "second", CREATE, link.AgentOpen, 5.0),
    ("agent.start", "agent", {}, link.AgentBegin, 10.0),
    ("agent.custom", "agent", {"metadata": {}}, link.AgentSend, 2.0),
    ("agent.dtmf", "agent", {"digits": "1"}, link.AgentDigits, 2.0),
    ("agent.clear", "agent", {}, link.AgentClear, 2.0),
    ("call.send_digits", "caller", {"digits": "1"}, link.LegDigits, 2.0),
]


@pytest.mark.parametrize(("type_", "target", "args", "message", "limit"), LIMITS, ids=[row[0] for row in LIMITS])
def test_a_command_that_the_plane_leaves_unanswered_fails_at_its_limit(
    type_: str, target: str, args: dict[str, Any], message: type, limit: float
) -> None:
    bench = on_digit(awaited(type_, target, **args), with_agent)
    bench.plane.mute.add(message)
    digit(bench)
    bench.run(limit - 0.01)
    assert len(bench.of("call.tone")) == 1
    bench.run(0.02)
    assert outcome(bench) == ("failed", "timeout")


def test_a_hang_up_after_playout_has_seventeen_seconds_and_never_fails() -> None:
    bench = on_digit(awaited("call.hangup", "caller", after="playout"), with_agent)
    digit(bench)
    bench.caller.dead = True  # not even its BYE is answered
    bench.run(16.9)
    assert len(bench.of("call.tone")) == 1
    bench.run(0.2)
    assert outcome(bench) == ("done", "")


def test_a_refusal_of_the_plane_fails_the_command_with_its_code() -> None:
    bench = on_digit(awaited("agent.create", "second", **CREATE))
    bench.plane.refuse[link.AgentOpen] = ("refused", "401")
    digit(bench)
    assert outcome(bench) == ("failed", "refused")


def test_a_socket_that_opens_after_its_handler_was_told_of_a_failure_is_closed() -> None:
    bench = on_digit(awaited("agent.create", "agent", **CREATE))
    bench.plane.mute.add(link.AgentOpen)
    digit(bench)
    bench.run(6)
    bench.plane.release(link.AgentOpen)
    assert [message.agent.partition("/")[2] for message in bench.plane.all(link.AgentClose)] == ["agent"]
    digit(bench)
    assert bench.of("call.tone")[-1].payload["objects"][-1]["name"] == "caller"


def test_when_the_last_leg_ends_pending_commands_fail_at_once() -> None:
    bench = on_digit(awaited("agent.create", "agent", **CREATE))
    bench.plane.mute.add(link.AgentOpen)
    digit(bench)
    bench.caller.hang_up()
    assert outcome(bench) == ("failed", "call_ended")


@pytest.mark.parametrize("type_", ["call.transfer", "call.hold", "call.sing"])
def test_an_unknown_or_unbuilt_command_says_so(type_: str) -> None:
    bench = on_digit(awaited(type_, "caller"))
    digit(bench)
    assert outcome(bench) == ("failed", "not_supported")
    assert bench.of("command.failed") == []


def test_an_unawaited_failure_is_an_event() -> None:
    bench = on_digit(sent("call.sing", "caller"))
    digit(bench)
    (made,) = bench.of("command.failed")
    assert made.data == {
        "command": "call.sing",
        "code": "not_supported",
        "message": "call.sing is not built yet",
        "target": "caller",
    }


def test_an_unawaited_failure_that_comes_later_is_an_event_too() -> None:
    bench = on_digit(sent("agent.create", "agent", **CREATE))
    bench.plane.mute.add(link.AgentOpen)
    digit(bench)
    assert bench.of("command.failed") == []
    bench.run(5)
    assert [made.data["code"] for made in bench.of("command.failed")] == ["timeout"]


def test_a_failure_nobody_awaited_is_told_when_its_event_fails_as_well() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.sing", "caller")
            return made.wait(made.command("timer.set", "t", seconds=1.0))
        return made.fail()

    bench = on_digit(handler)
    digit(bench)
    assert [made.data["command"] for made in bench.of("command.failed")] == ["call.sing"]


def test_a_failure_that_nobody_listens_to_stands_in_the_timeline() -> None:
    bench = Bench(call_alerting=answered, call_tone=sent("call.sing", "caller"))
    bench.caller.call()
    digit(bench)
    (entry,) = bench.noted("command.failed")
    assert entry.data["code"] == "not_supported"


BAD_ARGUMENTS = [
    ("call.reject", "caller", {"code": 200}, "code"),
    ("call.send_digits", "caller", {"digits": "x"}, "digits"),
    ("call.dial", "consult", {"to": "+1555", "timeout": 0.0}, "timeout"),
    ("call.dial", "consult", {"to": ""}, "to"),
    ("call.dial", "../up", {"to": "+15550002"}, "name"),
    ("timer.set", "t", {"seconds": -1.0}, "seconds"),
    ("call.answer", "caller", {"loudly": True}, "loudly"),
    ("agent.create", "agent", {"agent_id": "a"}, "api_key"),
    ("agent.create", "a/b", CREATE, "name"),
    ("call.record", "caller", {"name": "../x"}, "name"),
]


@pytest.mark.parametrize(("type_", "target", "args", "field"), BAD_ARGUMENTS)
def test_bad_arguments_are_refused_by_the_name_of_the_field(
    type_: str, target: str, args: dict[str, Any], field: str
) -> None:
    bench = on_digit(awaited(type_, target, **args))
    digit(bench)
    assert outcome(bench) == ("failed", "invalid")
    error = StepError(**bench.of("call.tone")[-1].journal[0]["error"])
    assert f"{field}:" in error.message


@pytest.mark.parametrize("type_", sorted(IDEMPOTENT - {"session.terminate"}))
def test_what_is_gone_already_is_ended_without_failure(type_: str) -> None:
    args = {
        "media.stop": {"source": "no", "sink": "one"},
        "media.unbridge": {"a": "no", "b": "one"},
    }.get(type_, {})
    bench = on_digit(awaited(type_, "nobody", **args))
    digit(bench)
    assert outcome(bench) == ("done", "")
    assert bench.of("command.failed") == []


def test_terminating_twice_is_terminating_once() -> None:
    def handler(made: Round) -> Answer:
        made.command("session.terminate")
        made.command("session.terminate")
        return made.done()

    bench = on_digit(handler)
    digit(bench)
    bench.run(1)
    assert bench.record.cause == "handler.terminate"
    assert bench.noted("command.failed") == []


def test_a_command_that_fails_fails_later_ones_of_its_round_on_the_same_object() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.send_digits", "caller", digits="?")
        made.command("call.record", "caller")
        made.command("timer.set", "t", seconds=1.0)
        made.command("call.hangup", "caller")
        return made.done()

    bench = on_digit(handler)
    digit(bench)
    assert [(made.data["command"], made.data["code"]) for made in bench.of("command.failed")] == [
        ("call.send_digits", "invalid"),
        ("call.record", "earlier_failed"),
    ]
    assert len(bench.caller.all(sip.Ended)) == 1


def test_commands_start_in_the_order_they_were_emitted() -> None:
    def handler(made: Round) -> Answer:
        made.command("agent.custom", "agent", metadata={"n": 1})
        made.command("call.send_digits", "caller", digits="5")
        made.command("agent.custom", "agent", metadata={"n": 2})
        return made.done()

    bench = on_digit(handler, with_agent)
    bench.plane.got.clear()
    digit(bench)
    assert [type(message).__name__ for message in bench.plane.got] == ["AgentSend", "LegDigits", "AgentSend"]


def test_a_clear_carries_the_moment_of_the_event_that_asked_for_it() -> None:
    bench = Bench(call_alerting=with_agent, agent_custom=sent("agent.clear", "agent"))
    bench.hold.add("agent.custom")
    bench.caller.call()
    said = bench.now - 0.25
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {}, said))
    bench.run(1)
    bench.give(bench.held[0])
    bench.pump()
    assert bench.plane.last(link.AgentClear).at == said


def test_two_live_things_never_bear_one_name() -> None:
    bench = on_digit(awaited("call.dial", "agent", to="+15550002"), with_agent)
    digit(bench)
    assert outcome(bench) == ("failed", "refused")
    bench = on_digit(awaited("agent.create", "caller", **CREATE))
    digit(bench)
    assert outcome(bench) == ("failed", "refused")


def test_an_agent_that_speaks_another_protocol_is_not_supported() -> None:
    bench = on_digit(awaited("agent.create", "agent", **{**CREATE, "version": "2024-01-01"}))
    digit(bench)
    assert outcome(bench) == ("failed", "not_supported")


def test_a_secret_that_is_missing_says_how_to_put_it() -> None:
    bench = on_digit(awaited("agent.create", "agent", **{**CREATE, "api_key": {"secret": "NONE"}}))
    digit(bench)
    assert outcome(bench) == ("failed", "secret_not_found")
    assert "cordboard keys put" in bench.of("call.tone")[-1].journal[0]["error"]["message"]


def test_timers_ring_once_and_setting_again_restarts_them() -> None:
    def handler(made: Round) -> Answer:
        made.command("timer.set", "t", seconds=3.0)
        return made.done()

    bench = on_digit(handler, timer=None)
    digit(bench)
    bench.run(2)
    digit(bench)
    bench.run(2.9)
    assert bench.of("timer") == []
    bench.run(5)
    assert [made.target for made in bench.of("timer")] == ["t"]


def test_a_cleared_timer_does_not_ring() -> None:
    def handler(made: Round) -> Answer:
        made.command("timer.set", "t", seconds=1.0)
        made.command("timer.clear", "t")
        return made.done()

    bench = on_digit(handler, timer=None)
    digit(bench)
    bench.run(5)
    assert bench.of("timer") == []


def test_a_session_has_at_most_a_hundred_timers() -> None:
    def handler(made: Round) -> Answer:
        for number in range(34):
            made.command("timer.set", f"{made.data['tone']}-{number}", seconds=60.0)
        return made.done()

    bench = on_digit(handler)
    for key in "123":
        digit(bench, key)
    assert len(bench.of("command.failed")) == 3 * 34 - MAX_TIMERS
    assert {made.data["code"] for made in bench.of("command.failed")} == {"refused"}


def test_a_recording_ends_with_an_event_that_names_its_file() -> None:
    bench = on_digit(awaited("call.record", "caller", name="all", hd_audio=True), record_stopped=None)
    digit(bench)
    begin = bench.plane.last(link.RecordBegin)
    bench.plane.tell(link.RecordOver(begin.recording, 3.5))
    (made,) = bench.of("record.stopped")
    assert made.data["url"].endswith("/all.wav")
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.recordings == ("all.wav",)


def test_every_built_command_has_arguments_in_the_contract() -> None:
    bench = Bench()
    bench.handlers = {("call.alerting", None): answered}
    bench.retake()
    bench.caller.call()
    table = bench.engine._sessions[bench.sid].executor._table
    assert set(table) <= set(commands.COMMANDS)
    unbuilt = {name for name, kind in commands.COMMANDS.items() if kind is commands.NotYet}
    assert set(table) == set(commands.COMMANDS) - unbuilt
