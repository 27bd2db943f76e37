"""What can go wrong at Cartesia's REST API, by kind. No text holds the key."""

from __future__ import annotations

import httpx

MAX_TEXT = 500
"""Characters kept of a service's error text."""


class CartesiaError(Exception):
    """A request that brought no result."""


class Unreachable(CartesiaError):
    """No answer: no connection, a time-out, an answer that broke off or is too large."""


class Unauthorized(CartesiaError):
    """401 or 403: the key is wrong, or may not do this."""


class NotFound(CartesiaError):
    """404: no such agent, call or deployment."""


class Conflict(CartesiaError):
    """409: not in the state that it is in, such as a cancel of a call that is over."""


class RateLimited(CartesiaError):
    """429: too many requests or calls at once."""

    def __init__(self, text: str, retry_after: float | None) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        """Seconds that the service asks to wait, if it says so."""


class BadAnswer(CartesiaError):
    """A success that cannot be read."""


class Refused(CartesiaError):
    """Any other status; `status` is it."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
        """HTTP status."""


def refusal(response: httpx.Response, body: bytes) -> CartesiaError:
    """The error of an answer that is no success, with the service's own words."""
    status = response.status_code
    text = f"HTTP {status}: {_words(body) or response.reason_phrase}"
    match status:
        case 401 | 403:
            return Unauthorized(text)
        case 404:
            return NotFound(text)
        case 409:
            return Conflict(text)
        case 429:
            after = response.headers.get("retry-after", "")
            return RateLimited(text, float(after) if after.isdecimal() else None)
        case _:
            return Refused(text, status)


def _words(body: bytes) -> str:
    """Title and message of the generic error object (§1.6), or the text as it is."""
    try:
        found = httpx.Response(200, content=body).json()
    except ValueError:
        return body.decode("utf-8", "replace").strip()[:MAX_TEXT]
    if not isinstance(found, dict):
        return ""
    inner = found.get("error", found)
    if isinstance(inner, str):
        return inner[:MAX_TEXT]
    parts = [inner.get(name) for name in ("title", "message", "detail")] if isinstance(inner, dict) else []
    return ", ".join(part for part in parts if isinstance(part, str) and part)[:MAX_TEXT]
