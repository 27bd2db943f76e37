"""Whole calls between two user agents in memory."""

import pytest

from cordboard.sip.dialog import RESTORED_CSEQ_GAP, DialogState
from cordboard.sip.events import (
    Acked,
    AckMissing,
    Answered,
    Ended,
    Failed,
    HungUp,
    IncomingInvite,
    InfoReceived,
    Pong,
    Provisional,
    Traced,
)
from cordboard.sip.message import Headers, Request
from cordboard.sip.parser import parse

from .sip_wire import ALICE, ANSWER, BOB, OFFER, Network, Party, call, only, pair, ring, talk


def idle(*parties: Party) -> None:
    """Nothing is left of any call: no leg, no timer."""
    for party in parties:
        assert party.agent.legs == ()
        assert party.agent.next_timer() is None


def test_a_call_is_answered_and_the_caller_hangs_up() -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
    incoming = only(bob.spoken, IncomingInvite)
    assert (incoming.caller, incoming.callee, incoming.display_name) == ("alice", "bob", 'Al "x", 1')
    assert (incoming.sdp, incoming.source) == (OFFER, ALICE)
    bob.agent.respond(b, 180, now=net.now)
    net.run(0.1)
    bob.agent.respond(b, 200, sdp=ANSWER, now=net.now)
    net.run(0.2)
    assert only(alice.spoken, Answered).sdp == ANSWER
    alice.agent.hangup(a, net.now)
    net.run(60)
    assert alice.names() == ["Provisional", "Answered", "HungUp"]
    assert bob.names() == ["IncomingInvite", "Acked", "Ended"]
    assert only(alice.spoken, HungUp).code == 200
    assert [line for _, line in net.log] == [
        "INVITE sip:bob@192.0.2.2 SIP/2.0",
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 200 OK",
        "ACK sip:cordboard@192.0.2.2:5060 SIP/2.0",
        "BYE sip:cordboard@192.0.2.2:5060 SIP/2.0",
        "SIP/2.0 200 OK",
    ]
    idle(alice, bob)


def test_the_callee_hangs_up() -> None:
    net, alice, bob = pair()
    a, b = talk(net, alice, bob)
    bob.agent.hangup(b, net.now, headers=[("Reason", "Q.850;cause=16")])
    net.run(60)
    ended = only(alice.spoken, Ended)
    assert (ended.leg, ended.by, ended.reason) == (a, "bye", "Q.850;cause=16")
    assert bob.spoken == [HungUp(b, 200)]
    idle(alice, bob)


def test_early_media_comes_with_its_fork() -> None:
    net, alice, bob = pair()
    _, b = ring(net, alice, bob)
    bob.agent.respond(b, 183, sdp=ANSWER, now=net.now)
    net.run(0.1)
    early = only(alice.spoken, Provisional)
    assert (early.code, early.reason, early.sdp) == (183, "Session Progress", ANSWER)
    assert early.to_tag == early.response.to.tag != ""


@pytest.mark.parametrize(("code", "reason"), [(486, "Busy Here"), (302, "Moved Temporarily"), (603, "Decline")])
def test_a_refused_call(code: int, reason: str) -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
    bob.agent.respond(b, code, headers=[("Retry-After", "5")], now=net.now)
    net.run(60)
    failed = only(alice.spoken, Failed)
    assert (failed.leg, failed.code, failed.reason) == (a, code, reason)
    assert failed.response is not None
    assert failed.response.headers.get("Retry-After") == "5"
    assert bob.names() == ["IncomingInvite", "HungUp"]
    assert net.log[-1][1].startswith("ACK")
    idle(alice, bob)


def test_hangup_refuses_an_unanswered_call_with_its_code() -> None:
    net, alice, bob = pair()
    _, b = ring(net, alice, bob)
    bob.agent.hangup(b, net.now, code=404)
    bob.agent.hangup(b, net.now)
    net.run(60)
    assert only(alice.spoken, Failed).code == 404
    assert bob.spoken[1:] == [HungUp(b, 404)]


def test_nobody_answers() -> None:
    net = Network()
    alice = net.join(ALICE)
    a = call(net, alice)
    net.run(60)
    assert alice.spoken == [Failed(a, 408, "Request Timeout", None)]
    assert [when for when, _ in net.log] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    idle(alice)


def test_a_transport_that_fails_ends_what_was_begun_there() -> None:
    net, alice, bob = pair()
    a, _ = talk(net, alice, bob)
    alice.agent.ping(a, net.now)
    begun = call(net, alice)
    elsewhere = alice.agent.invite(to="sip:c@192.0.2.3", from_="sip:alice@192.0.2.1", sdp=OFFER, now=net.now)
    alice.agent.transport_failed(("192.0.2.2", 5060), net.now)
    alice.drain(net.now)
    assert alice.spoken == [Pong(a, 503), Failed(begun, 503, "Service Unavailable", None)]
    assert alice.agent.legs == (a, elsewhere)


def test_cancel_is_held_until_a_provisional_response_came() -> None:
    net, alice, bob = pair()
    a = call(net, alice)
    alice.agent.hangup(a, net.now, headers=[("Reason", 'SIP;cause=200;text="x"')])
    alice.agent.hangup(a, net.now)
    assert [line for _, line in net.log] == []
    net.run(60)
    assert [line.split()[0] + " " + line.split()[1] for _, line in net.log] == [
        "INVITE sip:bob@192.0.2.2",
        "SIP/2.0 100",
        "CANCEL sip:bob@192.0.2.2",
        "SIP/2.0 200",
        "SIP/2.0 487",
        "ACK sip:bob@192.0.2.2",
    ]
    assert alice.spoken == [HungUp(a, 487)]
    ended = only(bob.spoken, Ended)
    assert (ended.by, ended.reason) == ("cancel", 'SIP;cause=200;text="x"')
    idle(alice, bob)


def test_an_answer_that_crosses_cancel_is_acked_and_ended() -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
    alice.agent.hangup(a, net.now)
    bob.agent.respond(b, 200, sdp=ANSWER, now=net.now)
    net.run(60)
    assert alice.names() == ["HungUp"]
    assert bob.names() == ["IncomingInvite", "Acked", "Ended"]
    assert only(bob.spoken, Ended).by == "bye"
    idle(alice, bob)


def test_a_refusal_that_crosses_cancel() -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
    alice.agent.hangup(a, net.now)
    bob.agent.respond(b, 486, now=net.now)
    net.run(60)
    assert alice.spoken == [HungUp(a, 486)]
    idle(alice, bob)


def test_nothing_follows_cancel() -> None:
    """64*T1 after CANCEL the call counts as cancelled (§9.1)."""
    net, alice, bob = pair()
    a, _ = ring(net, alice, bob)
    del net.parties[BOB]
    alice.agent.hangup(a, net.now)
    net.run(31.9)
    assert alice.spoken == []
    net.run(60)
    assert alice.spoken == [HungUp(a, 408)]
    idle(alice)


def test_bye_before_ack_waits_for_it() -> None:
    net, alice, bob = pair()
    _, b = ring(net, alice, bob)
    bob.agent.respond(b, 200, sdp=ANSWER, now=net.now)
    bob.agent.hangup(b, net.now)
    net.run(60)
    lines = [line.split()[0] for _, line in net.log[2:]]
    assert lines == ["SIP/2.0", "ACK", "BYE", "SIP/2.0"]
    assert bob.names() == ["IncomingInvite", "HungUp"]
    assert alice.names() == ["Answered", "Ended"]
    idle(alice, bob)


def test_a_2xx_is_repeated_until_64_t1_then_bye() -> None:
    net, alice, bob = pair()
    _, b = ring(net, alice, bob)
    del net.parties[ALICE]
    net.log.clear()
    bob.agent.respond(b, 200, sdp=ANSWER, now=net.now)
    start = net.now
    net.run(start + 32)
    sent = [round(when - start, 3) for when, line in net.log if line == "SIP/2.0 200 OK"]
    assert sent == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bob.spoken[1:] == [AckMissing(b)]
    assert net.log[-1][1].startswith("BYE")
    net.run(start + 120)
    assert bob.spoken[1:] == [AckMissing(b), HungUp(b, 408)]
    copies = [event for event in bob.events if isinstance(event, Traced) and event.summary == "200 OK (INVITE)"]
    assert [event.retransmission for event in copies] == [False] + [True] * 10
    idle(bob)


def test_a_lost_ack_is_sent_again_for_each_2xx() -> None:
    lost = [True]

    def fate(data: bytes) -> list[float]:
        if data.startswith(b"ACK") and lost:
            lost.pop()
            return []
        return [0.01]

    net, alice, bob = pair(Network(fate))
    talk(net, alice, bob)
    net.run(2)
    acks = [when for when, line in net.log if line.startswith("ACK")]
    assert len(acks) == 2
    assert bob.spoken == [Acked(bob.agent.legs[0], None)]
    assert alice.names() == []


def test_byes_that_cross() -> None:
    net, alice, bob = pair()
    a, b = talk(net, alice, bob)
    alice.agent.hangup(a, net.now)
    bob.agent.hangup(b, net.now)
    net.run(60)
    assert alice.spoken == [HungUp(a, 200)]
    assert bob.spoken == [HungUp(b, 200)]
    idle(alice, bob)


def test_a_late_offer() -> None:
    """An INVITE without SDP: our 200 offers, the ACK answers."""
    net = Network()
    bob = net.join(BOB)
    lines = [("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKlate"), ("From", "<sip:a@192.0.2.1>;tag=1")]
    lines += [("To", "<sip:bob@192.0.2.2>"), ("Call-ID", "late"), ("Contact", "<sip:a@192.0.2.1>")]
    invite = Request(Headers([*lines, ("CSeq", "1 INVITE")]), b"", "INVITE", "sip:bob@192.0.2.2")
    bob.agent.receive_datagram(invite.to_bytes(), ALICE, 0)
    bob.drain(0)
    incoming = only(bob.spoken, IncomingInvite)
    assert incoming.sdp is None
    bob.agent.respond(incoming.leg, 200, sdp=OFFER, now=0)
    response = parse(bob.agent.data_to_send(0)[-1][0])
    assert response.body == OFFER
    lines[2] = ("To", str(response.to))
    lines[0] = ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKlate2")
    ack = Request(Headers([*lines, ("CSeq", "1 ACK"), ("Content-Type", "application/sdp")]), ANSWER, "ACK", "sip:b@h")
    bob.agent.receive_datagram(ack.to_bytes(), ALICE, 0)
    bob.drain(0)
    assert only(bob.spoken, Acked).sdp == ANSWER


def test_ping_and_info() -> None:
    net, alice, bob = pair()
    a, b = talk(net, alice, bob)
    alice.agent.ping(a, net.now)
    bob.agent.info(b, "application/dtmf-relay", b"Signal=5\r\n", net.now)
    net.run(10)
    assert alice.spoken == [InfoReceived(a, "application/dtmf-relay", b"Signal=5\r\n"), Pong(a, 200)]
    assert bob.spoken == []


def test_a_peer_that_vanished_is_found_by_ping() -> None:
    net, alice, bob = pair()
    a, _ = talk(net, alice, bob)
    del net.parties[BOB]
    alice.agent.ping(a, net.now)
    net.run(120)
    assert alice.spoken == [Pong(a, 408), HungUp(a, 408)]
    idle(alice)


def test_481_to_a_request_in_the_dialog_ends_it() -> None:
    net, alice, bob = pair()
    a, _ = talk(net, alice, bob)
    net.join(BOB, 9)  # the other side starts anew and knows nothing
    alice.agent.info(a, "application/dtmf", b"1", net.now)
    net.run(60)
    assert alice.spoken == [HungUp(a, 481)]
    idle(alice)


@pytest.mark.parametrize("early", [True, False])
def test_a_next_life_ends_the_call(early: bool) -> None:
    net, alice, bob = pair()
    a, _ = ring(net, alice, bob) if early else talk(net, alice, bob)
    state = alice.agent.dialog(a)
    assert state is not None
    assert DialogState.from_json(state.to_json()) == state
    reborn = net.join(ALICE, 77)
    leg = reborn.agent.restore(DialogState.from_json(state.to_json()), net.now)
    assert reborn.agent.dialog(leg) is not None
    reborn.agent.hangup(leg, net.now)
    if not early:
        bye = parse(reborn.agent.data_to_send(net.now)[0][0])
        assert bye.cseq.number == state.local_cseq + RESTORED_CSEQ_GAP + 1
        bob.agent.receive_datagram(bye.to_bytes(), ALICE, net.now)
    net.run(60)
    assert reborn.spoken == [HungUp(leg, 487 if early else 200)]
    assert only(bob.spoken, Ended).by == ("cancel" if early else "bye")
    idle(reborn, bob)


def test_a_next_life_of_the_callee_ends_the_call() -> None:
    net, alice, bob = pair()
    _, b = talk(net, alice, bob)
    state = bob.agent.dialog(b)
    assert state is not None
    assert not state.uac
    reborn = net.join(BOB, 77)
    leg = reborn.agent.restore(state, net.now)
    reborn.agent.hangup(leg, net.now)
    net.run(60)
    assert reborn.spoken == [HungUp(leg, 200)]
    assert only(alice.spoken, Ended).by == "bye"


def test_an_incoming_call_that_is_not_answered_has_no_state_to_keep() -> None:
    net, alice, bob = pair()
    _, b = ring(net, alice, bob)
    bob.agent.respond(b, 180, now=net.now)
    assert bob.agent.dialog(b) is None
    assert bob.agent.dialog("none") is None


@pytest.mark.parametrize("text", ["[]", "{}", '{"call_id": 1}'])
def test_a_broken_state_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="dialog"):
        DialogState.from_json(text)
