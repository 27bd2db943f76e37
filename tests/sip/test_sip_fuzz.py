"""Hostile input: no bytes raise anything, and no datagram makes us send many (reference §4.79)."""

import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.sip.message import Request
from cordboard.sip.parser import MessageError, parse
from cordboard.sip.ua import UserAgent

from .sip_peer import Peer
from .sip_wire import ALICE, ANSWER, BOB, OFFER

FOLDER = Path(__file__).parents[1] / "data" / "rfc4475"
MAX_REPLIES = 3  # to one datagram: 200 to CANCEL, 487 to its INVITE, and room for one more


def seeds() -> list[bytes]:
    peer = Peer()
    found = [path.read_bytes() for path in sorted(FOLDER.glob("*/*.dat"))]
    found += [peer.request(name, body=OFFER).to_bytes() for name in ("INVITE", "UPDATE", "INFO", "BYE", "CANCEL")]
    return found


SEEDS = seeds()
HEADERS = [b"Via", b"From", b"To", b"Contact", b"Record-Route", b"Require", b"CSeq", b"Content-Type", b"Route", b"l"]
VALUES = [b"", b",", b'"', b"<", b"<>", b";", b";tag", b"<sip:\xff@h>;tag=\xff", b"*", b"\0", b"SIP/2.0/UDP", b"9" * 30]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real message with bytes, lines or header values changed."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 4))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if kind == 0:
            data = data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 4)) :]
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            lines = data.split(b"\r\n")
            lines.insert(at % len(lines), draw(st.sampled_from(HEADERS)) + b": " + draw(st.sampled_from(VALUES)))
            data = b"\r\n".join(lines)
        elif kind == 3:
            lines = data.split(b"\r\n")
            name, _, _ = lines[at % len(lines)].partition(b":")
            lines[at % len(lines)] = name + b": " + draw(st.sampled_from(VALUES))
            data = b"\r\n".join(lines)
        else:
            lines = data.split(b"\r\n")
            lines.append(lines.pop(at % len(lines)))
            data = b"\r\n".join(lines)
    return data


def feed(agent: UserAgent, data: bytes, now: float) -> None:
    """Deliver, look at the output, and answer what became a call."""
    agent.receive_datagram(data, ALICE, now)
    sent = agent.data_to_send(now)
    assert len(sent) <= MAX_REPLIES
    assert sum(len(reply) for reply, _ in sent) <= MAX_REPLIES * (len(data) + 600)
    while agent.next_event() is not None:
        pass


def live(data: list[bytes]) -> None:
    agent = UserAgent(address=BOB, rng=random.Random(4))
    for index, item in enumerate(data):
        feed(agent, item, index / 10)
        for leg in agent.legs:
            if index % 2:
                agent.hangup(leg, index / 10)
            elif agent.dialog(leg) is None:
                agent.respond(leg, 200, sdp=ANSWER, now=index / 10)
        agent.data_to_send(index / 10)  # our own doing, not the datagram's
    now = 0.0
    while (due := agent.next_timer()) is not None and due < 300:
        now = max(now, due)
        agent.on_timer(now)
        agent.data_to_send(now)
    for leg in agent.legs:
        agent.hangup(leg, now)
    while (due := agent.next_timer()) is not None:
        agent.on_timer(due)
    assert agent.legs == ()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes(data: list[bytes]) -> None:
    live(data)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(mutated(), min_size=1, max_size=4))
def test_mutated_messages(data: list[bytes]) -> None:
    live(data)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(mutated())
def test_what_is_parsed_is_written_back(data: bytes) -> None:
    try:
        message = parse(data)
    except MessageError:
        return
    assert parse(message.to_bytes()) == message


@settings(max_examples=200, deadline=None, derandomize=True)
@given(mutated(), st.sampled_from(["180", "200", "486", "183", "302"]))
def test_mutated_responses_to_a_call(data: bytes, code: str) -> None:
    """The head of a real response with hostile headers behind it."""
    agent = UserAgent(address=BOB, rng=random.Random(4))
    agent.invite(to="sip:a@192.0.2.1", from_="sip:b@192.0.2.2", sdp=OFFER, now=0)
    invite = parse(agent.data_to_send(0)[0][0])
    assert isinstance(invite, Request)
    head = [f"SIP/2.0 {code} x", f"Via: {invite.via}", f"From: {invite.headers.get('From')}"]
    head += [f"To: {invite.headers.get('To')};tag=t", f"Call-ID: {invite.call_id}", f"CSeq: {invite.cseq}"]
    tail = [line for line in data.split(b"\r\n")[1:] if line[:2].lower() not in (b"vi", b"fr", b"to", b"ca", b"cs")]
    feed(agent, "\r\n".join(head).encode() + b"\r\n" + b"\r\n".join(tail), 1.0)
    for leg in agent.legs:
        agent.hangup(leg, 2.0)
    while (due := agent.next_timer()) is not None:
        agent.on_timer(due)
    assert agent.legs == ()
