"""JSON texts of both agents' wires: strict reading, bounded writing, and audio without a JSON parser.

Follows reference cartesia-protocols §1 and §2: text messages only, audio as base64 in the last string of a message.
Everything that comes in is hostile: a message that does not fit raises `Malformed`, with a text for people, and
nothing else. Leaves out what the messages mean: `line_messages`, `managed_messages`.
"""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

from cordboard.agents.events import ErrorMessage, Json, Role

DTMF_DIGITS = frozenset("0123456789*#")
"""What both wires carry (§1.2.3, §2.2); A-D exist on phone legs only."""

MAX_NESTING = 24
"""Levels of a message: what control and handlers take (32), less what an event wraps around it; our choice."""

MAX_OUTLINE = 256
"""Characters kept of each text at the top of a message that cannot be taken."""

MAX_ERROR_TEXT = 500
"""Characters kept of a service's error text, so that it fits a log line and an event; our choice."""


class Malformed(ValueError):
    """A message of the service that cannot be understood; `data` is what could be read of it."""

    def __init__(self, text: str, data: Json | None = None) -> None:
        super().__init__(text)
        self.data: Json = data if data is not None else {}


class NotJson(ValueError):
    """Something to be sent is not a JSON object, or too large for one message."""


def name_of(message: Json) -> object:
    """Return the message's name: `event` on the Line wire, `type` on the Managed one."""
    return message.get("event", message.get("type"))


def encode(message: Mapping[str, Any], limit: int) -> bytes:
    """Return compact JSON of `message`; raise `NotJson` when it has no JSON form or exceeds `limit` bytes."""
    try:
        data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotJson(f"{name_of(message)} message has no JSON form: {exc}") from exc
    if len(data) > limit:
        raise NotJson(f"{name_of(message)} message of {len(data)} bytes exceeds {limit}")
    return data


def decode(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`; raise `Malformed` for anything else."""
    try:
        message = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
        if b"\\u" in data:  # a lone surrogate would break whoever writes the text out later
            json.dumps(message, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("message is not UTF-8") from None
    except UnicodeEncodeError:
        raise Malformed("message holds half a surrogate pair") from None
    except RecursionError:
        raise Malformed("message is nested too deeply") from None
    except ValueError as exc:
        raise Malformed(f"message is not JSON: {exc}") from None
    if not isinstance(message, dict):
        raise Malformed(f"message is not a JSON object but {type(message).__name__}")
    if why := _unfit(message):
        raise Malformed(f"{str(name_of(message))[:MAX_OUTLINE]}: {why}", outline(message))
    return message


def _unfit(message: Json) -> str:
    """Say why nobody behind us could take the message; empty: everybody can."""
    level: list[object] = [message]
    for _ in range(MAX_NESTING + 1):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, float) and not math.isfinite(value):
                return "a number is too large"
        if not below:
            return ""
        level = below
    return f"nested deeper than {MAX_NESTING} levels"


def outline(message: Json) -> dict[str, Any]:
    """Return the texts at the top of a message, cut to `MAX_OUTLINE`: enough to say which one it was."""
    texts = {key: value for key, value in message.items() if isinstance(value, str)}
    return {key[:MAX_OUTLINE]: value[:MAX_OUTLINE] for key, value in list(texts.items())[:16]}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class AudioWriter:
    """Forms the messages that carry audio of one stream: JSON but for the payload, which needs no escaping."""

    __slots__ = ("_head", "_tail")

    def __init__(self, template: Mapping[str, Any]) -> None:
        """`template` is the message; its last string is empty and takes the payload."""
        head, self._tail = _split(json.dumps(template, separators=(",", ":")))
        self._head = head

    def encode(self, payload: bytes) -> bytes:
        """Return the message that carries `payload`."""
        return self._head + binascii.b2a_base64(payload, newline=False) + self._tail


class AudioReader:
    """Reads messages that carry audio without a JSON parser where they look exactly as expected."""

    __slots__ = ("_frames",)

    def __init__(self, template: Mapping[str, Any]) -> None:
        """`template` is the message; its last string is empty and stands for the payload."""
        self._frames = (_split(json.dumps(template, separators=(",", ":"))), _split(json.dumps(template)))

    def payload(self, data: bytes) -> bytes | None:
        """Return the audio in `data`, or None when it must be read as JSON.

        What lies between head and tail is either strict base64, which JSON would give back unchanged, or it is None.
        """
        for head, tail in self._frames:
            if data.startswith(head) and data.endswith(tail) and len(data) >= len(head) + len(tail):
                try:
                    return binascii.a2b_base64(memoryview(data)[len(head) : -len(tail)], strict_mode=True)
                except binascii.Error:
                    return None
        return None


def _split(text: str) -> tuple[bytes, bytes]:
    head, _, tail = text.rpartition('""')
    return f'{head}"'.encode("ascii"), f'"{tail}'.encode("ascii")


def payload_of(message: Json, holder: Json, key: str, where: str) -> bytes:
    """Return the audio of a decoded message, strict base64 in `holder[key]`; raise `Malformed`, naming `where`."""
    text = holder.get(key)
    if not isinstance(text, str):
        raise Malformed(f"{name_of(message)}: {where} is not a string", message)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:  # binascii.Error, or characters beyond ASCII
        raise Malformed(f"{name_of(message)}: {where} is not base64: {exc}", message) from None


def object_of(message: Json, key: str) -> dict[str, Any]:
    """Return the object in `message[key]`; raise `Malformed`."""
    value = message.get(key)
    if not isinstance(value, dict):
        raise Malformed(f"{name_of(message)}: {key} is not an object", message)
    return value


def string_of(message: Json, holder: Json, key: str) -> str:
    """Return the string in `holder[key]`, a part of `message`; raise `Malformed`."""
    value = holder.get(key)
    if not isinstance(value, str):
        raise Malformed(f"{name_of(message)}: {key} is not a string", message)
    return value


def digit_of(message: Json, key: str) -> str:
    """Return the DTMF digit in `message[key]`; raise `Malformed`."""
    digit = string_of(message, message, key)
    if digit not in DTMF_DIGITS:
        raise Malformed(f"{name_of(message)}: not one of 0-9, * and #", message)
    return digit


def role_of(message: Json, turn: Json) -> Role:
    """Return who speaks in `turn`, a part of `message`; raise `Malformed`."""
    role: Literal["user", "assistant"]
    for role in ("user", "assistant"):
        if turn.get("role") == role:
            return role
    raise Malformed(f"{name_of(message)}: role is neither user nor assistant", message)


def turn_id(value: object) -> str:
    """Return a turn's id: a string on the Line wire, an integer on the Managed one; empty when it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def error_text(message: Json) -> str:
    """Return the most telling text of an error message, bounded."""
    for key in ("message", "title", "error", "code"):
        text = message.get(key)
        if isinstance(text, str) and text:
            return text[:MAX_ERROR_TEXT]
    return "the service reported an error without a text"


def malformed_event(exc: Malformed) -> ErrorMessage:
    """Return the event for a message that cannot be understood: advisory, because the next one may be fine."""
    return ErrorMessage(str(exc)[:MAX_ERROR_TEXT], fatal=False, data=exc.data)
