"""A whole call through the bench: what every other test here takes for granted."""

from cordboard.contract import link
from cordboard.session import effects as out
from cordboard.sip import events as sip

from .session_bench import Bench, with_agent


def test_a_call_is_answered_bridged_to_its_agent_and_ends_once() -> None:
    bench = Bench(call_alerting=with_agent, call_disconnected=None)
    bench.caller.call()
    assert len(bench.caller.all(sip.Answered)) == 1
    assert [made.round for made in bench.of("call.alerting")] == [0, 1, 2]
    assert [(m.source.partition("/")[2], m.sink.partition("/")[2]) for m in bench.plane.all(link.Route)] == [
        ("caller", "agent"),
        ("agent", "caller"),
    ]
    bench.run(30)
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.cause == "caller.hangup"
    assert bench.record.fault == "none"
    assert bench.engine.live == 0
    assert bench.kept.dialogs == {}
    assert [each.release for each in bench.effects if isinstance(each, out.RetainRelease | out.ReleaseDone)] == [
        "r1"
    ] * 2


def test_the_timeline_holds_every_sip_message_from_the_invite_to_the_answer_of_the_bye() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    bench.caller.hang_up()
    bench.run(1)
    messages = [what for what in bench.told("sip") if what[0] in "←→"]
    assert messages[0].startswith("← INVITE")
    assert messages[1].startswith("→ 100")
    assert messages[-2].startswith("← BYE")
    assert messages[-1] == "→ 200 OK (BYE)"
