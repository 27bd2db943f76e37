"""Access tokens for the Line socket: `POST /access-token` as a request to perform, and what its answer says.

Follows reference cartesia-protocols §1.1 and §4.1: the socket "must" be opened with a token, which the API key buys.
A token is asked for each call and checked by the service at the handshake alone (§7 row 9). Leaves out the Managed
socket, where a token could not set dynamic variables (§2.1): there the key itself goes out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from cordboard.agents import json_messages as messages
from cordboard.agents.websocket import BadAddress

TOKEN_LIFE: Final = 300
"""Seconds a token lives: a call's socket opens within 5 s of it, clocks may differ, and an hour is the most (§4.1)."""

MAX_TOKEN: Final = 8192
"""Characters of a token: a JWT has some hundred; a handshake's header has its bound."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes read of the answer."""

_SCHEMES: Final = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for whoever has a network; it holds the key, so it never prints."""

    url: str
    """https://…/access-token."""
    headers: dict[str, str] = field(repr=False)
    """With the key."""
    body: bytes
    """JSON."""


class TokenRefused(Exception):
    """The service gave no token; the text says what it answered, and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """unauthorized, or connect_failed."""


def token_request(base_url: str, api_key: str, version: str) -> TokenRequest:
    """Ask for a token at the host of the agents' socket. Raises BadAddress."""
    try:
        parts = urlsplit(base_url)
    except ValueError as exc:
        raise BadAddress("base_url is not an address") from exc
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment:
        raise BadAddress("base_url must be ws(s)://host[:port][/path]")
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise BadAddress("the API key is empty or holds characters that no header carries")
    headers = {
        "Authorization": f"Bearer {api_key}",
        "Cartesia-Version": version,
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    body = json.dumps({"grants": {"agent": True}, "expires_in": TOKEN_LIFE}, separators=(",", ":")).encode()
    return TokenRequest(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/access-token", headers, body)


def token_of(status: int, body: bytes) -> str:
    """The token of an answer. Raises TokenRefused."""
    if status in (401, 403):
        raise TokenRefused("unauthorized", f"the service refused the API key (HTTP {status}); check the stored key")
    if status in (404, 405, 501):
        raise TokenRefused(
            "connect_failed",
            f"the service mints no access tokens (HTTP {status}); for one that takes the API key itself set "
            "[agents.cartesia].access_token = false",
        )
    if not 200 <= status < 300:
        raise TokenRefused("connect_failed", f"POST /access-token was answered by HTTP {status}")
    try:
        token = messages.decode(body).get("token")
    except messages.Malformed as exc:
        raise TokenRefused("connect_failed", f"the answer to POST /access-token cannot be read: {exc}") from exc
    if not isinstance(token, str) or not 1 <= len(token) <= MAX_TOKEN or not token.isascii() or not token.isprintable():
        raise TokenRefused("connect_failed", "the answer to POST /access-token holds no token")
    return token
