"""Every way a session ends: once, with its cause and whose fault it was, and nothing of it is left."""

from collections.abc import Callable
from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.call_record import LedgerEntry
from cordboard.session import effects as out
from cordboard.session.causes import fault_of
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, with_agent


def key(bench: Bench, digit: str) -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", digit))


def does(*commands: tuple[Any, ...]) -> Callable[[Round], Answer]:
    def handler(made: Round) -> Answer:
        for type_, target, *args in commands:
            made.command(type_, target, **(args[0] if args else {}))
        return made.done()

    return handler


TERMINATE = does(("session.terminate", None))


def talking(*changes: str, **handlers: Any) -> Bench:
    bench = Bench(*changes, **{"call_alerting": with_agent, **handlers})
    bench.caller.call()
    return bench


def caller_hangs_up() -> Bench:
    bench = talking(call_disconnected=TERMINATE)
    bench.caller.hang_up()
    return bench


def handler_hangs_up() -> Bench:
    bench = talking(call_tone=does(("call.hangup", "caller")))
    key(bench, "1")
    return bench


def handler_terminates() -> Bench:
    bench = talking(call_tone=TERMINATE)
    key(bench, "1")
    return bench


def agent_goes(code: int, reason: str, by: str) -> Callable[[], Bench]:
    def run() -> Bench:
        bench = talking(websocket_close=TERMINATE)
        bench.plane.gone(f"{bench.sid}/agent", code, reason, by)
        bench.pump()
        return bench

    return run


def handler_fails() -> Bench:
    bench = talking(websocket_close=lambda made: made.fail())
    bench.plane.gone(f"{bench.sid}/agent", 1000, "", "agent")
    bench.pump()
    return bench


def plane_dies() -> Bench:
    bench = talking()
    del bench.planes[0]
    bench.engine.plane_lost(0, "its process ended", bench.now)
    bench.run(3)
    return bench


def lasts_too_long() -> Bench:
    bench = talking('[limits]\nmax_duration = "60s"')
    bench.run(61)
    return bench


def edge_stops() -> Bench:
    bench = talking()
    bench.engine.shutdown(bench.now)
    bench.pump()
    return bench


def never_acknowledged() -> Bench:
    bench = Bench(call_alerting=with_agent)
    bench.caller.acknowledges = False
    bench.caller.call()
    bench.run(40)
    return bench


ENDS: list[tuple[Callable[[], Bench], str, str]] = [
    (caller_hangs_up, "caller.hangup", "none"),
    (handler_hangs_up, "handler.terminate", "none"),
    (handler_terminates, "handler.terminate", "none"),
    (agent_goes(1000, "call ended by agent", "agent"), "agent.closed", "none"),
    (agent_goes(1011, "broken", "error"), "agent.error", "agent"),
    (agent_goes(1000, "connection idle timeout", "idle"), "agent.idle", "agent"),
    (agent_goes(1006, "", "network"), "agent.lost", "agent"),
    (handler_fails, "handler.failed", "function"),
    (plane_dies, "plane.lost", "edge"),
    (lasts_too_long, "limit.max_duration", "none"),
    (edge_stops, "edge.shutdown", "none"),
    (never_acknowledged, "caller.no_ack", "caller"),
]


@pytest.mark.parametrize(("play", "cause", "fault"), ENDS, ids=[f"{i}-{row[1]}" for i, row in enumerate(ENDS)])
def test_a_session_ends_once_with_its_cause_and_nothing_of_it_is_left(
    play: Callable[[], Bench], cause: str, fault: str
) -> None:
    bench = play()
    bench.run(2)
    assert (bench.record.cause, bench.record.fault) == (cause, fault)
    assert bench.record.session == bench.sid
    assert len(bench.caller.all(sip.Ended)) + len(bench.caller.all(sip.HungUp)) == 1
    assert bench.kept.dialogs == {}
    assert bench.engine.live == 0
    assert [effect.release for effect in bench.effects if isinstance(effect, out.ReleaseDone)] == ["r1"]
    if bench.planes:
        assert bench.plane.agents == set()
        assert len(bench.plane.all(link.SessionClose)) == 1
    invoked = len(bench.rounds)
    bench.run(60)
    assert len(bench.kept.ended) == 1
    assert len(bench.rounds) == invoked


@pytest.mark.parametrize(
    ("cause", "fault"),
    [("consult.failed", "callee"), ("control.lost", "edge"), ("media.lost", "trunk"), ("limit.unbridged", "function")],
)
def test_whose_fault_a_cause_is(cause: str, fault: str) -> None:
    assert fault_of(cause) == fault


# --- playouts


def test_a_hang_up_after_playout_does_not_hold_up_the_next_command() -> None:
    bench = talking(
        call_tone=does(("call.hangup", "caller", {"after": "playout"}), ("timer.set", "t", {"seconds": 1.0})),
        timer=None,
    )
    key(bench, "1")
    bench.run(2)
    assert [made.target for made in bench.of("timer")] == ["t"]
    assert bench.caller.all(sip.Ended) == []
    bench.plane.release(link.LegPlayout)
    assert len(bench.caller.all(sip.Ended)) == 1


@pytest.mark.parametrize("then", [("agent.close", "agent"), ("session.terminate", None)])
def test_close_and_terminate_wait_for_the_playout_that_is_pending(then: tuple[str, str | None]) -> None:
    bench = talking(call_tone=does(("call.hangup", "caller", {"after": "playout"}), then))
    key(bench, "1")
    bench.run(3)
    assert bench.plane.all(link.AgentClose) == []
    assert bench.caller.all(sip.Ended) == []
    bench.plane.release(link.LegPlayout)
    bench.run(1)
    assert len(bench.caller.all(sip.Ended)) == 1
    assert len(bench.plane.all(link.AgentClose)) == 1
    assert bench.record.cause == "handler.terminate"


def test_an_agent_s_close_does_not_wait_where_no_hang_up_is_pending() -> None:
    bench = talking(call_tone=does(("agent.close", "agent")), websocket_close=None)
    key(bench, "1")
    assert len(bench.plane.all(link.AgentClose)) == 1
    (made,) = bench.of("websocket.close")
    assert (made.data["expected"], made.data["by"]) == (True, "us")


def test_a_plane_that_never_reports_the_playout_does_not_hold_the_leg() -> None:
    bench = talking(call_tone=does(("call.hangup", "caller", {"after": "playout"})))
    key(bench, "1")
    bench.run(15.5)
    assert bench.caller.all(sip.Ended) == []
    bench.run(1)
    assert len(bench.caller.all(sip.Ended)) == 1


def test_a_hang_up_now_overtakes_one_after_playout() -> None:
    bench = talking(
        call_tone=lambda made: does(
            ("call.hangup", "caller", {"after": "playout"} if made.data["tone"] == "1" else {})
        )(made)
    )
    key(bench, "1")
    key(bench, "2")
    assert len(bench.caller.all(sip.Ended)) == 1


# --- the last words


def test_terminating_is_the_last_event_and_its_commands_reach_nothing() -> None:
    bench = talking(
        call_tone=TERMINATE, session_terminating=does(("call.dial", "late", {"to": "+15550002"})), call_failed=None
    )
    key(bench, "1")
    bench.run(1)
    assert bench.rounds[-1].type == "session.terminating"
    assert bench.rounds[-1].data == {"cause": "handler.terminate"}
    assert bench.of("call.failed") == []
    assert bench.callee.heard == []
    assert bench.record.cause == "handler.terminate"


def test_a_handler_that_awaits_its_terminate_goes_on_to_its_return() -> None:
    def tone(made: Round) -> Answer:
        if made.round == 0:
            return made.wait(made.command("session.terminate"))
        return made.done(state={"base_version": 0, "data": {"said": "goodbye"}})

    bench = talking(call_tone=tone, session_terminating=None)
    key(bench, "1")
    bench.run(1)
    assert [made.round for made in bench.of("call.tone")] == [0, 1]
    (last,) = bench.of("session.terminating")
    assert last.payload["state"]["data"] == {"said": "goodbye"}
    assert len(bench.kept.ended) == 1


def test_a_handler_of_terminating_that_never_answers_does_not_hold_the_record() -> None:
    bench = talking(call_tone=TERMINATE, session_terminating=None)
    bench.hold.add("session.terminating")
    key(bench, "1")
    bench.run(4)
    assert bench.kept.ended == []
    bench.run(2)
    assert len(bench.kept.ended) == 1
    bench.answer(bench.held[0], bench.held[0].done())
    assert bench.engine.live == 0


def test_a_plane_that_never_closes_does_not_hold_the_record() -> None:
    bench = talking(call_tone=TERMINATE)
    bench.plane.mute.add(link.SessionClose)
    key(bench, "1")
    bench.run(2.1)
    assert len(bench.kept.ended) == 1


def test_a_peer_that_answers_no_bye_does_not_hold_the_record() -> None:
    bench = talking(call_tone=TERMINATE)
    bench.caller.dead = True
    key(bench, "1")
    bench.run(10)
    assert len(bench.kept.ended) == 1


def test_the_ledger_stands_in_the_record_and_the_timeline() -> None:
    bench = talking()
    entry = LedgerEntry(f"{bench.sid}/agent", f"{bench.sid}/caller", 8000, received=160, sent=160)
    bench.plane.ledger = (entry,)
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.ledger == (entry,)
    assert "agent → caller" in bench.told("ledger")


def test_a_session_with_timers_and_no_legs_ends_when_it_was_idle_for_its_limit() -> None:
    bench = Bench(
        '[limits]\nidle_session = "20s"',
        call_alerting=does(("timer.set", "t", {"seconds": 3000.0}), ("call.reject", "caller")),
    )
    bench.caller.call()
    bench.run(19)
    assert bench.kept.ended == []
    bench.run(2)
    assert bench.record.cause == "handler.refused"


def test_the_last_timer_of_a_session_without_legs_ends_it() -> None:
    bench = Bench(call_alerting=does(("timer.set", "t", {"seconds": 5.0}), ("call.reject", "caller")), timer=None)
    bench.caller.call()
    bench.run(6)
    assert len(bench.of("timer")) == 1
    assert len(bench.kept.ended) == 1
