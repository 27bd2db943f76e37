"""HTTP as Lambda hands it to a function: the payload 2.0 of Function URLs and of API Gateway's HTTP APIs.

Leaves out payload 1.0 (REST APIs, load balancers) and streamed answers.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

VERSION: Final = "2.0"


class NotHttp(ValueError):
    """The invocation is no request of payload 2.0; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class HttpEvent:
    """One request."""

    method: str
    """In capitals."""
    headers: Mapping[str, str]
    """Names in lower case; values of doubled headers are joined by commas."""
    body: bytes
    """Decoded."""


def read_http(payload: Mapping[str, Any]) -> HttpEvent:
    """The request. Raises NotHttp."""
    context = payload.get("requestContext")
    http = context.get("http") if isinstance(context, Mapping) else None
    if payload.get("version") != VERSION or not isinstance(http, Mapping):
        raise NotHttp(f"the invocation is no HTTP request of payload {VERSION} (Function URL, HTTP API)")
    headers = payload.get("headers") or {}
    body = payload.get("body") or ""
    if not isinstance(headers, Mapping) or not isinstance(body, str):
        raise NotHttp("headers is no object, or body no text")
    return HttpEvent(
        str(http.get("method", "")).upper(),
        {str(name).lower(): str(value) for name, value in headers.items()},
        _body(body, payload.get("isBase64Encoded") is True),
    )


def answer(status: int, content: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """The answer of the payload; `content` is a problem (RFC 9457)."""
    found: dict[str, Any] = {"statusCode": status, "headers": dict(headers or {}), "body": ""}
    if content is not None:
        found["headers"]["Content-Type"] = "application/problem+json"
        found["body"] = json.dumps(content)
    return found


def _body(text: str, encoded: bool) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if encoded else text.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise NotHttp(f"the body cannot be decoded: {error}") from None
