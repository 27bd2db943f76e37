"""Access tokens: the request to perform, and what every answer means."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.agents.access_token import MAX_TOKEN, TOKEN_LIFE, TokenRefused, token_of, token_request
from cordboard.agents.websocket import BadAddress


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("wss://api.cartesia.ai", "https://api.cartesia.ai/access-token"),
        ("ws://127.0.0.1:8090", "http://127.0.0.1:8090/access-token"),
        ("wss://gateway.example/cartesia/", "https://gateway.example/cartesia/access-token"),
        ("ws://[::1]:9", "http://[::1]:9/access-token"),
    ],
)
def test_the_token_is_asked_for_at_the_host_of_the_socket(base_url: str, url: str) -> None:
    request = token_request(base_url, "sk_1", "2025-04-16")
    assert request.url == url
    assert request.headers["Authorization"] == "Bearer sk_1"
    assert request.headers["Cartesia-Version"] == "2025-04-16"
    # reference cartesia-protocols §4.1, with the two grants that are not wanted left out
    assert json.loads(request.body) == {"grants": {"agent": True}, "expires_in": TOKEN_LIFE}
    assert TOKEN_LIFE <= 3600
    assert "sk_1" not in repr(request)


@pytest.mark.parametrize("base_url", ["https://api.cartesia.ai", "", "wss://", "wss://h?a=1", "wss://[", "wss://h#f"])
def test_another_address_is_refused(base_url: str) -> None:
    with pytest.raises(BadAddress):
        token_request(base_url, "sk_1", "2025-04-16")


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "schlüssel", "a\0"])
def test_a_key_that_no_header_carries_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(BadAddress) as caught:
        token_request("wss://h", key, "2025-04-16")
    assert not key or key not in str(caught.value)


def test_the_token_of_a_good_answer_unknown_fields_or_not() -> None:
    assert token_of(200, b'{"token":"eyJ.a.b"}') == "eyJ.a.b"
    assert token_of(201, b'{"token":"t","expires_at":"later","x":[1]}') == "t"


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (401, b"", "unauthorized", "refused the API key"),
        (403, b"{}", "unauthorized", "refused the API key"),
        (404, b"", "connect_failed", "access_token = false"),
        (405, b"", "connect_failed", "access_token = false"),
        (429, b'{"message":"slow down"}', "connect_failed", "HTTP 429"),
        (500, b"", "connect_failed", "HTTP 500"),
        (302, b"", "connect_failed", "HTTP 302"),
        (200, b"<html>", "connect_failed", "not JSON"),
        (200, b"[]", "connect_failed", "not a JSON object"),
        (200, b"{}", "connect_failed", "holds no token"),
        (200, b'{"token":""}', "connect_failed", "holds no token"),
        (200, b'{"token":7}', "connect_failed", "holds no token"),
        (200, b'{"token":"a\\nb"}', "connect_failed", "holds no token"),
        (200, json.dumps({"token": "x" * (MAX_TOKEN + 1)}).encode(), "connect_failed", "holds no token"),
    ],
)
def test_every_other_answer_says_what_is_wrong(status: int, body: bytes, code: str, says: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        token_of(status, body)
    assert caught.value.code == code
    assert says in str(caught.value)


@given(st.integers(100, 999), st.binary(max_size=200))
def test_whatever_comes_it_is_a_token_or_a_refusal(status: int, body: bytes) -> None:
    with contextlib.suppress(TokenRefused):
        assert token_of(status, body)
