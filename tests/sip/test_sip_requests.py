"""What the agent answers to requests: the rules of RFC 3261 §8.2, §9.2, §12.2.2, §14.2, §15, RFC 3311, RFC 3581."""

import random

import pytest

from cordboard.sip.core import ALLOW
from cordboard.sip.events import (
    Ended,
    HungUp,
    IncomingInvite,
    InfoReceived,
    Pong,
    Traced,
)
from cordboard.sip.leg import LegState
from cordboard.sip.message import Request

from .sip_peer import Peer, codes
from .sip_wire import ALICE, ANSWER, OFFER

OTHER = ("198.51.100.7", 6060)


def test_100_comes_with_the_invite() -> None:
    peer = Peer()
    (trying,) = peer.give(peer.request("INVITE", body=OFFER))
    assert (trying.code, trying.to.tag, trying.headers.get("Contact")) == (100, "", None)
    assert len(peer.events(IncomingInvite)) == 1


def test_a_repeated_invite_is_answered_again_and_is_no_second_call() -> None:
    peer = Peer()
    invite = peer.request("INVITE", body=OFFER)
    peer.give(invite)
    assert codes(peer.give(invite)) == [100]
    traces = peer.events(IncomingInvite, Traced)
    assert [type(event).__name__ for event in traces] == ["Traced", "Traced", "IncomingInvite", "Traced", "Traced"]
    flags = [(event.direction, event.retransmission) for event in traces if isinstance(event, Traced)]
    assert flags == [("in", False), ("out", False), ("in", True), ("out", True)]
    assert {event.leg for event in traces if isinstance(event, Traced)} == set(peer.agent.legs)


REFUSALS: dict[str, tuple[Request, int, str, str]] = {
    "Require": (
        Peer().request("INVITE", 1, ("Require", "100rel, timer"), body=OFFER),
        *(420, "Unsupported", "100rel, timer"),
    ),
    "MESSAGE": (Peer().request("MESSAGE"), 405, "Allow", ALLOW),
    "SUBSCRIBE": (Peer().request("SUBSCRIBE", 1, ("Event", "presence")), 405, "Allow", ALLOW),
    "REGISTER": (Peer().request("REGISTER"), 405, "Allow", ALLOW),
    "PUBLISH": (Peer().request("PUBLISH"), 405, "Allow", ALLOW),
    "REFER": (Peer().request("REFER"), 405, "Allow", ALLOW),
    "PRACK": (Peer().request("PRACK"), 405, "Allow", ALLOW),
    "unknown method": (Peer().request("DANCE"), 501, "Allow", ALLOW),
    "body": (
        Peer().request("INVITE", 1, ("Content-Type", "text/plain"), body=b"hi"),
        *(415, "Accept", "application/sdp, application/dtmf-relay, application/dtmf"),
    ),
    "hops": (Peer().request("INVITE", 1, ("Max-Forwards", "0"), body=OFFER), 483, "Accept", ""),
    "scheme": (Peer().request("INVITE", body=OFFER, uri="http://x"), 416, "Accept", ""),
    "unknown dialog": (Peer().request("INVITE", body=OFFER, to="<sip:b@h>;tag=x"), 481, "Accept", ""),
    "BYE": (Peer().request("BYE", to="<sip:b@h>;tag=x"), 481, "Accept", ""),
    "BYE without tag": (Peer().request("BYE"), 481, "Accept", ""),
    "CANCEL": (Peer().request("CANCEL"), 481, "Accept", ""),
    "INFO": (Peer().request("INFO"), 481, "Accept", ""),
    "OPTIONS in no dialog": (Peer().request("OPTIONS", to="<sip:b@h>;tag=x"), 481, "Accept", ""),
    "open quote in Require": (Peer().request("INVITE", 1, ("Require", '"x'), body=OFFER), 400, "Accept", ""),
    "two CSeq": (Peer().request("OPTIONS", 1, ("CSeq", "2 OPTIONS")), 400, "Accept", ""),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    request, code, header, value = REFUSALS[name]
    peer = Peer()
    (response,) = peer.give(request)
    assert response.code == code
    assert (response.headers.get(header) or "") == value
    assert response.to.tag
    assert peer.agent.legs == ()
    assert peer.events(IncomingInvite) == []


def test_a_refused_invite_is_repeated_until_its_ack() -> None:
    """Timer G: T1, doubling to T2; ACK stops it; timer I ends it."""
    peer = Peer()
    invite = peer.request("INVITE", 1, ("Max-Forwards", "0"), body=OFFER, branch="z9hG4bKg")
    (refusal,) = peer.give(invite)
    peer.at(1.6)
    assert codes(peer.take()) == [483, 483]
    ack = peer.request("ACK", branch="z9hG4bKg", to=str(refusal.to))
    assert peer.give(ack) == []
    peer.at(60)
    assert peer.take() == []
    assert peer.agent.next_timer() is None


def test_options_is_answered_in_and_out_of_a_dialog() -> None:
    peer = Peer()
    (response,) = peer.give(peer.request("OPTIONS", 7, ("Max-Forwards", "0"), call_id="two"))
    shown = (response.code, response.headers.get("Allow"), response.headers.get("Supported"))
    assert shown == (200, ALLOW, "")
    assert "application/sdp" in (response.headers.get("Accept") or "")
    peer.answered()
    (inside,) = peer.give(peer.request("OPTIONS", 2))
    assert (inside.code, inside.headers.get("Allow")) == (200, ALLOW)


def test_a_merged_request_is_a_loop() -> None:
    peer = Peer()
    peer.give(peer.request("INVITE", body=OFFER))
    assert codes(peer.give(peer.request("INVITE", body=OFFER))) == [482]
    assert len(peer.agent.legs) == 1


def test_an_rfc_2543_peer_is_matched_without_branch() -> None:
    peer = Peer()
    old = "SIP/2.0/UDP 192.0.2.1"
    invite = peer.request("INVITE", body=OFFER, via=old, from_="<sip:old@192.0.2.1>")
    assert codes(peer.give(invite)) == [100]
    assert codes(peer.give(invite)) == [100]
    cancel = peer.request("CANCEL", via=old, from_="<sip:old@192.0.2.1>")
    assert codes(peer.give(cancel)) == [200, 487]
    ack = peer.request("ACK", via=old, from_="<sip:old@192.0.2.1>", to="<sip:bob@192.0.2.2>;tag=x")
    peer.give(ack)
    peer.at(60)
    assert peer.take() == []


@pytest.mark.parametrize(
    ("via", "place", "received", "rport"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKv;rport", OTHER, "198.51.100.7", "6060"),
        ("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKv", ("198.51.100.7", 5070), "198.51.100.7", None),
        ("SIP/2.0/UDP phone.example;branch=z9hG4bKv", ("198.51.100.7", 5060), "198.51.100.7", None),
        ("SIP/2.0/UDP 198.51.100.7:6060;branch=z9hG4bKv", OTHER, None, None),
    ],
)
def test_where_responses_go(via: str, place: tuple[str, int], received: str | None, rport: str | None) -> None:
    peer = Peer()
    (response,) = peer.give(peer.request("OPTIONS", via=via), OTHER)
    found = dict(response.via.parameters)
    assert peer.sent[-1][1] == place
    assert (found.get("received"), found.get("rport")) == (received, rport)


def test_record_route_and_via_are_copied_in_order() -> None:
    peer = Peer()
    routes = [("Record-Route", "<sip:192.0.2.50;lr=on;ftag=1>, <sip:192.0.2.51;lr>"), ("Record-Route", "<sip:p3;lr>")]
    peer.give(peer.request("INVITE", 1, *routes, ("Via", "SIP/2.0/UDP 192.0.2.60;branch=z9hG4bKq"), body=OFFER))
    leg = peer.agent.legs[0]
    peer.agent.respond(leg, 200, sdp=ANSWER, now=0)
    response = peer.take()[-1]
    assert response.headers.all("Record-Route") == [value for _, value in routes]
    assert [value.split(";")[0] for value in response.headers.listed("Via")] == [
        "SIP/2.0/UDP 192.0.2.1:5060",
        "SIP/2.0/UDP 192.0.2.60",
    ]
    peer.to = str(response.to)
    peer.give(peer.request("ACK"))
    peer.sent.clear()
    peer.agent.hangup(leg, 0)
    (bye,) = peer.requests()
    assert bye.headers.all("Route") == ["<sip:192.0.2.50;lr=on;ftag=1>", "<sip:192.0.2.51;lr>", "<sip:p3;lr>"]
    assert bye.uri == "sip:alice@192.0.2.1:5060"


def test_a_strict_router_gets_its_own_uri() -> None:
    """RFC 3261 §12.2.1.1: the first route becomes the Request-URI, the target goes last."""
    peer = Peer()
    leg = peer.answered(("Record-Route", "<sip:192.0.2.50>, <sip:192.0.2.51;lr>"))
    peer.sent.clear()
    peer.agent.hangup(leg, 0)
    (bye,) = peer.requests()
    assert bye.uri == "sip:192.0.2.50"
    assert bye.headers.all("Route") == ["<sip:192.0.2.51;lr>", "<sip:alice@192.0.2.1:5060>"]


@pytest.mark.parametrize(
    ("contact", "source", "place"),
    [
        ("<sip:a@192.0.2.9:5099>", ALICE, ("192.0.2.9", 5099)),
        ("<sip:a@10.0.0.9:5099>", ("8.8.8.8", 40000), ("8.8.8.8", 40000)),
        ("<sip:a@100.64.0.9>", ("8.8.8.8", 40000), ("8.8.8.8", 40000)),
        ("<sip:a@192.0.2.9;transport=tcp>", ALICE, ALICE),
        ("<sip:a@phone.example>", ALICE, ALICE),
        ("<sip:a@0.0.0.0>", ALICE, ALICE),
        ("<sip:a@224.0.0.1>", ALICE, ALICE),
        ("<sip:a@172.16.0.4>", ("127.0.0.1", 5080), ("127.0.0.1", 5080)),
        ("<tel:+1555>", ALICE, ALICE),
        ('"open <sip:a@192.0.2.9>', ALICE, ALICE),
        ("", ALICE, ALICE),
    ],
)
def test_where_requests_in_the_dialog_go(contact: str, source: tuple[str, int], place: tuple[str, int]) -> None:
    peer = Peer()
    peer.give(peer.request("INVITE", body=OFFER, contact=contact), source)
    leg = peer.agent.legs[0]
    peer.agent.respond(leg, 200, sdp=ANSWER, now=0)
    state = peer.agent.dialog(leg)
    assert state is not None
    assert state.destination == place


def test_a_peer_whose_address_changed_is_followed() -> None:
    peer = Peer()
    peer.to = "<sip:bob@192.0.2.2>"
    leg = peer.answered(contact="<sip:a@phone.example>")
    peer.give(peer.request("INFO", 2), OTHER)
    peer.sent.clear()
    peer.agent.hangup(leg, 0)
    peer.take()
    assert [address for _, address in peer.sent] == [OTHER]


def test_a_lower_cseq_is_refused_and_a_gap_is_legal() -> None:
    peer = Peer()
    peer.answered()
    assert codes(peer.give(peer.request("INFO", 50))) == [200]
    assert codes(peer.give(peer.request("INFO", 49))) == [500]
    assert codes(peer.give(peer.request("INFO", 50))) == [500]
    assert codes(peer.give(peer.request("INFO", 51))) == [200]
    assert len(peer.events(InfoReceived)) == 2


def test_cancel() -> None:
    peer = Peer()
    invite = peer.request("INVITE", body=OFFER, branch="z9hG4bKc")
    peer.give(invite)
    leg = peer.agent.legs[0]
    peer.agent.respond(leg, 180, now=0)
    early = peer.take()[0].to.tag
    ok, terminated = peer.give(peer.request("CANCEL", 1, ("Reason", "Q.850;cause=26"), branch="z9hG4bKc"))
    assert (ok.code, ok.cseq.method, terminated.code, terminated.cseq.method) == (200, "CANCEL", 487, "INVITE")
    assert ok.to.tag == terminated.to.tag == early
    (ended,) = peer.events(Ended)
    assert isinstance(ended, Ended)
    assert (ended.leg, ended.by, ended.reason) == (leg, "cancel", "Q.850;cause=26")
    with pytest.raises(LegState):
        peer.agent.respond(leg, 200, sdp=ANSWER, now=0)


def test_cancel_after_the_answer_changes_nothing() -> None:
    peer = Peer()
    peer.give(peer.request("INVITE", body=OFFER, branch="z9hG4bKc"))
    leg = peer.agent.legs[0]
    peer.agent.respond(leg, 200, sdp=ANSWER, now=0)
    peer.take()
    assert codes(peer.give(peer.request("CANCEL", branch="z9hG4bKc"))) == [200]
    assert peer.events(Ended) == []
    assert peer.agent.legs == (leg,)


def test_bye_in_an_early_dialog_ends_the_invite() -> None:
    peer = Peer()
    peer.give(peer.request("INVITE", body=OFFER))
    peer.agent.respond(peer.agent.legs[0], 180, now=0)
    peer.to = str(peer.take()[0].to)
    assert codes(peer.give(peer.request("BYE", 2))) == [200, 487]
    assert len(peer.events(Ended)) == 1


def test_a_repeated_bye_is_answered_again() -> None:
    peer = Peer()
    peer.answered()
    bye = peer.request("BYE", 2)
    assert codes(peer.give(bye)) == codes(peer.give(bye)) == [200]
    assert codes(peer.give(peer.request("BYE", 3))) == [481]
    assert len(peer.events(Ended)) == 1


def test_refer_in_the_dialog_is_refused_loudly() -> None:
    peer = Peer()
    peer.answered()
    (response,) = peer.give(peer.request("REFER", 2, ("Refer-To", "<sip:x@y>")))
    assert (response.code, response.headers.get("Allow")) == (405, ALLOW)


def test_multipart_with_sdp() -> None:
    body = (
        b"--b1\r\nContent-Type: application/isup;version=x\r\nContent-Disposition: signal;handling=optional\r\n"
        b"\r\n\x01\x02"
        b"\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--b1--\r\n"
    )
    peer = Peer()
    peer.give(peer.request("INVITE", 1, ("Content-Type", 'multipart/mixed; boundary="b1"'), body=body))
    (incoming,) = peer.events(IncomingInvite)
    assert isinstance(incoming, IncomingInvite)
    assert incoming.sdp == OFFER
    peer = Peer()
    kind = ("Content-Type", "multipart/mixed; boundary=b2")
    assert codes(peer.give(peer.request("INVITE", 1, kind, body=body))) == [415]


def test_an_optional_body_is_passed_over() -> None:
    peer = Peer()
    headers = [("Content-Type", "application/x"), ("Content-Disposition", "render; handling = optional")]
    assert codes(peer.give(peer.request("INVITE", 1, *headers, body=b"x"))) == [100]


def test_draining_refuses_new_calls_and_keeps_the_others() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.agent.refuse_new()
    (response,) = peer.give(peer.request("INVITE", call_id="new", body=OFFER, to="<sip:b@h>"))
    assert (response.code, response.headers.get("Retry-After")) == (503, "30")
    assert peer.agent.legs == (leg,)
    assert codes(peer.give(peer.request("INFO", 2))) == [200]


def test_the_advertised_host_depends_on_the_peer() -> None:
    peer = Peer()
    agent = type(peer.agent)(
        address=("0.0.0.0", 5060),
        advertise=lambda address: "203.0.113.5" if address == ALICE else "10.0.0.5",
        rng=random.Random(1),
    )
    agent.invite(to="sip:a@192.0.2.1", from_="sip:b@h", sdp=OFFER, now=0)
    agent.invite(to="sip:a@10.1.1.1", from_="sip:b@h", sdp=OFFER, now=0)
    first, second = (data for data, _ in agent.data_to_send(0))
    assert b"Via: SIP/2.0/UDP 203.0.113.5:5060;" in first
    assert b"Contact: <sip:cordboard@203.0.113.5:5060>" in first
    assert b"Contact: <sip:cordboard@10.0.0.5:5060>" in second


def test_no_pong_follows_the_end() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.agent.ping(leg, 0)
    peer.give(peer.request("BYE", 2))
    peer.at(60)
    assert [type(event) for event in peer.events(Ended, Pong, HungUp)] == [Ended]


def test_hangup_after_the_other_side_did_is_nothing() -> None:
    peer = Peer()
    leg = peer.answered()
    peer.give(peer.request("BYE", 2))
    peer.agent.hangup(leg, 0)
    assert peer.events(HungUp) == []
    assert peer.requests() == []
