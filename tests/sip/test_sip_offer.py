"""Offer and answer: a table of what peers send, and what becomes of it (RFC 3264, 3551, 4733, 6337)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.offer import LocalMedia, Negotiated, NotAcceptable, accept_answer, answer, offer
from cordboard.sip.sdp import MAX_LINES, MAX_MEDIA, MAX_SDP, SdpError, parse_sdp

LOCAL = LocalMedia(host="192.0.2.9", port=7000, session_id=77, version=3)


def sdp(*media: str, host: str = "198.51.100.1", session: tuple[str, ...] = (), end: str = "\r\n") -> bytes:
    lines = ["v=0", "o=x 1 2 IN IP4 198.51.100.1", "s=-"]
    lines += [f"c=IN {'IP6' if ':' in host else 'IP4'} {host}"] if host else []
    return end.join([*lines, *session, "t=0 0", *media, ""]).encode()


PCMU = "m=audio 4000 RTP/AVP 0"
BOTH = "m=audio 4000 RTP/AVP 0 8"
DTMF = ("m=audio 4000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16")

# offer → codec, send/receive payload type, DTMF payload type, direction, ptime, on hold, m= lines of the answer
ACCEPTED = {
    "static without rtpmap": (sdp(PCMU), "PCMU", 0, None, "sendrecv", 20, False, ["audio 7000 RTP/AVP 0"]),
    "their order counts": (sdp("m=audio 4000 RTP/AVP 8 0"), "PCMA", 8, None, "sendrecv", 20, False, None),
    "first of both": (sdp(BOTH), "PCMU", 0, None, "sendrecv", 20, False, ["audio 7000 RTP/AVP 0"]),
    "telephone-event": (sdp(*DTMF), "PCMA", 8, 101, "sendrecv", 20, False, ["audio 7000 RTP/AVP 8 101"]),
    "telephone-event at 96": (
        sdp("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 TELEPHONE-EVENT/8000"),
        *("PCMU", 0, 96, "sendrecv", 20, False, ["audio 7000 RTP/AVP 0 96"]),
    ),
    "three clocks of telephone-event": (
        sdp(
            "m=audio 4000 RTP/AVP 96 0 97 98 99",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:97 telephone-event/48000",
            "a=rtpmap:98 telephone-event/16000",
            "a=rtpmap:99 telephone-event/8000",
        ),
        *("PCMU", 0, 99, "sendrecv", 20, False, ["audio 7000 RTP/AVP 0 99"]),
    ),
    "lower case name": (sdp(PCMU, "a=rtpmap:0 pcmu/8000"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "dynamic number for PCMU": (
        sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000/1"),
        *("PCMU", 96, None, "sendrecv", 20, False, ["audio 7000 RTP/AVP 96"]),
    ),
    "number 0 that means something else": (
        sdp(BOTH, "a=rtpmap:0 G722/8000"),
        *("PCMA", 8, None, "sendrecv", 20, False, ["audio 7000 RTP/AVP 8"]),
    ),
    "comfort noise beside": (sdp("m=audio 4000 RTP/AVP 13 0"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "line feeds alone": (sdp(PCMU, end="\n"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "trailing spaces": (sdp(PCMU + "  ", end=" \r\n"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "no s= and t=": (
        b"v=0\r\no=x 1 2 IN IP4 h\r\nc=IN IP4 198.51.100.1\r\nm=audio 4000 RTP/AVP 0",
        *("PCMU", 0, None, "sendrecv", 20, False, None),
    ),
    "c= of the media": (sdp(PCMU, "c=IN IP4 198.51.100.1", host=""), "PCMU", 0, None, "sendrecv", 20, False, None),
    "c= with ttl": (sdp(PCMU, host="198.51.100.1/127"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "port count": (sdp("m=audio 4000/2 RTP/AVP 0"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "sendonly": (sdp(PCMU, "a=sendonly"), "PCMU", 0, None, "recvonly", 20, True, None),
    "recvonly": (sdp(PCMU, "a=recvonly"), "PCMU", 0, None, "sendonly", 20, False, None),
    "inactive": (sdp(PCMU, "a=inactive"), "PCMU", 0, None, "inactive", 20, True, None),
    "session direction": (sdp(PCMU, session=("a=sendonly",)), "PCMU", 0, None, "recvonly", 20, True, None),
    "media beats session": (
        sdp(PCMU, "a=sendrecv", session=("a=inactive",)),
        *("PCMU", 0, None, "sendrecv", 20, False, None),
    ),
    "0.0.0.0": (sdp(PCMU, host="0.0.0.0"), "PCMU", 0, None, "recvonly", 20, True, None),
    "0.0.0.0 inactive": (sdp(PCMU, "a=inactive", host="0.0.0.0"), "PCMU", 0, None, "inactive", 20, True, None),
    "0.0.0.0 recvonly": (sdp(PCMU, "a=recvonly", host="0.0.0.0"), "PCMU", 0, None, "inactive", 20, True, None),
    "ptime 30": (sdp(PCMU, "a=ptime:30"), "PCMU", 0, None, "sendrecv", 30, False, None),
    "ptime 60": (sdp(PCMU, "a=ptime:60"), "PCMU", 0, None, "sendrecv", 60, False, None),
    "ptime 10": (sdp(PCMU, "a=ptime:10"), "PCMU", 0, None, "sendrecv", 10, False, None),
    "ptime 90 is not believed": (sdp(PCMU, "a=ptime:90"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "ptime 25 is not believed": (sdp(PCMU, "a=ptime:25"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "ptime in words": (sdp(PCMU, "a=ptime:long"), "PCMU", 0, None, "sendrecv", 20, False, None),
    "maxptime": (sdp(PCMU, "a=ptime:40", "a=maxptime:30"), "PCMU", 0, None, "sendrecv", 30, False, None),
    "video is refused": (
        sdp(PCMU, "m=video 5000 RTP/AVP 31 34"),
        *("PCMU", 0, None, "sendrecv", 20, False, ["audio 7000 RTP/AVP 0", "video 0 RTP/AVP 31 34"]),
    ),
    "T.38 beside audio": (
        sdp("m=image 5000 udptl t38", PCMU),
        *("PCMU", 0, None, "sendrecv", 20, False, ["image 0 udptl t38", "audio 7000 RTP/AVP 0"]),
    ),
    "secured audio first": (
        sdp("m=audio 5000 RTP/SAVP 0", PCMU),
        *("PCMU", 0, None, "sendrecv", 20, False, ["audio 0 RTP/SAVP 0", "audio 7000 RTP/AVP 0"]),
    ),
    "crypto beside RTP/AVP": (
        sdp(PCMU, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"),
        *("PCMU", 0, None, "sendrecv", 20, False, None),
    ),
    "removed audio, then another": (
        sdp("m=audio 0 RTP/AVP 0", PCMU),
        *("PCMU", 0, None, "sendrecv", 20, False, ["audio 0 RTP/AVP 0", "audio 7000 RTP/AVP 0"]),
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_offer_is_answered(name: str) -> None:
    theirs, codec, payload, dtmf, direction, ptime, hold, sections = ACCEPTED[name]
    ours, agreed = answer(theirs, LOCAL)
    assert (agreed.codec, agreed.send_payload_type, agreed.receive_payload_type) == (codec, payload, payload)
    assert (agreed.dtmf_send, agreed.dtmf_receive) == (dtmf, dtmf)
    assert (agreed.direction, agreed.ptime, agreed.on_hold) == (direction, ptime, hold)
    text = ours.decode()
    assert text.startswith("v=0\r\no=- 77 3 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n")
    assert f"\r\na={direction}\r\n" in text
    found = [line[2:] for line in text.splitlines() if line.startswith("m=")]
    assert len(found) == len(parse_sdp(theirs).media)
    if sections is not None:
        assert found == sections


REFUSED = {
    "T.38 alone": (sdp("m=image 5000 udptl t38"), NotAcceptable, "no audio stream, but image"),
    "no media": (sdp(), NotAcceptable, "no audio stream, but none"),
    "port 0": (sdp("m=audio 0 RTP/AVP 0"), NotAcceptable, "port 0"),
    "secured": (sdp("m=audio 4000 RTP/SAVP 0"), NotAcceptable, "RTP/SAVP"),
    "browser": (sdp("m=audio 4000 UDP/TLS/RTP/SAVPF 111"), NotAcceptable, "SAVPF"),
    "foreign codecs": (sdp("m=audio 4000 RTP/AVP 18 9"), NotAcceptable, "no common codec"),
    "only telephone-event": (
        sdp("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        *(NotAcceptable, "no common codec: telephone-event"),
    ),
    "16 kHz PCMU": (sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"), NotAcceptable, "no common codec"),
    "stereo": (sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000/2"), NotAcceptable, "no common codec"),
    "IPv6": (sdp(PCMU, host="2001:db8::1"), NotAcceptable, "IPv6"),
    "host name": (sdp(PCMU, host="phone.example"), NotAcceptable, "no IP address"),
    "multicast": (sdp(PCMU, host="224.2.1.1/127"), NotAcceptable, "multicast"),
    "no c=": (sdp(PCMU, host=""), SdpError, "c="),
    "empty": (b"", SdpError, "v=0"),
    "not SDP": (b"<xml/>", SdpError, "v=0"),
    "no o=": (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\n", SdpError, "o="),
    "short m=": (sdp("m=audio 4000"), SdpError, "m="),
    "port in words": (sdp("m=audio many RTP/AVP 0"), SdpError, "port"),
    "port too high": (sdp("m=audio 70000 RTP/AVP 0"), SdpError, "port"),
    "c= of an ATM network": (sdp(PCMU, "c=ATM NSAP 47"), SdpError, "c="),
    "line without =": (sdp(PCMU, "hello"), SdpError, "hello"),
    "too many m=": (sdp(*[PCMU] * (MAX_MEDIA + 1)), SdpError, "m= lines"),
    "too many lines": (sdp(PCMU, *["a=x"] * MAX_LINES), SdpError, "lines"),
    "too long": (sdp(PCMU, "a=" + "x" * MAX_SDP), SdpError, "longer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_offer_is_refused_with_its_reason(name: str) -> None:
    theirs, kind, text = REFUSED[name]
    with pytest.raises(kind, match=text):
        answer(theirs, LOCAL)


def test_our_offer() -> None:
    assert offer(LOCAL).decode().splitlines() == [
        "v=0",
        "o=- 77 3 IN IP4 192.0.2.9",
        "s=-",
        "c=IN IP4 192.0.2.9",
        "t=0 0",
        "m=audio 7000 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]
    assert b"a=inactive" in offer(LOCAL, "inactive")
    assert b"telephone-event" not in offer(replace(LOCAL, dtmf=False))
    with pytest.raises(ValueError, match="opus"):
        offer(replace(LOCAL, codecs=("opus",)))


def test_an_answer_gives_numbers_for_each_direction() -> None:
    """RFC 3264 §5.1: send with their numbers, receive with ours."""
    theirs = sdp("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 PCMA/8000", "a=rtpmap:97 telephone-event/8000")
    agreed = accept_answer(theirs, LOCAL)
    remote = (("198.51.100.1", 4000), ("198.51.100.1", 4001))
    assert agreed == Negotiated("PCMA", 96, 8, 97, 101, *remote, "sendrecv", 20, False)


@pytest.mark.parametrize(
    ("theirs", "text"),
    [
        (sdp("m=audio 0 RTP/AVP 0"), "port 0"),
        (sdp(PCMU, PCMU), "2 m= lines"),
        (sdp(), "0 m= lines"),
        (sdp("m=audio 4000 RTP/AVP 18"), "18"),
        (sdp("m=image 4000 udptl t38"), "image"),
    ],
)
def test_an_answer_that_makes_no_call(theirs: bytes, text: str) -> None:
    with pytest.raises(NotAcceptable, match=text):
        accept_answer(theirs, LOCAL)


@pytest.mark.parametrize(("said", "ours", "hold"), [("recvonly", "sendonly", False), ("sendonly", "recvonly", True)])
def test_direction_of_an_answer_is_seen_from_here(said: str, ours: str, hold: bool) -> None:
    agreed = accept_answer(sdp(PCMU, f"a={said}"), LOCAL)
    assert (agreed.direction, agreed.on_hold) == (ours, hold)


@pytest.mark.parametrize(
    ("line", "rtcp"),
    [
        ("a=rtcp:4444", ("198.51.100.1", 4444)),
        ("a=rtcp:4444 IN IP4 198.51.100.7", ("198.51.100.7", 4444)),
        ("a=rtcp:0", ("198.51.100.1", 4001)),
        ("a=rtcp:many", ("198.51.100.1", 4001)),
    ],
)
def test_where_rtcp_goes(line: str, rtcp: tuple[str, int]) -> None:
    assert answer(sdp(PCMU, line), LOCAL)[1].remote_rtcp == rtcp


def test_two_of_us_agree() -> None:
    ours, theirs = LOCAL, replace(LOCAL, host="192.0.2.10", port=9000, codecs=("PCMA",))
    text, callee = answer(offer(ours), theirs)
    caller = accept_answer(text, ours)
    assert caller.codec == callee.codec == "PCMA"
    assert (caller.remote, callee.remote) == (("192.0.2.10", 9000), ("192.0.2.9", 7000))


def test_ipv6_on_both_sides() -> None:
    local = replace(LOCAL, host="2001:db8::9")
    text, agreed = answer(sdp(PCMU, host="2001:db8::1"), local)
    assert b"c=IN IP6 2001:db8::9\r\n" in text
    assert agreed.remote == ("2001:db8::1", 4000)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(sdp(*DTMF, "a=sendonly").split(b"\r\n")) | st.binary(max_size=40), max_size=20))
def test_any_lines_are_answered_or_refused(lines: list[bytes]) -> None:
    data = b"\r\n".join([b"v=0", *lines])
    try:
        text, _ = answer(data, LOCAL)
    except (SdpError, NotAcceptable):
        return
    assert len(parse_sdp(text).media) == len(parse_sdp(data).media)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_or_refused(data: bytes) -> None:
    with pytest.raises((SdpError, NotAcceptable)):
        answer(data, LOCAL)
