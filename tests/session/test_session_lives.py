"""Death of each part (DESIGN §1): a plane's, control's own, and the orderly end of the edge."""

from dataclasses import replace
from typing import Any

from cordboard.contract import link
from cordboard.contract.call_record import DialogRecord
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Answer, Bench, Round, answered, with_agent


def key(bench: Bench, digit: str) -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", digit))


def dials(made: Round) -> Answer:
    made.command("call.dial", "consult", to="+15550002")
    return made.done()


def talking(**handlers: Any) -> Bench:
    bench = Bench(**{"call_alerting": with_agent, **handlers})
    bench.caller.call()
    return bench


def test_only_the_sessions_of_a_lost_plane_end() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.connect(1)
    bench.caller.call()
    second = bench.phone(("192.0.2.3", 5060))
    second.call()
    began = [effect.facts["plane"] for effect in bench.effects if isinstance(effect, out.SessionBegan)]
    assert began == [0, 1]
    bench.engine.plane_lost(0, "gone", bench.now)
    bench.run(5)
    assert len(bench.caller.all(sip.Ended)) == 1
    assert second.all(sip.Ended) == []
    assert bench.record.cause == "plane.lost"


def test_a_plane_that_misses_its_lease_is_killed() -> None:
    bench = talking()
    bench.plane.mute.add(link.Ping)
    bench.run(9)
    assert not any(isinstance(effect, out.KillPlane) for effect in bench.effects)
    bench.run(5)
    assert [effect for effect in bench.effects if isinstance(effect, out.KillPlane)] == [out.KillPlane(0, 4711)]
    assert len(bench.caller.all(sip.Ended)) == 1
    assert bench.record.cause == "plane.lost"
    assert not bench.engine.ready
    bench.connect(0)
    assert bench.engine.ready


def test_each_plane_is_asked_every_second() -> None:
    bench = talking()
    before = len(bench.plane.all(link.Ping))
    bench.run(5)
    assert [ping.n for ping in bench.plane.all(link.Ping)][before:] == [before + n for n in range(1, 6)]


def test_a_plane_that_is_linked_again_begins_anew() -> None:
    bench = talking()
    bench.connect(0)
    bench.run(3)
    assert bench.record.cause == "plane.lost"


def test_a_plane_lost_before_the_answer_is_a_500() -> None:
    bench = Bench(call_alerting=None)
    bench.caller.call()
    bench.engine.plane_lost(0, "gone", bench.now)
    bench.run(3)
    assert bench.caller.last(sip.Failed).code == 500


def test_the_next_life_ends_every_dialog_of_the_last_and_writes_one_record_a_session() -> None:
    bench = talking(call_tone=dials)
    key(bench, "1")
    records: list[DialogRecord] = list(bench.kept.dialogs.values())
    assert len(records) == 2
    session = bench.sid
    bench.kept.dialogs.clear()
    bench.engine = bench.new_engine()
    bench.engine.restore([*records, replace(records[0], session="s_broken", dialog={"state": "?"})], bench.now)
    bench.pump()
    assert len(bench.caller.all(sip.Ended)) == 1
    assert len(bench.callee.all(sip.Ended)) == 1
    assert [(ended.session, ended.cause, ended.fault) for ended in bench.kept.ended] == [
        (session, "control.lost", "edge"),
        ("s_broken", "control.lost", "edge"),
    ]
    assert bench.engine.live == 0


def test_the_next_life_cancels_what_was_still_ringing() -> None:
    bench = talking(call_tone=dials)
    bench.callee.mode = "ring"
    key(bench, "1")
    records = list(bench.kept.dialogs.values())
    bench.engine = bench.new_engine()
    bench.engine.restore(records, bench.now)
    bench.run(1)
    assert any(summary.startswith("CANCEL") for summary in bench.callee.heard)


def test_a_shutdown_refuses_new_calls_and_ends_all() -> None:
    bench = talking()
    ringing = bench.phone(("192.0.2.3", 5060))
    bench.handlers = {("call.alerting", None): None}
    bench.retake()
    ringing.call()
    bench.engine.shutdown(bench.now)
    bench.pump()
    assert len(bench.caller.all(sip.Ended)) == 1
    assert ringing.last(sip.Failed).code == 503
    late = bench.phone(("192.0.2.4", 5060))
    late.call()
    assert late.last(sip.Failed).code == 503
    bench.run(1)
    assert [ended.cause for ended in bench.kept.ended] == ["edge.shutdown"] * 2
    assert not bench.engine.ready


def test_a_line_of_a_plane_that_cannot_be_read_is_logged_and_nothing_else() -> None:
    bench = talking(call_alerting=answered)
    for line in (b"\xff\n", b"[]\n", b'{"m": "Nothing"}\n', b'{"m": "LegDigit", "leg": 5}\n'):
        bench.engine.receive_link(0, line, bench.now)
    bench.pump()
    assert len([log for log in bench.kept.logs if log.level == "error"]) == 4
    assert bench.kept.ended == []
