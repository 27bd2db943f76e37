"""The caller's side against hand-written responses: forks, ACK, route sets (RFC 3261 §12.1.2, §13.2.2, RFC 6026)."""

import random

from cordboard.sip.events import Answered, Ended, Event, Failed, HungUp, Offered, Provisional, Traced
from cordboard.sip.message import Headers, Request, Response
from cordboard.sip.parser import parse
from cordboard.sip.ua import UserAgent

from .sip_wire import ALICE, ANSWER, BOB, OFFER


class Callee:
    """The agent under test (ALICE) calls; the responses are ours."""

    def __init__(self) -> None:
        self.agent = UserAgent(address=ALICE, rng=random.Random(5))
        self.leg = self.agent.invite(to="sip:bob@192.0.2.2", from_="sip:alice@192.0.2.1", sdp=OFFER, now=0)
        (self.invite,) = self.requests()
        self.now = 0.0

    def requests(self) -> list[Request]:
        found = [parse(data) for data, _ in self.agent.data_to_send(0)]
        return [message for message in found if isinstance(message, Request)]

    def respond(
        self,
        code: int,
        tag: str = "",
        *headers: tuple[str, str],
        body: bytes = b"",
        to: Request | None = None,
        contact: str = "",
    ) -> list[Request]:
        request = to or self.invite
        lines = [(name, value) for name, value in request.headers if name in ("Via", "From", "Call-ID", "CSeq")]
        target = (request.headers.get("To") or "") + (f";tag={tag}" if tag else "")
        lines += [("To", target), *headers]
        lines += [("Contact", contact or f"<sip:{tag}@192.0.2.2:5062>")]
        lines += [("Content-Type", "application/sdp")] if body else []
        response = Response(Headers(lines), body, code, "Said")
        self.agent.receive_datagram(response.to_bytes(), BOB, self.now)
        return self.requests()

    def events(self, *kinds: type[Event]) -> list[Event]:
        found: list[Event] = []
        while (event := self.agent.next_event()) is not None:
            if isinstance(event, kinds):
                found.append(event)
        return found

    def at(self, now: float) -> None:
        while (due := self.agent.next_timer()) is not None and due <= now:
            self.agent.on_timer(due)
        self.now = now


def test_one_fork_wins_and_the_other_is_acked_and_ended() -> None:
    callee = Callee()
    for code, tag in ((180, "a"), (183, "b"), (180, "")):
        callee.respond(code, tag, body=ANSWER if code == 183 else b"")
    early = callee.events(Provisional)
    assert [(event.code, event.to_tag, event.sdp) for event in early if isinstance(event, Provisional)] == [
        (180, "a", None),
        (183, "b", ANSWER),
        (180, "", None),
    ]
    (ack,) = callee.respond(200, "a", body=ANSWER)
    assert (ack.method, ack.uri, ack.to.tag) == ("ACK", "sip:a@192.0.2.2:5062", "a")
    second = callee.respond(200, "b", body=ANSWER)
    assert [(request.method, request.to.tag) for request in second] == [("ACK", "b"), ("BYE", "b")]
    assert second[1].cseq.number == callee.invite.cseq.number + 1
    again = callee.respond(200, "b")
    assert [request.method for request in again] == ["ACK"]
    assert len(callee.events(Answered)) == 1
    callee.respond(200, to=second[1])
    assert callee.events(HungUp, Ended, Failed) == []
    assert callee.agent.legs == (callee.leg,)


def test_ack_is_a_transaction_of_its_own_and_is_repeated_unchanged() -> None:
    callee = Callee()
    (ack,) = callee.respond(200, "a")
    assert ack.via.branch != callee.invite.via.branch
    assert ack.cseq.number == callee.invite.cseq.number
    assert callee.respond(200, "a") == [ack]


def test_forks_are_absorbed_after_the_call_is_over() -> None:
    callee = Callee()
    callee.respond(200, "a")
    callee.agent.hangup(callee.leg, 0)
    (bye,) = callee.requests()
    callee.respond(200, to=bye)
    assert callee.events(HungUp) == [HungUp(callee.leg, 200)]
    assert [request.method for request in callee.respond(200, "b")] == ["ACK", "BYE"]
    assert [request.method for request in callee.respond(200, "a")] == ["ACK"]
    callee.at(100)
    callee.requests()  # nobody answered the BYE of the lost fork
    assert callee.respond(200, "a") == []
    assert callee.agent.next_timer() is None


def test_the_route_set_of_the_caller_is_reversed() -> None:
    callee = Callee()
    routes = [("Record-Route", "<sip:192.0.2.51;lr>, <sip:192.0.2.50:5070;lr;x=1>")]
    callee.respond(180, "a", ("Record-Route", "<sip:192.0.2.99;lr>"))
    (ack,) = callee.respond(200, "a", *routes)  # the 2xx recomputes what the 180 said (§13.2.2.4)
    assert ack.headers.all("Route") == ["<sip:192.0.2.50:5070;lr;x=1>", "<sip:192.0.2.51;lr>"]
    state = callee.agent.dialog(callee.leg)
    assert state is not None
    assert state.destination == ("192.0.2.50", 5070)


def test_ack_to_a_refusal_is_hop_by_hop() -> None:
    agent = UserAgent(address=ALICE, rng=random.Random(5))
    route = ("Route", "<sip:192.0.2.7;lr>")
    agent.invite(to="sip:bob@192.0.2.2", from_="sip:a@h", sdp=OFFER, now=0, headers=[route])
    callee = Callee()
    callee.agent = agent
    (callee.invite,) = callee.requests()
    (ack,) = callee.respond(404, "x")
    assert ack.via == callee.invite.via
    assert (ack.uri, ack.to.tag, ack.headers.all("Route")) == ("sip:bob@192.0.2.2", "x", ["<sip:192.0.2.7;lr>"])
    assert callee.respond(404, "x") == [ack]
    callee.at(32)
    assert callee.respond(404, "x") == []


def test_cancel_repeats_the_invite_hop_by_hop() -> None:
    callee = Callee()
    callee.agent.hangup(callee.leg, 0)
    assert callee.requests() == []
    (cancel,) = callee.respond(100)
    assert (cancel.method, cancel.via, cancel.uri) == ("CANCEL", callee.invite.via, callee.invite.uri)
    assert (cancel.cseq.number, cancel.to.tag) == (callee.invite.cseq.number, "")
    assert callee.events(Provisional) == []


def test_early_media_after_hangup_is_not_reported() -> None:
    callee = Callee()
    callee.respond(180, "a")
    callee.events()
    callee.agent.hangup(callee.leg, 0)
    callee.respond(183, "a", body=ANSWER)
    assert callee.events(Provisional) == []


def test_an_early_dialog_takes_requests_and_a_failed_call_does_not() -> None:
    callee = Callee()
    callee.respond(180, "a")
    lines = [("Via", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKu"), ("From", "<sip:bob@192.0.2.2>;tag=a")]
    lines += [("To", str(callee.invite.from_)), ("Call-ID", callee.invite.call_id), ("CSeq", "1 UPDATE")]
    update = Request(Headers([*lines, ("Content-Type", "application/sdp")]), OFFER, "UPDATE", "sip:alice@192.0.2.1")
    callee.agent.receive_datagram(update.to_bytes(), BOB, 0)
    first = parse(callee.agent.data_to_send(0)[-1][0])
    assert isinstance(first, Response)
    assert first.code == 491  # our offer awaits its answer
    callee.respond(486, "a")
    lines[0] = ("Via", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKu2")
    lines[4] = ("CSeq", "2 UPDATE")
    callee.agent.receive_datagram(Request(Headers(lines), b"", "UPDATE", "sip:a@h").to_bytes(), BOB, 0)
    second = parse(callee.agent.data_to_send(0)[-1][0])
    assert isinstance(second, Response)
    assert second.code == 481


def their_request(callee: Callee, method: str, cseq: int, body: bytes = b"") -> list[int]:
    """A request of fork "a" in its dialog; the codes that answer it at once."""
    lines = [("Via", f"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{method}{cseq}"), ("From", "<sip:bob@192.0.2.2>;tag=a")]
    lines += [("To", str(callee.invite.from_)), ("Call-ID", callee.invite.call_id), ("CSeq", f"{cseq} {method}")]
    lines += [("Content-Type", "application/sdp")] if body else []
    request = Request(Headers(lines), body, method, "sip:alice@192.0.2.1")
    callee.agent.receive_datagram(request.to_bytes(), BOB, callee.now)
    found = [parse(data) for data, _ in callee.agent.data_to_send(callee.now)]
    return [message.code for message in found if isinstance(message, Response)]


def test_the_callee_may_offer_once_it_has_answered() -> None:
    callee = Callee()
    callee.respond(180, "a")
    assert their_request(callee, "UPDATE", 5, OFFER) == [491]
    callee.respond(200, "a", body=ANSWER)
    assert their_request(callee, "INFO", 4) == [500]  # the early dialog's sequence goes on
    assert their_request(callee, "INVITE", 6, OFFER) == [100]
    assert callee.events(Offered) == [Offered(callee.leg, OFFER, "INVITE")]


def test_repeated_responses_are_marked_in_the_trace() -> None:
    callee = Callee()
    for code in (180, 200, 200):
        callee.respond(code, "a")
    seen = [event for event in callee.events(Traced) if isinstance(event, Traced) and event.direction == "in"]
    assert [(event.summary, event.retransmission) for event in seen] == [
        ("180 Said (INVITE)", False),
        ("200 Said (INVITE)", False),
        ("200 Said (INVITE)", True),
    ]


def test_a_peer_without_to_tag_is_a_peer() -> None:
    """RFC 2543 peers put no tag into To."""
    callee = Callee()
    (ack,) = callee.respond(200, contact="<sip:old@192.0.2.2>")
    assert ack.to.tag == ""
    assert len(callee.events(Answered)) == 1
    callee.agent.hangup(callee.leg, 0)
    (bye,) = callee.requests()
    assert bye.to.tag == ""


def test_a_callee_that_ends_before_it_answers() -> None:
    callee = Callee()
    callee.respond(180, "a")
    lines = [("Via", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKb"), ("From", "<sip:bob@192.0.2.2>;tag=a")]
    lines += [("To", str(callee.invite.from_)), ("Call-ID", callee.invite.call_id), ("CSeq", "1 BYE")]
    callee.agent.receive_datagram(Request(Headers(lines), b"", "BYE", "sip:alice@192.0.2.1").to_bytes(), BOB, 0)
    callee.at(200)
    assert [type(event) for event in callee.events(Ended, Failed, HungUp)] == [Ended]
    assert callee.agent.legs == ()
