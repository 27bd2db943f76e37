"""Inbound calls: who gets in, when a 200 leaves, hold, digits, silence, and what a leg without a source hears."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session import effects as out
from cordboard.sip import events as sip
from cordboard.sip.offer import LocalMedia, answer, offer

from .session_bench import CALLER, NUMBER, TRUNK, Answer, Bench, Phone, Round, answered, with_agent

VIDEO_ONLY = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 31\r\n"


def refused(bench: Bench, phone: Phone | None = None) -> int:
    return (phone or bench.caller).last(sip.Failed).code


# --- who gets in


def test_a_number_without_a_route_is_not_found() -> None:
    bench = Bench(call_alerting=answered)
    bench.caller.call("+49301234567")
    assert refused(bench) == 404
    assert bench.rounds == []


def test_a_full_edge_sends_calls_elsewhere_for_a_while() -> None:
    bench = Bench("[limits]\nmax_calls = 1", call_alerting=answered)
    bench.caller.call()
    second = bench.phone(("192.0.2.3", 5060))
    second.call()
    failed = second.last(sip.Failed)
    assert failed.code == 503
    assert failed.response is not None
    assert failed.response.headers.get("Retry-After") == "5"
    bench.caller.hang_up()
    second.call()
    assert len(second.all(sip.Answered)) == 1


def test_a_full_route_is_busy() -> None:
    bench = Bench('to = "+1800*" → to = "+1800*"\nmax_calls = 1', call_alerting=answered)
    bench.caller.call()
    second = bench.phone(("192.0.2.3", 5060))
    second.call()
    assert refused(bench, second) == 486


def test_a_full_trunk_is_busy() -> None:
    bench = Bench('name = "main" → name = "main"\nmax_calls = 1', call_alerting=answered)
    bench.caller.call()
    second = bench.phone(("192.0.2.3", 5060))
    second.call()
    assert refused(bench, second) == 486


def test_without_a_plane_no_call_is_taken() -> None:
    bench = Bench(start=False, call_alerting=answered)
    assert not bench.engine.ready
    bench.caller.call()
    assert refused(bench) == 503


def test_an_unknown_source_is_dropped_with_one_line_that_says_what_to_add() -> None:
    bench = Bench(call_alerting=answered)
    stranger = bench.phone(("203.0.113.7", 5060))
    for _ in range(3):
        stranger.call()
    bench.run(5)
    assert stranger.heard == []
    (line,) = [log for log in bench.kept.logs if "no trunk" in log.message]
    assert 'identify = ["203.0.113.7/32"]' in str(line.fields["hint"])
    bench.run(6)
    stranger.call()
    lines = [log for log in bench.kept.logs if "no trunk" in log.message]
    assert len(lines) == 2
    assert lines[1].fields["count"] > 3


def test_a_scenario_that_answers_no_calls_refuses_them() -> None:
    bench = Bench(call_connected=None)
    bench.caller.call()
    assert refused(bench) == 480


@pytest.mark.parametrize(("sdp", "code"), [(VIDEO_ONLY, 488), (b"nonsense", 400)])
def test_a_description_that_cannot_be_used_refuses_the_call_and_costs_nothing(sdp: bytes, code: int) -> None:
    bench = Bench("[limits]\nmax_calls = 1", call_alerting=answered)
    for _ in range(12):  # more than the plane's stock of ports
        bench.caller.call(sdp=sdp)
        assert refused(bench) == code
    assert bench.engine.live == 0
    bench.caller.call()
    assert len(bench.caller.all(sip.Answered)) == 1


def test_events_begin_with_the_session_and_its_control_url() -> None:
    bench = Bench(session_started=None, call_alerting=None)
    bench.caller.call()
    assert [made.type for made in bench.rounds] == ["session.started", "call.alerting"]
    url = bench.rounds[0].data["access_secure_url"]
    assert url.startswith("https://voice.example/control/")
    assert bench.rounds[1].data["destination"] == NUMBER
    assert bench.rounds[1].data["callerid"] == "+15550001"


# --- when a 200 leaves


def test_the_200_leaves_only_when_the_plane_has_confirmed_the_leg() -> None:
    bench = Bench(call_alerting=answered, call_connected=None)
    bench.plane.mute.add(link.LegMedia)
    bench.caller.call()
    bench.run(0.9)
    assert bench.caller.all(sip.Answered) == []
    bench.plane.release(link.LegMedia)
    assert len(bench.caller.all(sip.Answered)) == 1
    assert len(bench.of("call.connected")) == 1


def test_a_plane_that_does_not_confirm_within_a_second_is_a_500() -> None:
    bench = Bench(call_alerting=answered, call_connected=None)
    bench.plane.mute.add(link.LegMedia)
    bench.caller.call()
    bench.run(1.01)
    assert refused(bench) == 500
    bench.run(1)
    assert bench.record.cause == "plane.lost"
    assert bench.record.fault == "edge"
    assert bench.of("call.connected") == []


def test_answering_twice_while_the_plane_is_slow_is_answering_once() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("call.answer", "caller")
        return made.done()

    bench = Bench(call_alerting=handler, command_failed=None, call_connected=None)
    bench.plane.mute.add(link.LegMedia)
    bench.caller.call()
    bench.plane.release(link.LegMedia)
    bench.run(3)
    assert len(bench.of("call.connected")) == 1
    assert bench.of("command.failed") == []


def test_ringing_needs_no_plane_and_early_media_does() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.ring", "caller")
        made.command("call.early_media", "caller")
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.plane.mute.add(link.LegMedia)
    bench.caller.call()
    assert [event.code for event in bench.caller.all(sip.Provisional)] == [180]
    bench.plane.release(link.LegMedia)
    assert [(event.code, event.sdp is not None) for event in bench.caller.all(sip.Provisional)] == [
        (180, False),
        (183, True),
    ]


def test_a_rejected_call_hears_the_handler_s_code() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.reject", "caller", code=603)
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    bench.run(1)
    assert refused(bench) == 603
    assert (bench.record.cause, bench.record.fault) == ("handler.refused", "none")


def raw(bench: Bench, method: str, cseq: int, *, to: str = "", body: bytes = b"", branch: str = "b1") -> None:
    lines = [
        f"{method} sip:{NUMBER}@192.0.2.10:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch};rport",
        "Max-Forwards: 70",
        "From: <sip:+15550001@192.0.2.1>;tag=al",
        f"To: {to or f'<sip:{NUMBER}@192.0.2.10>'}",
        "Call-ID: late",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@192.0.2.1:5060>",
        f"Content-Length: {len(body)}",
    ]
    if body:
        lines.insert(-1, "Content-Type: application/sdp")
    bench.caller.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def sent_to_caller(bench: Bench) -> list[bytes]:
    return [effect.data for effect in bench.effects if isinstance(effect, out.SendSip) and effect.address == CALLER]


def test_an_invite_without_an_offer_gets_ours_and_its_answer_comes_with_the_ack() -> None:
    def handler(made: Round) -> Answer:
        made.command("call.early_media", "caller")
        made.command("call.answer", "caller")
        return made.done()

    bench = Bench(call_alerting=handler)
    raw(bench, "INVITE", 1)
    messages = sent_to_caller(bench)
    early, final = (next(m for m in messages if m.startswith(b"SIP/2.0 " + code)) for code in (b"183", b"200"))
    assert b"m=audio" not in early, "an offer may not stand in an unreliable response (RFC 3261 13.2.1)"
    assert b"m=audio" in final
    to = next(line[4:] for line in final.decode().split("\r\n") if line.startswith("To: "))
    theirs = answer(final.partition(b"\r\n\r\n")[2], LocalMedia("192.0.2.1", 4000, 1, 1))[0]
    raw(bench, "ACK", 1, to=to, body=theirs, branch="b2")
    media = bench.plane.last(link.LegMedia)
    assert (media.remote, media.answered) == (("192.0.2.1", 4000), True)


def test_an_unusable_answer_in_the_ack_ends_the_call() -> None:
    bench = Bench(call_alerting=answered)
    raw(bench, "INVITE", 1)
    final = next(m for m in sent_to_caller(bench) if m.startswith(b"SIP/2.0 200"))
    to = next(line[4:] for line in final.decode().split("\r\n") if line.startswith("To: "))
    raw(bench, "ACK", 1, to=to, body=VIDEO_ONLY, branch="b2")
    assert any(message.startswith(b"BYE ") for message in sent_to_caller(bench))


def test_a_call_that_was_rejected_cannot_be_answered() -> None:
    def handler(made: Round) -> Answer:
        if made.round:
            return made.done()
        made.command("call.reject", "caller", code=486)
        return made.wait(made.command("call.answer", "caller"))

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    assert refused(bench) == 486
    assert bench.of("call.alerting")[-1].outcome()["error"]["code"] == "object_ended"


# --- within a call


def held_offer(phone: Phone, direction: Any) -> bytes:
    return offer(LocalMedia(phone.address[0], 4000, 1, 2), direction)


def reinvite(bench: Bench, sdp: bytes, cseq: int) -> str:
    """Offer again, from outside the phone's own user agent; the status of the answer."""
    dialog = bench.caller.agent.dialog(bench.caller.leg)
    assert dialog is not None
    invited = bench.caller.all(sip.Answered)[0].response
    cseq += int((invited.headers.get("CSeq") or "0").split()[0])
    lines = [
        "INVITE sip:cordboard@192.0.2.10:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKre{cseq};rport",
        "Max-Forwards: 70",
        f"From: {invited.headers.get('From')}",
        f"To: {invited.headers.get('To')}",
        f"Call-ID: {invited.headers.get('Call-ID')}",
        f"CSeq: {cseq} INVITE",
        "Contact: <sip:alice@192.0.2.1:5060>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(sdp)}",
    ]
    before = len(sent_to_caller(bench))
    bench.caller.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + sdp)
    status = [m.split(b" ")[1].decode() for m in sent_to_caller(bench)[before:] if m.startswith(b"SIP/2.0")][-1]
    ack = "\r\n".join(lines).replace("INVITE sip", "ACK sip").replace(f"{cseq} INVITE", f"{cseq} ACK")
    bench.caller.raw((ack.replace(f"Content-Length: {len(sdp)}", "Content-Length: 0") + "\r\n\r\n").encode())
    return status


def test_a_hold_is_answered_told_to_the_plane_and_to_the_handler() -> None:
    bench = Bench(call_alerting=answered, call_hold=None, call_unhold=None)
    bench.caller.call()
    assert reinvite(bench, held_offer(bench.caller, "sendonly"), 1) == "200"
    assert bench.plane.last(link.LegMedia).on_hold
    assert [made.target for made in bench.of("call.hold")] == ["caller"]
    assert reinvite(bench, held_offer(bench.caller, "sendonly"), 2) == "200"
    assert len(bench.of("call.hold")) == 1, "held once is told once"
    assert reinvite(bench, held_offer(bench.caller, "sendrecv"), 3) == "200"
    assert not bench.plane.last(link.LegMedia).on_hold
    assert len(bench.of("call.unhold")) == 1


@pytest.mark.parametrize(("sdp", "code"), [(VIDEO_ONLY, "488"), (b"nonsense", "400")])
def test_an_unusable_offer_is_refused_and_the_call_goes_on_as_it_was(sdp: bytes, code: str) -> None:
    bench = Bench(call_alerting=answered, call_hold=None)
    bench.caller.call()
    told = len(bench.plane.all(link.LegMedia))
    assert reinvite(bench, sdp, 1) == code
    assert len(bench.plane.all(link.LegMedia)) == told
    assert bench.kept.ended == []
    assert reinvite(bench, held_offer(bench.caller, "sendonly"), 2) == "200"
    final = [m for m in sent_to_caller(bench) if m.startswith(b"SIP/2.0 200")]
    versions = [int(m.partition(b"\r\no=")[2].split(b" ")[2]) for m in final]
    assert versions[-1] == versions[0] + 1, "versions grow by one a description that was sent (RFC 3264 8)"


def test_a_digit_by_info_goes_to_the_plane_where_it_is_counted() -> None:
    bench = Bench(call_alerting=answered, call_tone=None)
    bench.caller.call()
    bench.caller.agent.info(bench.caller.leg, "application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n", bench.now)
    bench.pump()
    assert [(message.leg, message.digit) for message in bench.plane.all(link.LegInfoDigit)] == [
        (f"{bench.sid}/caller", "7")
    ]
    assert bench.of("call.tone") == []
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "7"))
    assert [made.data["tone"] for made in bench.of("call.tone")] == ["7"]


def test_a_silent_peer_is_asked_and_one_that_answers_stays() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    bench.plane.tell(link.LegSilent(f"{bench.sid}/caller"))
    bench.run(5)
    assert any(summary.startswith("OPTIONS") for summary in bench.caller.heard)
    assert bench.kept.ended == []


def test_a_silent_peer_that_does_not_answer_is_lost() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    bench.caller.dead = True
    bench.plane.tell(link.LegSilent(f"{bench.sid}/caller"))
    bench.run(80)
    assert (bench.record.cause, bench.record.fault) == ("media.lost", "trunk")
    assert bench.record.legs[0].ended_by == "edge"


def test_an_answered_leg_that_hears_nobody_is_ended_after_ten_seconds() -> None:
    bench = Bench(call_alerting=answered)
    bench.caller.call()
    bench.run(9.5)
    assert bench.kept.ended == []
    bench.run(3)
    assert (bench.record.cause, bench.record.fault) == ("limit.unbridged", "function")


def test_a_leg_that_hears_its_agent_is_not_ended_as_unbridged() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    bench.run(60)
    assert bench.caller.all(sip.Ended) == []
    bench.plane.gone(f"{bench.sid}/agent", 1006, "", "network")
    bench.pump()
    bench.run(12)
    assert len(bench.caller.all(sip.Ended)) == 1


def test_an_unanswered_call_ends_at_its_limit() -> None:
    bench = Bench('[limits]\nno_answer = "20s"', call_alerting=None)
    bench.caller.call()
    bench.run(21)
    assert refused(bench) == 480
    assert (bench.record.cause, bench.record.fault) == ("limit.no_answer", "function")


def test_a_caller_who_gives_up_is_told_to_the_handler() -> None:
    bench = Bench(call_alerting=None, call_failed=None)
    bench.caller.call()
    bench.caller.hang_up()
    bench.run(1)
    assert [(made.target, made.data["code"]) for made in bench.of("call.failed")] == [("caller", 487)]
    assert (bench.record.cause, bench.record.fault) == ("caller.cancelled", "none")


def test_the_trunk_s_codecs_are_answered_in_its_order() -> None:
    bench = Bench('name = "main" → name = "main"\ncodecs = ["PCMU"]', call_alerting=answered)
    bench.caller.call(sdp=offer(LocalMedia("192.0.2.1", 4000, 1, 1, codecs=("PCMA", "PCMU"))))
    assert bench.plane.last(link.LegMedia).codec == "PCMU"


def test_a_session_keeps_the_release_it_began_with() -> None:
    bench = Bench(call_alerting=answered, call_tone=None)
    bench.caller.call()
    bench.handlers = {}
    bench.retake()
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert len(bench.of("call.tone")) == 1


def test_the_trunk_address_is_no_stranger() -> None:
    bench = Bench(call_alerting=answered)
    bench.phones[TRUNK].call()
    assert len(bench.callee.all(sip.Answered)) == 1
