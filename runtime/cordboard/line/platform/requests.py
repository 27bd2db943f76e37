"""Reading REST requests and refusing them: versions, bounded bodies, typed fields, Cartesia's error object.

Follows reference cartesia-protocols §4 and §5.1. Fields that are not known are refused by name: a stand-in that ignored
them would hide what it does not do.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from cordboard.line.json_values import read
from cordboard.line.platform.gate import Credentials, credentials

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body."""

BODY_TIMEOUT: Final = 10.0
"""Seconds for it to arrive."""

_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")

T = TypeVar("T")


class ApiError(Exception):
    """A request is refused: HTTP status, a word for programs, and what is wrong."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


_TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Payload too large",
    415: "Unsupported media type",
    422: "Unprocessable entity",
    426: "Upgrade required",
    429: "Too many requests",
    501: "Not supported",
}


def error_response(status: int, code: str, message: str) -> JSONResponse:
    """The generic error object of Cartesia's API."""
    told = {
        "title": _TITLES.get(status, "Internal server error"),
        "message": message,
        "error_code": code,
        "status_code": status,
        "request_id": f"req_{secrets.token_hex(8)}",
    }
    return JSONResponse(told, status, {"Connection": "close"} if status in (408, 413) else None)


def version_of(request: Request) -> str:
    """The version asked for; the query wins (§1.1). Raises ApiError."""
    version = request.query_params.get("cartesia_version") or request.headers.get("cartesia-version", "")
    if not version:
        raise ApiError(400, "version_missing", "Cartesia-Version is missing")
    if _VERSION.fullmatch(version) is None:
        raise ApiError(400, "version_invalid", "Cartesia-Version is not a date like 2026-03-01")
    return version


def shown(request: Request) -> Credentials:
    """What the client shows."""
    query = {name: request.query_params.getlist(name) for name in request.query_params}
    return credentials(lambda name: request.headers.get(name, "").strip(), query)


async def body_of(request: Request) -> Body:
    """The JSON object in a request's body; raises ApiError."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "unsupported_media_type", "the body must be application/json")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_BODY:
                    raise ApiError(413, "body_too_large", f"the body has more than {MAX_BODY} bytes")
    except TimeoutError:
        raise ApiError(408, "body_timeout", "the body did not arrive") from None
    except ClientDisconnect:
        raise ApiError(400, "body_incomplete", "the body did not arrive") from None
    flaws: list[str] = []
    try:
        value = read(bytes(data), flaws.append) if data else {}
    except ValueError:
        raise ApiError(400, "invalid_json", "the body is not JSON") from None
    if flaws:
        raise ApiError(400, "invalid_json", flaws[0].partition(",")[0])
    if not isinstance(value, dict):
        raise ApiError(400, "invalid_json", "the body is not a JSON object")
    return Body("", value)


class Body:
    """A JSON object whose fields are taken one by one; what is left over is refused."""

    def __init__(self, path: str, value: Mapping[str, Any]) -> None:
        self._path = path
        self._rest = dict(value)

    def __contains__(self, name: str) -> bool:
        return name in self._rest

    def is_text(self, name: str) -> bool:
        """Whether a field is there and a text."""
        return isinstance(self._rest.get(name), str)

    def fault(self, name: str, text: str) -> ApiError:
        """What refuses a field."""
        return ApiError(422, "invalid_field", f"{self._path}{name}: {text}")

    def text(self, name: str, most: int, default: T = None) -> str | T:  # type: ignore[assignment]
        """A text of at most `most` characters, or null."""
        value = self._rest.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > most:
            raise self.fault(name, f"is not a text of at most {most} characters")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; false when it is not there."""
        value = self._rest.pop(name, None)
        if not isinstance(value, bool | None):
            raise self.fault(name, "is not a boolean")
        return bool(value)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number between both, inclusive."""
        value = self._rest.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.fault(name, f"is not a number between {low:g} and {high:g}")
        return float(value)

    def object(self, name: str) -> Body:
        """An object; an empty one when it is not there."""
        return Body(f"{self._path}{name}.", self.mapping(name))

    def mapping(self, name: str) -> dict[str, Any]:
        """An object with fields of the caller's own."""
        value = self._rest.pop(name, None)
        if not isinstance(value, dict | None):
            raise self.fault(name, "is not an object")
        return value or {}

    def items(self, name: str, most: int) -> list[Any]:
        """A list of 1 to `most` items."""
        value = self._rest.pop(name, None)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise self.fault(name, f"is not a list of 1 to {most} items")
        return value

    def need(self, name: str, value: T | None) -> T:
        """Insist on a field."""
        if value is None:
            raise self.fault(name, "is missing")
        return value

    def done(self, known: Iterable[str]) -> None:
        """Refuse what is left."""
        if self._rest:
            name = str(next(iter(self._rest)))[:80]
            raise self.fault(name, f"is not known to the stand-in, which knows {', '.join(known)}")
