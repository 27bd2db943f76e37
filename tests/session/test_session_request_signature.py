"""Signed control requests: what passes, what does not, and that each passes once."""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.session.request_signature import MAX_SEEN, WINDOW, RequestSignatures

from .session_bench import Bench, with_agent

KEY = b"s" * 32
NOW = 1_800_000_000.0
BODY = b'{"action":"end_call"}'
PATH = "t0k3n/end_call"
NONCE = "0123456789abcdef"


@pytest.fixture
def signatures() -> RequestSignatures:
    return RequestSignatures(KEY)


def signed(signatures: RequestSignatures, body: bytes = BODY, at: float = NOW, nonce: str = NONCE) -> str:
    return signatures.sign("POST", PATH, body, at, nonce)


def refused(signatures: RequestSignatures, header: str | None, body: bytes = BODY, wall: float = NOW) -> str | None:
    return signatures.refuse(header, "POST", PATH, body, wall)


def test_what_the_documents_say_is_what_is_checked(signatures: RequestSignatures) -> None:
    text = b"1800000000.0123456789abcdef.POST.t0k3n/end_call." + BODY
    mac = hmac.new(KEY, text, hashlib.sha256).hexdigest()
    assert signed(signatures) == f"t=1800000000,n=0123456789abcdef,v1={mac}"
    assert refused(signatures, f"t=1800000000,n=0123456789abcdef,v1={mac}") is None


def test_a_signature_passes_once(signatures: RequestSignatures) -> None:
    header = signed(signatures)
    assert refused(signatures, header) is None
    assert "used before" in str(refused(signatures, header, wall=NOW + 1))
    assert refused(signatures, signed(signatures, at=NOW + 1), wall=NOW + 1) is None


def test_two_requests_of_one_second_are_told_apart(signatures: RequestSignatures) -> None:
    assert refused(signatures, signed(signatures)) is None
    assert refused(signatures, signed(signatures, nonce="another-nonce")) is None
    other = signatures.sign("POST", "another-call", BODY, NOW, NONCE)
    assert signatures.refuse(other, "POST", "another-call", BODY, NOW) is None


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", "another-call"), ("POST", "t0k3n/call_transfer")])
def test_what_was_signed_for_one_call_and_verb_is_good_for_no_other(
    signatures: RequestSignatures, method: str, path: str
) -> None:
    assert "does not fit" in str(signatures.refuse(signed(signatures), method, path, BODY, NOW))


@pytest.mark.parametrize("away", [-WINDOW - 1, WINDOW + 1])
def test_a_time_too_far_away_is_refused(signatures: RequestSignatures, away: float) -> None:
    assert "300 s away" in str(refused(signatures, signed(signatures), wall=NOW + away))


@pytest.mark.parametrize("away", [-WINDOW, 0, WINDOW])
def test_a_time_within_the_window_passes(signatures: RequestSignatures, away: float) -> None:
    assert refused(signatures, signed(signatures), wall=NOW + away) is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "v1=aa",
        "t=1,n=01234567,v1=zz",
        "t=1800000000,v1=" + "0" * 64,
        "t=1800000000,n=short,v1=" + "0" * 64,
        "t=1800000000,n=01234567,v1=" + "0" * 63,
        "t=-1,n=01234567,v1=" + "0" * 64,
    ],
)
def test_what_is_no_signature_says_how_to_make_one(signatures: RequestSignatures, header: str | None) -> None:
    assert "hmac-sha256" in str(refused(signatures, header))


@given(body=st.binary(max_size=40), change=st.integers(-1000, 1000).filter(bool))
def test_another_body_time_nonce_or_key_does_not_fit(body: bytes, change: int) -> None:
    signatures = RequestSignatures(KEY)
    header = signed(signatures, body)
    assert refused(signatures, header, body + b"x") is not None
    moved = header.replace("t=1800000000", f"t={1_800_000_000 + change}")
    assert refused(signatures, moved, body) is not None
    assert refused(signatures, header.replace(NONCE, NONCE[::-1]), body) is not None
    assert refused(RequestSignatures(b"o" * 32), header, body) is not None


def test_what_is_remembered_is_bounded_and_forgotten_after_its_time(signatures: RequestSignatures) -> None:
    for number in range(MAX_SEEN):
        assert refused(signatures, signed(signatures, nonce=f"{number:08}")) is None
    assert "too many" in str(refused(signatures, signed(signatures)))
    later = NOW + 2 * WINDOW + 1
    assert refused(signatures, signed(signatures, at=later), wall=later) is None


def test_a_short_key_is_refused_and_none_is_printed() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RequestSignatures(b"short")
    assert "ssss" not in repr(RequestSignatures(KEY))


def test_an_edge_that_wants_signatures_takes_no_other_request() -> None:
    bench = Bench(call_alerting=with_agent, http_request=lambda made: made.done(), request_key=KEY)
    bench.caller.call()
    signatures = RequestSignatures(KEY)
    wall = bench.engine._services.clock.at(bench.now).timestamp()

    def ask(headers: Any) -> int | None:
        request = f"r{len(bench.kept.replies)}"
        given = {"content-type": "application/json", **headers}
        bench.engine.receive_http(request, "POST", bench.control_path, given, BODY, bench.now)
        bench.pump()
        return bench.status(request)

    assert ask({}) == 401
    assert ask({"x-control-signature": "t=1,n=01234567,v1=" + "0" * 64}) == 401
    assert len(bench.of("http.request")) == 0
    good = signatures.sign("POST", bench.control_path, BODY, wall, NONCE)
    assert ask({"x-control-signature": good}) == 204
    assert ask({"x-control-signature": good}) == 401
    assert len(bench.of("http.request")) == 1
    assert bench.told("http").count("unsigned control request refused") == 3
