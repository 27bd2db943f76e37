"""INFO digits, bodies, next hops and the guard of rates."""

import pytest

from cordboard.sip.body import UnsupportedBody, sdp_of
from cordboard.sip.dialog import next_hop
from cordboard.sip.guard import MAX_BUCKETS, RateGuard
from cordboard.sip.info import MAX_DURATION, InfoDigit, format_info_digit, parse_info_digit
from cordboard.sip.message import Headers, Request


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n", InfoDigit("5", 250)),
        ("Application/DTMF-Relay; charset=x", b"signal= 5\nduration = 100", InfoDigit("5", 100)),
        ("application/dtmf-relay", b"Signal=10\r\n", InfoDigit("*", 160)),
        ("application/dtmf-relay", b"Signal=11\r\n", InfoDigit("#", 160)),
        ("application/dtmf-relay", b"Signal=*\r\n", InfoDigit("*", 160)),
        ("application/dtmf-relay", b"Signal=d\r\nDuration=999999", InfoDigit("D", MAX_DURATION)),
        ("application/dtmf", b"7", InfoDigit("7", 160)),
        ("application/dtmf", b" #\r\n", InfoDigit("#", 160)),
        ("application/dtmf", b"77", None),
        ("application/dtmf-relay", b"Duration=5", None),
        ("application/dtmf-relay", b"Signal=hook", None),
        ("application/json", b"5", None),
        ("", b"", None),
        ("application/dtmf", b"\xff", None),
    ],
)
def test_digits_in_info(kind: str, body: bytes, expected: InfoDigit | None) -> None:
    assert parse_info_digit(kind, body) == expected


@pytest.mark.parametrize("digit", "0123456789*#ABCD")
def test_a_digit_is_written_as_it_is_read(digit: str) -> None:
    assert parse_info_digit(*format_info_digit(digit, 100)) == InfoDigit(digit, 100)


def test_what_is_no_digit_is_not_written() -> None:
    with pytest.raises(ValueError, match="DTMF"):
        format_info_digit("5\r\n")


def test_the_bucket_refills() -> None:
    guard = RateGuard(50.0, 100.0)
    assert [guard.allow("a", 0.0) for _ in range(100 + 2)].count(False) == 2
    assert guard.allow("b", 0.0)
    assert guard.allow("a", 0.1)
    assert [guard.allow("a", 1000.0) for _ in range(100 + 1)].count(False) == 1


def test_the_guard_forgets_the_oldest_source() -> None:
    guard = RateGuard(50.0, 100.0)
    for _ in range(100):
        guard.allow("old", 0.0)
    assert not guard.allow("old", 0.0)
    for n in range(MAX_BUCKETS):
        guard.allow(str(n), 0.0)
    assert guard.allow("old", 0.0)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ([], b"", None),
        ([("Content-Type", "text/plain")], b"", None),
        ([("c", "Application / SDP;charset=x")], b"v=0", b"v=0"),
        ([], b"v=0", b"v=0"),
        ([("c", 'multipart/mixed;boundary="x"')], b"--x\nContent-Type: application/sdp\n\nv=0\n--x--", b"v=0"),
    ],
)
def test_where_the_sdp_is(headers: list[tuple[str, str]], body: bytes, expected: bytes | None) -> None:
    assert sdp_of(Request(Headers(headers), body)) == expected


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([], b"hello"),
        ([("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")], b"v=0"),
        ([("Content-Type", "multipart/mixed")], b"--x"),
        ([("Content-Type", 'multipart/mixed;boundary="x')], b"--x"),
        ([("Content-Type", "multipart/mixed;boundary=x")], b"--x\r\nContent-Type: application/sdp"),
        ([("Content-Type", "application/isup")], b"x"),
    ],
)
def test_bodies_that_are_not_understood(headers: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(UnsupportedBody):
        sdp_of(Request(Headers(headers), body))


@pytest.mark.parametrize(
    ("routes", "target", "place"),
    [
        (["<sip:192.0.2.7;lr>"], "sip:a@192.0.2.8", ("192.0.2.7", 5060)),
        (["<sip:p.example;lr;maddr=192.0.2.7>"], "sip:a@192.0.2.8", ("192.0.2.7", 5060)),
        (["<sip:p.example;lr>"], "sip:a@192.0.2.8", ("192.0.2.1", 5080)),
        (["broken"], "sip:a@192.0.2.8", ("192.0.2.1", 5080)),
        ([], "sip:a@192.0.2.8:5090", ("192.0.2.8", 5090)),
        ([], "sip:a@[2001:db8::1]", ("192.0.2.1", 5080)),
        ([], "urn:x", ("192.0.2.1", 5080)),
    ],
)
def test_next_hops(routes: list[str], target: str, place: tuple[str, int]) -> None:
    assert next_hop(routes, target, ("192.0.2.1", 5080)) == place
