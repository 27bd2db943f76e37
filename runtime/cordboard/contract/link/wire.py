"""One message a line: JSON with the class name as `m`, in order."""

import json
from typing import Any, TypeAlias, TypeVar

from ..codec import DecodeError, decode, encode

LINK_LINE = 512 * 1024
"""Bytes of one line; a longer one ends the link (an agent's metadata may be 256 KB)."""
HEARTBEAT = 1.0
"""Seconds between two pings (DESIGN §1)."""

Message = TypeVar("Message", bound=type)
MESSAGES: dict[str, type] = {}
"""Class name → class."""

LinkMessage: TypeAlias = Any
"""One of the classes of MESSAGES."""


def message(kind: Message) -> Message:
    """Make a class one that travels."""
    MESSAGES[kind.__name__] = kind
    return kind


def to_line(message: LinkMessage) -> bytes:
    """One message as a line of JSON."""
    body = encode(message)
    assert isinstance(body, dict)
    return json.dumps({"m": type(message).__name__, **body}, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> LinkMessage:
    """The message of a line. Raises DecodeError."""
    try:
        body = json.loads(line)
    except ValueError as error:
        raise DecodeError("", "not JSON") from error
    if not isinstance(body, dict) or not isinstance(body.get("m"), str):
        raise DecodeError("m", "missing")
    kind = MESSAGES.get(body.pop("m"))
    if kind is None:
        raise DecodeError("m", "unknown message")
    return decode(kind, body)
