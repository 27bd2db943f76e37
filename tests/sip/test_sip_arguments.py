"""What callers may ask for: states, headers, addresses, destinations that are refused by name."""

import pytest

from cordboard.sip.dialog import DialogState
from cordboard.sip.leg import LegState

from .sip_wire import ALICE, ANSWER, OFFER, Network, pair, ring, talk


def test_what_a_leg_cannot_do_is_said() -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
    with pytest.raises(LegState, match="a call of ours"):
        alice.agent.respond(a, 200, sdp=ANSWER, now=0)
    with pytest.raises(LegState, match="it is ringing"):
        bob.agent.ping(b, 0)
    with pytest.raises(LegState, match="no open offer"):
        bob.agent.answer_offer(b, sdp=ANSWER, now=0)
    with pytest.raises(LegState, match="unknown"):
        bob.agent.info("none", "text/plain", b"", 0)
    bob.agent.respond(b, 200, sdp=ANSWER, now=0)
    with pytest.raises(LegState, match="it is answered"):
        bob.agent.respond(b, 180, now=0)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Subject", "x\r\nEvil: 1", "Subject"),
        ("Subject", "x\nEvil: 1", "Subject"),
        ("X-A", "a\rb", "X-A"),
        ("X A", "b", "X A"),
        ("Via", "SIP/2.0/UDP x", "Via"),
        ("v", "SIP/2.0/UDP x", "v"),
        ("Content-Length", "5", "Content-Length"),
    ],
)
def test_headers_that_would_break_a_message_are_refused(name: str, value: str, text: str) -> None:
    net, alice, bob = pair()
    a, b = ring(net, alice, bob)
    bad = [(name, value)]
    with pytest.raises(ValueError, match=text):
        alice.agent.invite(to="sip:b@192.0.2.2", from_="sip:a@192.0.2.1", sdp=OFFER, now=0, headers=bad)
    with pytest.raises(ValueError, match=text):
        bob.agent.respond(b, 180, headers=bad, now=0)
    with pytest.raises(ValueError, match=text):
        alice.agent.hangup(a, 0, headers=bad)
    assert alice.agent.data_to_send(0) == bob.agent.data_to_send(0) == []


@pytest.mark.parametrize(
    ("to", "from_", "name", "text"),
    [
        ("sip:b@proxy.example", "sip:a@h", "", "destination"),
        ("sip:b@192.0.2.2;transport=tls", "sip:a@h", "", "transport"),
        ("sips:b@192.0.2.2", "sip:a@h", "", "transport"),
        ("sip:b@192.0.2.2\r\nX: 1", "sip:a@h", "", "URI"),
        ("sip:b@192.0.2.2", "sip:a@h>", "", "URI"),
        ("sip:b@192.0.2.2", "sip:a@h", "x\r\ny", "display name"),
        ("b", "sip:a@h", "", "not a URI"),
        ("mailto:b@192.0.2.2", "sip:a@h", "", "scheme"),
    ],
)
def test_addresses_that_cannot_be_called(to: str, from_: str, name: str, text: str) -> None:
    _, alice, _ = pair()
    with pytest.raises(ValueError, match=text):
        alice.agent.invite(to=to, from_=from_, display_name=name, sdp=OFFER, now=0)
    assert alice.agent.legs == ()


def test_a_reason_phrase_and_an_answer_are_checked() -> None:
    net, alice, bob = pair()
    _, b = ring(net, alice, bob)
    with pytest.raises(ValueError, match="reason"):
        bob.agent.respond(b, 486, "a\r\nb", now=0)
    with pytest.raises(ValueError, match="sdp"):
        bob.agent.respond(b, 200, now=0)
    with pytest.raises(ValueError, match="100"):
        bob.agent.respond(b, 100, now=0)
    with pytest.raises(ValueError, match="sdp"):
        alice.agent.invite(to="sip:b@192.0.2.2", from_="sip:a@h", sdp=b"", now=0)


def test_where_a_call_goes() -> None:
    net = Network()
    alice = net.join(ALICE)
    routed = [("Route", "<sip:192.0.2.7:5070;lr>")]
    alice.agent.invite(to="tel:+15550100", from_="sip:a@h", sdp=OFFER, now=0, headers=routed)
    alice.agent.invite(to="sip:b@pbx.example", from_="sip:a@h", sdp=OFFER, now=0, destination=("192.0.2.8", 5080))
    alice.agent.invite(to="sip:b@192.0.2.9:5090", from_="sip:a@h", sdp=OFFER, now=0)
    places = [address for _, address in alice.agent.data_to_send(0)]
    assert places == [("192.0.2.7", 5070), ("192.0.2.8", 5080), ("192.0.2.9", 5090)]


@pytest.mark.parametrize("code", [100, 180, 299, 700])
def test_codes_that_do_not_refuse(code: int) -> None:
    _, alice, _ = pair()
    with pytest.raises(ValueError, match=str(code)):
        alice.agent.refuse_new(code)
    with pytest.raises(ValueError, match=str(code)):
        alice.agent.hangup("any", 0, code=code)


def test_an_answer_to_an_offer_is_checked() -> None:
    net, alice, bob = pair()
    a, _ = talk(net, alice, bob)
    with pytest.raises(ValueError, match="final"):
        alice.agent.answer_offer(a, sdp=None, code=180, now=0)
    with pytest.raises(ValueError, match="sdp"):
        alice.agent.answer_offer(a, sdp=None, now=0)


def test_a_state_of_an_older_form_has_no_via() -> None:
    net, alice, bob = pair()
    a, _ = talk(net, alice, bob)
    state = alice.agent.dialog(a)
    assert state is not None
    older = state.to_json().replace(', "invite_via": ""', "")
    assert "invite_via" not in older
    assert DialogState.from_json(older) == state
