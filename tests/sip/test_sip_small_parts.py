"""INFO digits and the guard of rates."""

import pytest

from cordboard.sip.guard import MAX_BUCKETS, RateGuard
from cordboard.sip.info import MAX_DURATION, InfoDigit, format_info_digit, parse_info_digit


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
