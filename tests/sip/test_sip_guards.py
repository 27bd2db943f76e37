"""What costs no state: noise, strangers, floods (reference §4.79)."""

import pytest

from cordboard.sip.events import Dropped, Traced
from cordboard.sip.guard import IN_DIALOG_BURST, NEW_REQUESTS_BURST
from cordboard.sip.message import Response
from cordboard.sip.transactions import MAX_TRANSACTIONS

from .sip_peer import Peer, codes
from .sip_wire import ALICE, OFFER

OTHER = ("198.51.100.7", 6060)


@pytest.mark.parametrize(
    "data", [b"\r\n\r\n", b"\r\n", b"\0", b"\0\0\0\0", b""], ids=["crlf2", "crlf", "nul", "nuls", "empty"]
)
def test_keep_alives_leave_nothing(data: bytes) -> None:
    peer = Peer()
    peer.agent.receive_datagram(data, ALICE, 0)
    assert peer.agent.next_event() is None
    assert peer.take() == []


@pytest.mark.parametrize("data", [b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), b"\x80\x00" + bytes(170), b"\xff"])
def test_what_is_not_sip_leaves_nothing(data: bytes) -> None:
    peer = Peer()
    peer.agent.receive_datagram(data, ALICE, 0)
    assert peer.events(Dropped, Traced) == [Dropped("not_sip", ALICE)]
    assert peer.agent.next_timer() is None


def test_strays_leave_nothing() -> None:
    peer = Peer()
    peer.give(peer.request("ACK", to="<sip:b@h>;tag=q"))
    ok = Response(peer.request("BYE").headers, b"", 200, "OK")
    peer.give(ok)
    assert peer.events(Dropped) == [Dropped("stray_ack", ALICE), Dropped("stray_response", ALICE)]
    assert peer.agent.dropped == {"stray_ack": 1, "stray_response": 1}
    assert peer.agent.next_timer() is None


def test_an_unknown_source_costs_nothing_but_its_dialogs_are_served() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.agent.accept = lambda source: source[0] == "192.0.2.33"
    peer.events()
    assert peer.give(peer.request("INVITE", call_id="x", body=OFFER, to="<sip:b@h>")) == []
    assert peer.give(peer.request("OPTIONS", call_id="y", to="<sip:b@h>")) == []
    assert peer.give(peer.request("OPTIONS", 1, ("CSeq", "5 BYE"), call_id="y", to="<sip:b@h>")) == []
    assert peer.events(Dropped, Traced) == [Dropped("unknown_source", ALICE)] * 3
    assert peer.agent.legs == (leg,)
    assert codes(peer.give(peer.request("BYE", 2))) == [200]


def test_a_flood_of_new_requests_is_cut_by_source() -> None:
    peer = Peer()
    burst = int(NEW_REQUESTS_BURST)
    answers = sum(len(peer.give(peer.request("OPTIONS", call_id=str(n)))) for n in range(burst + 20))
    assert answers == burst
    assert peer.agent.dropped == {"rate": 20}
    assert codes(peer.give(peer.request("OPTIONS", call_id="o"), OTHER)) == [200]
    peer.now = 1.0
    assert codes(peer.give(peer.request("OPTIONS", call_id="later"))) == [200]


def test_a_flood_in_a_dialog_is_cut_but_its_end_is_served() -> None:
    peer = Peer()
    leg = peer.answered()
    burst = int(IN_DIALOG_BURST)
    answers = sum(len(peer.give(peer.request("INFO", 2 + n))) for n in range(burst + 5))
    assert answers == burst
    assert peer.agent.dropped == {"rate": 5}
    assert codes(peer.give(peer.request("BYE", 500))) == [200]
    assert leg not in peer.agent.legs


def test_a_long_ring_is_refreshed_each_minute() -> None:
    peer = Peer()
    peer.give(peer.request("INVITE", body=OFFER))
    leg = peer.agent.legs[0]
    peer.agent.respond(leg, 180, now=0)
    peer.take()
    peer.at(59.9)
    assert peer.take() == []
    peer.at(120)
    assert codes(peer.take()) == [180, 180]
    peer.agent.respond(leg, 486, now=120)
    peer.at(200)
    assert set(codes(peer.take())) == {486}


def test_live_transactions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TRANSACTIONS == 20_000
    monkeypatch.setattr("cordboard.sip.transactions.MAX_TRANSACTIONS", 4)
    peer = Peer()
    leg = peer.answered()
    for n in range(3):
        peer.give(peer.request("OPTIONS", call_id=f"o{n}", to="<sip:b@h>"))
    assert peer.give(peer.request("OPTIONS", call_id="o4", to="<sip:b@h>")) == []
    assert codes(peer.give(peer.request("INVITE", call_id="i", to="<sip:b@h>", body=OFFER))) == [503]
    assert codes(peer.give(peer.request("BYE", 2))) == [200]  # an end is always served
    assert leg not in peer.agent.legs
