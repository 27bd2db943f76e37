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


@pytest.fixture
def signatures() -> RequestSignatures:
    return RequestSignatures(KEY)


def test_what_the_documents_say_is_what_is_checked(signatures: RequestSignatures) -> None:
    mac = hmac.new(KEY, b"1800000000." + BODY, hashlib.sha256).hexdigest()
    assert signatures.sign(BODY, NOW) == f"t=1800000000,v1={mac}"
    assert signatures.refuse(f"t=1800000000,v1={mac}", BODY, NOW) is None


def test_a_signature_passes_once(signatures: RequestSignatures) -> None:
    header = signatures.sign(BODY, NOW)
    assert signatures.refuse(header, BODY, NOW) is None
    assert "used before" in str(signatures.refuse(header, BODY, NOW + 1))
    assert signatures.refuse(signatures.sign(BODY, NOW + 1), BODY, NOW + 1) is None


@pytest.mark.parametrize("away", [-WINDOW - 1, WINDOW + 1])
def test_a_time_too_far_away_is_refused(signatures: RequestSignatures, away: float) -> None:
    header = signatures.sign(BODY, NOW)
    assert "300 s away" in str(signatures.refuse(header, BODY, NOW + away))


@pytest.mark.parametrize("away", [-WINDOW, 0, WINDOW])
def test_a_time_within_the_window_passes(signatures: RequestSignatures, away: float) -> None:
    assert signatures.refuse(signatures.sign(BODY, NOW), BODY, NOW + away) is None


@pytest.mark.parametrize(
    "header", [None, "", "v1=aa", "t=1,v1=zz", "t=1800000000,v1=" + "0" * 63, "t=-1,v1=" + "0" * 64]
)
def test_what_is_no_signature_says_how_to_make_one(signatures: RequestSignatures, header: str | None) -> None:
    assert "hmac-sha256" in str(signatures.refuse(header, BODY, NOW))


@given(body=st.binary(max_size=40), change=st.integers(-1000, 1000).filter(bool))
def test_another_body_time_or_key_does_not_fit(body: bytes, change: int) -> None:
    signatures = RequestSignatures(KEY)
    header = signatures.sign(body, NOW)
    assert signatures.refuse(header, body + b"x", NOW) is not None
    moved = header.replace("t=1800000000", f"t={1_800_000_000 + change}")
    assert signatures.refuse(moved, body, NOW) is not None
    assert RequestSignatures(b"o" * 32).refuse(header, body, NOW) is not None


def test_what_is_remembered_is_bounded_and_forgotten_after_its_time(signatures: RequestSignatures) -> None:
    for number in range(MAX_SEEN):
        body = str(number).encode()
        assert signatures.refuse(signatures.sign(body, NOW), body, NOW) is None
    assert "too many" in str(signatures.refuse(signatures.sign(BODY, NOW), BODY, NOW))
    later = NOW + 2 * WINDOW + 1
    assert signatures.refuse(signatures.sign(BODY, later), BODY, later) is None


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
    assert ask({"x-control-signature": "t=1,v1=" + "0" * 64}) == 401
    assert len(bench.of("http.request")) == 0
    good = signatures.sign(BODY, wall)
    assert ask({"x-control-signature": good}) == 204
    assert ask({"x-control-signature": good}) == 401
    assert len(bench.of("http.request")) == 1
    assert bench.told("http").count("unsigned control request refused") == 3
