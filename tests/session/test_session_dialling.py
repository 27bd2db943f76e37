"""Outbound legs: what may be dialled, what becomes of them, and what the caller hears meanwhile."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.sip import events as sip

from .session_bench import EDGE, Answer, Bench, Round, answered

TO = "+15550002"


def dialling(*changes: str, mode: str = "answer", **args: Any) -> Bench:
    """A connected call whose first digit dials the consultant."""
    wanted = {"to": TO, **args}

    def tone(made: Round) -> Answer:
        if made.data["tone"] == "1":
            made.command("call.dial", "consult", **wanted)
        elif made.data["tone"] == "2":
            made.command("media.bridge", "caller+consult", a="caller", b="consult")
        else:
            made.command("call.hangup", "consult")
        return made.done()

    bench = Bench(
        *changes,
        call_alerting=answered, call_tone=tone, call_connected__consult=None, call_failed__consult=None,
        call_ringing=None, call_audio_started=None, call_disconnected__consult=None, command_failed=None,
    )  # fmt: skip
    bench.callee.mode = mode
    bench.caller.call()
    key(bench, "1")
    return bench


def key(bench: Bench, digit: str) -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", digit))


def failure(bench: Bench) -> int:
    (made,) = bench.of("call.failed")
    code: int = made.data["code"]
    return code


def fallbacks(bench: Bench) -> list[str]:
    return [message.source.partition("/")[2] or message.source for message in bench.plane.all(link.LegFallback)]


def test_a_dialled_leg_is_connected_and_bridged() -> None:
    bench = dialling()
    assert [made.target for made in bench.of("call.connected")] == ["consult"]
    key(bench, "2")
    assert len(bench.plane.all(link.Route)) == 2
    bench.run(15)
    assert bench.kept.ended == []
    bench.caller.hang_up()
    bench.run(1)
    assert bench.kept.ended == [], "the consultant's leg lives on"
    bench.run(15)
    assert bench.record.cause == "limit.unbridged"
    assert [(leg.name, leg.direction, leg.answered) for leg in bench.record.legs] == [
        ("caller", "in", True),
        ("consult", "out", True),
    ]


def test_what_hangs_up_last_is_the_cause() -> None:
    bench = dialling()
    key(bench, "2")
    bench.caller.hang_up()
    bench.callee.hang_up()
    bench.run(1)
    assert (bench.record.cause, bench.record.fault) == ("consult.hangup", "none")


@pytest.mark.parametrize(
    ("changes", "args", "code"),
    [
        (('allow = ["+1*", "sip:*"] → allow = []',), {}, 403),
        ((), {"to": "+19005551234"}, 403),
        ((), {"to": "+49301234"}, 403),
        (('allow = ["+1*", "sip:*"] → allow = ["+1*"]',), {"to": "sip:bob@192.0.2.50"}, 403),
        (('[[outbound]]\nto = "+1*" → [[outbound]]\nto = "+1777*"',), {}, 404),
        ((), {"trunk": "other"}, 404),
        (('deny = ["+1900*"] → deny = ["+1900*"]\nmax_per_call = 0',), {}, 403),
        (('name = "main" → name = "main"\nmax_calls = 1',), {}, 503),
        ((), {"callerid": "a@b\r\nX: y"}, 400),
        ((), {"headers": {"X-A": "b\r\nVia: c"}}, 400),
    ],
)
def test_what_may_not_be_dialled_fails_with_a_code_and_sends_nothing(
    changes: tuple[str, ...], args: dict[str, Any], code: int
) -> None:
    bench = dialling(*changes, **args)
    assert failure(bench) == code
    assert bench.of("command.failed") == []
    assert not any(summary.startswith("INVITE") for summary in bench.callee.heard)
    opened = {message.leg for message in bench.plane.all(link.LegMedia)} - {f"{bench.sid}/caller"}
    assert opened == {message.leg for message in bench.plane.all(link.LegClose)}, "no port is kept"


def test_legs_that_were_refused_do_not_count_as_dialled() -> None:
    def tone(made: Round) -> Answer:
        made.command("call.dial", f"c{made.data['tone']}", to="+19005551234" if made.data["tone"] < "4" else TO)
        return made.done()

    bench = Bench(call_alerting=answered, call_tone=tone, call_failed=None, call_connected=None)
    bench.caller.call()
    for digit in "12345678":
        key(bench, digit)
    assert [made.target for made in bench.of("call.connected")] == ["caller", "c4", "c5", "c6"]
    assert [made.data["code"] for made in bench.of("call.failed")] == [403] * 5


def test_a_busy_leg_fails_and_the_caller_stays() -> None:
    bench = dialling(mode="busy")
    assert failure(bench) == 486
    assert bench.kept.ended == []


def test_ringing_longer_than_its_time_is_cancelled_and_fails_with_408() -> None:
    bench = dialling(mode="ring", timeout=5.0)
    assert [made.target for made in bench.of("call.ringing")] == ["consult"]
    bench.run(4.9)
    assert bench.of("call.failed") == []
    bench.run(0.2)
    assert failure(bench) == 408
    assert any(summary.startswith("CANCEL") for summary in bench.callee.heard)


def test_a_leg_that_nobody_answers_at_all_fails_when_its_time_is_over() -> None:
    bench = dialling(mode="silent", timeout=5.0, to="sip:+15550009@192.0.2.99")
    bench.run(6.9)
    assert bench.of("call.failed") == []
    bench.run(0.2)
    assert failure(bench) == 408


def test_a_caller_hears_ringback_while_a_leg_rings_and_nothing_of_it_afterwards() -> None:
    bench = dialling(mode="ring", timeout=5.0)
    assert fallbacks(bench) == ["ringback"]
    bench.run(6)
    assert fallbacks(bench) == ["ringback", ""]


def test_a_caller_hears_the_early_media_of_the_newest_ringing_leg() -> None:
    bench = dialling(mode="early")
    assert fallbacks(bench)[-1] == "consult"
    assert [made.target for made in bench.of("call.audio_started")] == ["consult"]
    bench.callee.pick_up()
    assert fallbacks(bench)[-1] == ""


def test_a_caller_with_a_source_hears_no_ringback() -> None:
    bench = dialling(mode="ring")
    bench.engine._sessions[bench.sid].legs.cords.route(f"{bench.sid}/x", f"{bench.sid}/caller", bench.now)
    bench.pump()
    assert fallbacks(bench) == ["ringback", ""]


def test_an_answer_that_cannot_be_used_ends_the_leg_as_488() -> None:
    bench = dialling(mode="unusable")
    bench.run(1)
    assert failure(bench) == 488
    assert any(summary.startswith("BYE") for summary in bench.callee.heard)


def test_a_name_may_be_used_again_and_late_words_do_not_reach_its_successor() -> None:
    bench = dialling()
    key(bench, "3")
    key(bench, "1")
    units = [message.leg.partition("/")[2] for message in bench.plane.all(link.LegMedia)]
    assert {"consult", "consult~2"} < set(units)
    assert len(bench.of("call.connected")) == 2


def test_follow_diversion_names_the_number_called() -> None:
    bench = dialling(follow_diversion=True)
    invite = bench.callee.last(sip.IncomingInvite).request
    assert "+18005550100" in (invite.headers.get("Diversion") or "")
    assert EDGE[0] in (invite.headers.get("Contact") or "")


def test_an_outbound_dialog_is_on_disk_from_its_invite_to_its_end() -> None:
    bench = dialling(mode="ring", timeout=5.0)
    assert len(bench.kept.dialogs) == 2
    bench.run(6)
    assert len(bench.kept.dialogs) == 1
