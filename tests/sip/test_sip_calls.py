"""Whole calls between two user agents in memory."""

import pytest
from sip.sip_wire import ALICE, ANSWER, BOB, OFFER, Network, Party, only

from cordboard.sip.events import Acked, Answered, Ended, Failed, HungUp, IncomingInvite, Provisional
from cordboard.sip.leg import LegState


def pair(net: Network | None = None) -> tuple[Network, Party, Party]:
    net = net or Network()
    return net, net.join(ALICE, 1), net.join(BOB, 2)


def ring(net: Network, alice: Party, bob: Party) -> tuple[str, str]:
    a = alice.agent.invite(to="sip:bob@192.0.2.2", from_="sip:alice@192.0.2.1", sdp=OFFER, now=net.now)
    net.run(net.now + 0.05)
    return a, only(bob.spoken, IncomingInvite).leg


def talk(net: Network, alice: Party, bob: Party) -> tuple[str, str]:
    a, b = ring(net, alice, bob)
    bob.agent.respond(b, 200, sdp=ANSWER, now=net.now)
    net.run(net.now + 0.05)
    return a, b


def test_a_call_is_answered_and_the_caller_hangs_up() -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
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
    assert alice.agent.next_timer() is None
    assert bob.agent.next_timer() is None
    assert alice.agent.legs == bob.agent.legs == ()


def test_the_callee_hangs_up() -> None:
    net, alice, bob = pair()
    a, b = talk(net, alice, bob)
    bob.agent.hangup(b, net.now, headers=[("Reason", "Q.850;cause=16")])
    net.run(60)
    ended = only(alice.spoken, Ended)
    assert (ended.leg, ended.by, ended.reason) == (a, "bye", "Q.850;cause=16")
    assert only(bob.spoken, HungUp) == HungUp(b, 200)
