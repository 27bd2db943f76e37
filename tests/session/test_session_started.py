"""Sessions that an operator starts: how they begin without a call, what they may do, and how they end."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session.intake import StartRefused
from cordboard.session.operations import NothingRecorded, NotLive
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Handler, Round

DIAL = {"to": "+15550002222", "callerid": "+15550001111"}


def dials(round_: Round) -> Answer:
    round_.command("call.dial", "callee", **DIAL)
    return round_.done()


def start(bench: Bench, scenario: str = "desk", **custom_data: Any) -> str:
    found = bench.engine.operate(lambda asked: asked.start(scenario, custom_data), bench.now)
    bench.pump()
    return str(found["id"])


def outbound(*changes: str, mode: str = "answer", **handlers: Handler | None) -> Bench:
    wanted: dict[str, Any] = {"session_started": dials, "call_connected": None, **handlers}
    bench = Bench(*changes, **wanted)
    bench.callee.mode = mode
    return bench


def test_its_first_event_is_started_with_what_it_was_given() -> None:
    bench = outbound(mode="ring")
    id_ = start(bench, to="+1555", deep={"a": [1]})
    (round_,) = bench.rounds
    assert round_.type == "session.started"
    assert round_.data["custom_data"] == {"to": "+1555", "deep": {"a": [1]}}
    assert round_.payload["session"]["custom_data"] == round_.data["custom_data"]
    assert round_.data["access_secure_url"].startswith("https://voice.example/control/")
    assert round_.payload["session"]["id"] == id_
    assert bench.callee.all(sip.IncomingInvite)


def test_its_record_tells_of_the_leg_that_it_dialled() -> None:
    bench = outbound(call_disconnected=None)
    start(bench)
    assert [made.target for made in bench.of("call.connected")] == ["callee"]
    bench.callee.hang_up()
    bench.run(1)
    record = bench.record
    assert (record.cause, record.fault, record.scenario) == ("callee.hangup", "none", "desk")
    assert (record.from_, record.to) == (DIAL["callerid"], DIAL["to"])
    assert [(leg.name, leg.direction, leg.answered) for leg in record.legs] == [("callee", "out", True)]
    assert bench.engine.live == 0


def test_what_may_not_be_dialled_ends_it_with_a_cause() -> None:
    bench = outbound('deny = ["+1900*"] → deny = ["+1555*"]', call_failed=None)
    start(bench)
    bench.run(1)
    (failed,) = bench.of("call.failed")
    assert failed.data["code"] == 403
    assert (bench.record.cause, bench.record.fault) == ("callee.failed", "callee")


def test_without_a_leg_it_ends_when_it_was_idle_for_a_minute() -> None:
    bench = Bench(session_started=None, http_request=None)
    start(bench)
    bench.run(59)
    assert bench.status(bench.http(bench.control_path)) == 204, "its control URL works meanwhile"
    assert bench.kept.ended == []
    bench.run(2)
    assert (bench.record.cause, bench.record.fault, bench.record.legs) == ("limit.idle_session", "function", ())


def test_a_timer_does_not_keep_it_beyond_that() -> None:
    def later(round_: Round) -> Answer:
        round_.command("timer.set", "later", seconds=3600)
        return round_.done()

    bench = Bench(session_started=later, timer=None)
    start(bench)
    bench.run(61)
    assert bench.record.cause == "limit.idle_session"


def test_a_leg_that_it_dials_late_saves_it() -> None:
    def wait(round_: Round) -> Answer:
        round_.command("timer.set", "later", seconds=50)
        return round_.done()

    bench = outbound(session_started=wait, timer=dials, mode="ring")
    start(bench)
    bench.run(90)
    assert bench.kept.ended == []
    bench.run(40)
    assert bench.record.cause == "callee.failed", "nobody picked up within a minute"


@pytest.mark.parametrize("chosen", [None, "terminate"])
def test_a_failed_start_ends_it_at_once(chosen: Any) -> None:
    bench = Bench(session_started=lambda round_: round_.fail("KeyError", "no number"))
    bench.on_error = {"session.started": chosen}
    bench.retake()
    start(bench)
    bench.run(1)
    assert (bench.record.cause, bench.record.fault) == ("handler.failed", "function")


def test_of_a_call_a_failed_start_is_ignored() -> None:
    bench = Bench(session_started=lambda round_: round_.fail(), call_alerting=None)
    bench.caller.call()
    assert len(bench.of("call.alerting")) == 1


def test_terminate_without_a_leg_ends_it() -> None:
    def over(round_: Round) -> Answer:
        round_.command("session.terminate")
        return round_.done()

    bench = Bench(session_started=over, session_terminating=None)
    start(bench)
    bench.run(1)
    assert bench.record.cause == "handler.terminate"
    assert len(bench.of("session.terminating")) == 1


def test_a_full_edge_starts_no_more() -> None:
    bench = outbound("[limits]", "max_calls = 1")
    start(bench)
    with pytest.raises(StartRefused, match=r"max_calls = 1") as refused:
        start(bench)
    assert refused.value.problem == "full"


def test_an_unknown_scenario_is_named_with_those_there_are() -> None:
    with pytest.raises(StartRefused, match="'nobody'; scenarios there: desk"):
        start(outbound(), "nobody")


def test_a_scenario_that_does_not_listen_is_not_started() -> None:
    with pytest.raises(StartRefused, match=r"AppEvents\.Started"):
        start(Bench(call_alerting=None))


def test_without_a_plane_and_while_it_stops_nothing_is_started() -> None:
    bench = Bench(start=False, session_started=dials)
    with pytest.raises(StartRefused, match="no media plane"):
        start(bench)
    bench.connect(0)
    bench.engine.shutdown(bench.now)
    with pytest.raises(StartRefused, match="stopping"):
        start(bench)
    assert bench.kept.ended == []


def test_an_operator_sees_it_and_ends_it_once() -> None:
    bench = outbound()
    id_ = start(bench)
    bench.run(2)
    (listed,) = bench.engine.operate(lambda asked: asked.live(), bench.now)
    assert listed == {
        "id": id_, "state": "live", "scenario": "desk", "started_at": "2026-01-01T00:00:00.000Z",
        "from": DIAL["callerid"], "to": DIAL["to"],
    }  # fmt: skip
    found = bench.engine.operate(lambda asked: asked.describe(id_), bench.now)
    assert found["duration"] == 2.0
    assert [(leg["name"], leg["answered"]) for leg in found["legs"]] == [("callee", True)]
    assert found["objects"] == [{"name": "callee", "kind": "call", "state": "CONNECTED"}]
    assert "control" not in str(found), "no capability leaves by looking"
    for _ in range(2):
        assert bench.engine.operate(lambda asked: asked.end(id_), bench.now)["state"] == "ending"
    bench.pump()
    bench.run(1)
    assert (bench.record.cause, bench.record.fault) == ("operator.terminate", "none")
    assert len(bench.callee.all(sip.Ended)) == 1
    with pytest.raises(NotLive):
        bench.engine.operate(lambda asked: asked.describe(id_), bench.now)


def test_a_lost_plane_ends_it() -> None:
    bench = outbound(mode="ring")
    start(bench)
    bench.engine.plane_lost(0, "reset", bench.now)
    bench.pump()
    bench.run(40)
    assert bench.record.cause == "plane.lost"


def test_an_operator_pauses_its_recordings() -> None:
    def record(round_: Round) -> Answer:
        round_.command("call.record", "callee", name="recording")
        return round_.done()

    bench = outbound(call_connected=record)
    id_ = start(bench)
    assert bench.engine.operate(lambda asked: asked.record(id_, "pause", "card"), bench.now) == ["recording"]
    bench.pump()
    assert bench.plane.last(link.RecordPause).reason == "card"
    bench.engine.operate(lambda asked: asked.record(id_, "resume", ""), bench.now)
    bench.pump()
    assert len(bench.plane.all(link.RecordResume)) == 1


def test_where_nothing_is_recorded_nothing_is_paused() -> None:
    bench = outbound()
    id_ = start(bench)
    with pytest.raises(NothingRecorded):
        bench.engine.operate(lambda asked: asked.record(id_, "pause", ""), bench.now)
