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


@pytest.mark.parametrize(("chosen", "policy"), [(None, "ignore"), ("terminate", "terminate"), ("ignore", "ignore")])
@pytest.mark.parametrize("bridged", [False, True])
def test_a_transfer_outlives_the_failure_of_a_close_that_it_commanded_itself(
    chosen: str | None, policy: str, bridged: bool
) -> None:
    def transfer(made: Round) -> Answer:
        made.command("media.unbridge", "caller+agent", a="caller", b="agent")
        made.command("agent.close", "agent")
        made.command("call.dial", "consult", to="+15550177")
        return made.done()

    def connected(made: Round) -> Answer:
        made.command("media.bridge", "caller+consult", a="caller", b="consult")
        return made.done()

    bench = Bench(
        call_alerting=with_agent, http_request=transfer, call_connected__consult=connected, websocket_close=None
    )
    bench.on_error = {"websocket.close": chosen}
    bench.retake()
    bench.hold.add("websocket.close")
    bench.callee.mode = "ring"
    bench.caller.call()
    assert bench.status(bench.http(bench.control_path)) == 204
    if bridged:
        bench.callee.pick_up()
    assert bench.held[0].data["expected"] is True
    bench.lose(bench.held[0], "crashed")
    bench.lose(bench.held[1], "crashed")
    bench.run(15)
    assert policies(bench) == [("crashed", policy)]
    assert (len(bench.caller.all(sip.Ended)) == 1) is (policy == "terminate")
    if policy == "ignore" and not bridged:
        bench.callee.pick_up()
        assert {message.source.partition("/")[2] for message in bench.plane.all(link.Route)[-2:]} == {
            "caller",
            "consult",
        }


def test_an_open_breaker_ends_no_transfer() -> None:
    bench = Bench(call_alerting=with_agent, call_tone=None, http_request=None, websocket_close=None)
    bench.callee.mode = "ring"
    bench.caller.call()
    bench.hold |= {"http.request", "call.tone"}
    bench.http(bench.control_path)
    for digit in "123":  # they wait before the close
        bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", digit))
    made = bench.held.pop()
    made.command("agent.close", "agent")
    made.command("call.dial", "consult", to="+15550177")
    bench.answer(made, made.done())
    while bench.held:
        bench.lose(bench.held.pop(), "crashed")
    assert policies(bench)[-1] == ("breaker_open", "ignore")
    bench.run(15)
    assert bench.caller.all(sip.Ended) == []
    bench.callee.pick_up()
    assert len(bench.of("websocket.close")) == 0
