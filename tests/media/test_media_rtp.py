"""RTP: golden packets, everything that is no RTP, and the outgoing stream."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.rtp import MAX_PACKET, RtpPacket, RtpStream, parse

# Laid out by hand from the figure in RFC 3550 section 5.1.
PLAIN = bytes.fromhex("8000 1234 00000140 deadbeef") + b"abc"


def test_plain_packet() -> None:
    assert parse(PLAIN) == RtpPacket(0, 0x1234, 0x140, 0xDEADBEEF, False, b"abc")


@pytest.mark.parametrize(
    ("head", "body", "payload"),
    [
        pytest.param("80", b"abc", b"abc", id="plain"),
        pytest.param("82", bytes(8) + b"abc", b"abc", id="two CSRCs"),
        pytest.param("8f", bytes(60) + b"abc", b"abc", id="fifteen CSRCs"),
        pytest.param("90", b"\xbe\xde\x00\x01" + bytes(4) + b"abc", b"abc", id="extension"),
        pytest.param("90", b"\xbe\xde\x00\x00" + b"abc", b"abc", id="empty extension"),
        pytest.param("a0", b"abc\x00\x00\x03", b"abc", id="padding"),
        pytest.param("a0", b"\x00\x00\x03", b"", id="padding alone"),
        pytest.param("b1", bytes(4) + b"\xbe\xde\x00\x01" + bytes(4) + b"abc\x01", b"abc", id="all three"),
        pytest.param("80", b"", b"", id="no payload"),
    ],
)
def test_header_parts_are_read_over(head: str, body: bytes, payload: bytes) -> None:
    packet = parse(bytes.fromhex(head) + PLAIN[1:12] + body)
    assert packet is not None
    assert packet.payload == payload


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PLAIN[:11], id="short header"),
        pytest.param(b"\x00" + PLAIN[1:], id="version 0"),
        pytest.param(b"\x40" + PLAIN[1:], id="version 1"),
        pytest.param(b"\xc0" + PLAIN[1:], id="version 3"),
        pytest.param(bytes.fromhex("000100002112a442") + bytes(12), id="STUN binding request"),
        pytest.param(b"\x80\xc8" + bytes(26), id="RTCP sender report"),
        pytest.param(b"\x80\xc9" + bytes(26), id="RTCP receiver report"),
        pytest.param(b"\x81\xcb" + bytes(26), id="RTCP BYE"),
        pytest.param(b"\x81\xcd" + bytes(26), id="RTCP feedback"),
        pytest.param(b"\x82" + PLAIN[1:12] + bytes(7), id="CSRC list cut"),
        pytest.param(b"\x90" + PLAIN[1:12] + bytes(3), id="extension header cut"),
        pytest.param(b"\x90" + PLAIN[1:12] + b"\xbe\xde\x00\x02" + bytes(4), id="extension cut"),
        pytest.param(b"\xa0" + PLAIN[1:12] + b"\x00", id="padding of nothing"),
        pytest.param(b"\xa0" + PLAIN[1:12] + b"ab\x09", id="padding longer than the rest"),
        pytest.param(PLAIN + bytes(MAX_PACKET), id="too long"),
        pytest.param(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", id="SIP"),
    ],
)
def test_what_is_no_rtp_gives_none(data: bytes) -> None:
    assert parse(data) is None


@given(st.binary(max_size=100))
@settings(max_examples=200, deadline=None)
def test_no_input_raises(data: bytes) -> None:
    packet = parse(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


@given(first=st.sampled_from([0x80, 0x81, 0x90, 0xA0, 0xB3]), rest=st.binary(min_size=11, max_size=80))
@settings(max_examples=200, deadline=None)
def test_version_2_noise_never_raises(first: int, rest: bytes) -> None:
    packet = parse(bytes([first]) + rest)
    assert packet is None or 0 <= packet.payload_type <= 127


@given(
    payload=st.binary(max_size=400),
    kind=st.integers(0, 63) | st.integers(96, 127),
    marker=st.booleans(),
    timestamp=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_what_a_stream_forms_is_read_back(payload: bytes, kind: int, marker: bool, timestamp: int) -> None:
    stream = RtpStream(random.Random(1), 0)
    sequence = stream.sequence
    packet = parse(stream.packet(payload, marker=marker, payload_type=kind, timestamp=timestamp))
    assert packet == RtpPacket(kind, sequence, timestamp, stream.ssrc, marker, payload)


def test_stream_counts_packets_and_wraps() -> None:
    stream = RtpStream(random.Random(7), 8)
    stream.sequence, stream.timestamp = 0xFFFF, 0xFFFFFFF0
    first = parse(stream.packet(b"x" * 160))
    stream.advance(160)
    second = parse(stream.packet(b"x" * 160))
    assert first is not None
    assert second is not None
    assert (first.sequence, first.timestamp, first.payload_type) == (0xFFFF, 0xFFFFFFF0, 8)
    assert (second.sequence, second.timestamp) == (0, 0x90)
    assert (stream.packets, stream.octets, stream.payload_type) == (2, 320, 8)


def test_packets_alone_do_not_move_the_timestamp() -> None:
    stream = RtpStream(random.Random(7), 0)
    before = stream.timestamp
    stream.packet(b"x", timestamp=before - 320)
    assert stream.timestamp == before


def test_starting_points_are_random() -> None:
    one, two = RtpStream(random.Random(1), 0), RtpStream(random.Random(2), 0)
    assert (one.ssrc, one.sequence, one.timestamp) != (two.ssrc, two.sequence, two.timestamp)


@pytest.mark.parametrize("payload_type", [-1, 128])
def test_payload_type_is_checked(payload_type: int) -> None:
    with pytest.raises(ValueError, match="payload type"):
        RtpStream(random.Random(1), payload_type)
