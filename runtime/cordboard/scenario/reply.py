"""What an http.request handler returns, and the reply that travels."""

import base64
import json
from collections.abc import Mapping
from typing import TypeAlias

from cordboard.contract.codec import JSON, check_json
from cordboard.contract.records import MAX_REPLY, Reply

from .errors import LimitExceeded
from .secret import whole


class HttpResponse:
    """A reply with a status and headers of its own."""

    def __init__(
        self, body: "JSON | bytes" = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})


HttpReply: TypeAlias = "HttpResponse | JSON | bytes"


def reply_of(value: object) -> Reply:
    """None → 204; bytes as they are; JSON; HttpResponse. Raises LimitExceeded, DecodeError (ValueError)."""
    if not isinstance(value, HttpResponse):
        return _reply(value, 204 if value is None else 200, {})
    return _reply(value.body, value.status, value.headers)


def _reply(body: object, status: int, headers: Mapping[str, str]) -> Reply:
    if body is None:
        return Reply(status, "", headers)
    if isinstance(body, bytes):
        _check(len(body))
        if not any(name.lower() == "content-type" for name in headers):
            headers = {"Content-Type": "application/octet-stream", **headers}
        return Reply(status, base64.b64encode(body).decode(), headers, base64=True)
    # a redacted or a whole control URL in a reply would both be mistakes that nobody sees: whole, as in a command
    text = json.dumps(whole(check_json(body, "reply")), separators=(",", ":"), ensure_ascii=False)
    _check(len(text.encode()))
    return Reply(status, text, headers)


def _check(size: int) -> None:
    if size > MAX_REPLY:
        raise LimitExceeded(f"the reply has {size} bytes; the limit is {MAX_REPLY}")
