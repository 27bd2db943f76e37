"""Offers of the other side in a dialog (RFC 3261 §14.2, RFC 3311 §5.2)."""

import pytest

from cordboard.sip.events import Acked, HungUp, Offered, OfferWithdrawn
from cordboard.sip.leg import LegState

from .sip_peer import Peer, codes
from .sip_wire import ANSWER, OFFER


def test_reinvite_is_an_offer_and_its_answer_is_repeated_until_ack() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.events()
    hold = OFFER + b"a=sendonly\r\n"
    reinvite = peer.request("INVITE", 2, body=hold, contact="<sip:alice@192.0.2.77>")
    assert codes(peer.give(reinvite)) == [100]
    assert peer.events(Offered) == [Offered(leg, hold, "INVITE")]
    peer.agent.answer_offer(leg, sdp=ANSWER, now=0)
    (ok,) = peer.take()
    assert (ok.code, ok.body) == (200, ANSWER)
    peer.at(0.6)
    assert codes(peer.take()) == [200]
    peer.give(peer.request("ACK", 2))
    assert peer.events(Acked) == [Acked(leg, None)]
    peer.at(10)
    assert peer.take() == []
    state = peer.agent.dialog(leg)
    assert state is not None
    assert state.remote_target == "sip:alice@192.0.2.77"


def test_reinvite_without_sdp_asks_for_our_offer() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.events()
    peer.give(peer.request("INVITE", 2))
    assert peer.events(Offered) == [Offered(leg, None, "INVITE")]
    peer.agent.answer_offer(leg, sdp=OFFER, now=0)
    peer.take()
    assert codes(peer.give(peer.request("UPDATE", 3, body=OFFER))) == [491]  # ours awaits its answer
    peer.give(peer.request("ACK", 2, body=ANSWER))
    assert peer.events(Acked) == [Acked(leg, ANSWER)]


def test_a_second_offer_while_theirs_is_open_must_wait() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.give(peer.request("INVITE", 2, body=OFFER))
    (refused,) = peer.give(peer.request("INVITE", 3, body=OFFER))
    assert refused.code == 500
    assert 0 <= int(refused.headers.get("Retry-After") or "-1") <= 10
    peer.agent.answer_offer(leg, sdp=None, code=488, now=0)
    assert codes(peer.take()) == [488]
    with pytest.raises(LegState, match="no open offer"):
        peer.agent.answer_offer(leg, sdp=ANSWER, now=0)


def test_reinvite_before_the_ack_of_ours_is_pending() -> None:
    peer = Peer()
    peer.give(peer.request("INVITE", body=OFFER))
    leg = peer.agent.legs[0]
    peer.agent.respond(leg, 200, sdp=ANSWER, now=0)
    peer.to = str(peer.take()[-1].to)
    assert codes(peer.give(peer.request("INVITE", 2, body=OFFER))) == [491]


def test_reinvite_can_be_cancelled() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.give(peer.request("INVITE", 2, body=OFFER, branch="z9hG4bKr"))
    assert codes(peer.give(peer.request("CANCEL", 2, branch="z9hG4bKr"))) == [200, 487]
    assert peer.events(OfferWithdrawn) == [OfferWithdrawn(leg)]
    assert peer.agent.legs == (leg,)


def test_update_refreshes_or_offers() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.events()
    (ok,) = peer.give(peer.request("UPDATE", 2, contact="<sip:alice@192.0.2.78>"))
    assert (ok.code, ok.headers.get("Contact")) == (200, "<sip:cordboard@192.0.2.2:5060>")
    state = peer.agent.dialog(leg)
    assert state is not None
    assert state.remote_target == "sip:alice@192.0.2.78"
    assert peer.give(peer.request("UPDATE", 3, body=OFFER)) == []
    assert peer.events(Offered) == [Offered(leg, OFFER, "UPDATE")]
    peer.agent.answer_offer(leg, sdp=ANSWER, now=0)
    assert [(r.code, r.body) for r in peer.take()] == [(200, ANSWER)]
    peer.at(60)
    assert peer.take() == []
    (bad,) = peer.give(peer.request("UPDATE", 4, ("Content-Type", "text/plain"), body=b"x"))
    assert bad.code == 415


def test_an_open_offer_ends_with_the_call() -> None:
    peer = Peer()
    peer.answered()
    peer.give(peer.request("INVITE", 2, body=OFFER))
    assert codes(peer.give(peer.request("BYE", 3))) == [200, 487]
    peer = Peer()
    leg = peer.answered()
    peer.give(peer.request("INVITE", 2, body=OFFER))
    peer.agent.hangup(leg, 0)
    assert codes(peer.take()) == [487]


def test_an_offer_after_our_bye_is_too_late() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.agent.hangup(leg, 0)
    peer.take()
    assert codes(peer.give(peer.request("INVITE", 2, body=OFFER))) == [481]
    peer.at(60)
    assert peer.events(HungUp) == [HungUp(leg, 408)]
