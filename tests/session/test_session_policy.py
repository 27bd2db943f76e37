"""DESIGN §4, "Policy when an event fails": what becomes of the call, by event and by what the scenario chose."""

from collections.abc import Mapping
from typing import Any

import pytest

from cordboard.contract import link
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, with_agent


def failed(made: Round) -> Answer:
    return made.fail()


def policies(bench: Bench) -> list[tuple[str, str]]:
    """(error, policy) of every event that failed."""
    entries = (entry.data for entry in bench.kept.timeline if entry.kind == "round")
    return [(data["error"], data["policy"]) for data in entries if "policy" in data]


POLICY = [
    ("call.alerting", None, "refuse"),
    ("call.alerting", "ignore", "refuse"),
    ("call.connected", None, "ignore"),
    ("call.connected", "terminate", "terminate"),
    ("call.tone", None, "ignore"),
    ("call.disconnected", None, "terminate"),
    ("call.disconnected", "ignore", "ignore"),
    ("websocket.close", None, "terminate"),
    ("websocket.close", "ignore", "ignore"),
    ("websocket.close", "fallback", "fallback"),
    ("call.alerting", "fallback", "fallback"),
    ("agent.custom", None, "ignore"),
    ("http.request", None, "reply"),
    ("http.request", "terminate", "reply"),
]


@pytest.mark.parametrize(("type_", "chosen", "policy"), POLICY)
def test_what_happens_when_an_event_fails(type_: str, chosen: str | None, policy: str) -> None:
    names: Mapping[str, Any] = {"call_alerting": with_agent, type_.replace(".", "_", 1): failed}
    bench = Bench(**names)
    bench.on_error = {type_: chosen}
    bench.retake()
    bench.caller.call()
    if bench.kept.ended == []:
        bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    if type_ == "agent.custom":
        bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {"event": "custom"}, bench.now))
    elif type_ == "websocket.close":
        bench.plane.gone(f"{bench.sid}/agent", 1011, "broken", "error")
        bench.pump()
    elif type_ == "http.request":
        assert bench.status(bench.http(bench.control_path)) == 500
    elif type_ == "call.disconnected":
        bench.caller.hang_up()
    bench.run(1)
    assert policies(bench) == [("KeyError", policy)]
    over = policy in ("refuse", "terminate", "fallback")
    assert (len(bench.kept.ended) == 1) is (over or type_ == "call.disconnected")
    if over:
        ended_before = type_ == "call.disconnected"  # then what ended the last call is the cause
        assert bench.record.cause == ("caller.hangup" if ended_before else "handler.failed")
        assert bench.record.fault == ("none" if ended_before else "function")
    if type_ == "call.alerting":
        assert bench.caller.last(sip.Failed).code == 480


def test_a_failed_alerting_after_the_answer_ends_the_call() -> None:
    def handler(made: Round) -> Answer:
        return made.wait(made.command("call.answer", "caller")) if made.round == 0 else made.fail()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    bench.run(1)
    assert len(bench.caller.all(sip.Ended)) == 1
    assert bench.record.cause == "handler.failed"


@pytest.mark.parametrize(("of_event", "policy"), [(None, "terminate"), ("ignore", "ignore")])
def test_a_scenario_s_policy_holds_where_its_event_has_none(of_event: str | None, policy: str) -> None:
    bench = Bench(call_alerting=with_agent, call_tone=failed)
    bench.scenario_on_error, bench.on_error = "terminate", {"call.tone": of_event}
    bench.retake()
    bench.caller.call()
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert policies(bench) == [("KeyError", policy)]
