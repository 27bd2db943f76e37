"""Messages of the Line socket, `/agents/stream/{agent_id}` (2025-04-16): JSON text both ways.

Follows reference cartesia-protocols §1.2 (client to server) and §1.3 (server to client), with §7 row 15 for where a
transfer's target may stand. Everything that comes in is hostile: a message that does not fit raises `Malformed`, with
a text for people, and nothing else. Leaves out the connection's state, which is `line.LineConnection`'s.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

from cordboard.agents.events import (
    AgentEvent,
    Clear,
    Custom,
    Dtmf,
    ErrorMessage,
    Json,
    Role,
    TextDelta,
    Transfer,
    TurnEnded,
    TurnStarted,
    Unknown,
)

DTMF_DIGITS = frozenset("0123456789*#")
"""What `dtmf` may carry (§1.2.3); A-D exist on phone legs only."""

MAX_ERROR_TEXT = 500
"""Characters kept of a service's error text, so that it fits a log line and an event; our choice."""


class Malformed(ValueError):
    """A message of the service that cannot be understood; `data` is what could be read of it."""

    def __init__(self, text: str, data: Json | None = None) -> None:
        super().__init__(text)
        self.data: Json = data if data is not None else {}


class NotJson(ValueError):
    """Something to be sent is not a JSON object, or too large for one message."""


def encode(message: Mapping[str, Any], limit: int) -> bytes:
    """Return compact JSON of `message`; raise `NotJson` when it has no JSON form or exceeds `limit` bytes."""
    try:
        data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotJson(f"{message.get('event')} message has no JSON form: {exc}") from exc
    if len(data) > limit:
        raise NotJson(f"{message.get('event')} message of {len(data)} bytes exceeds {limit}")
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
    return message


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def decode_base64(text: str | bytes) -> bytes:
    """Return the bytes of strict base64; raise `Malformed` otherwise."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:  # binascii.Error, or characters beyond ASCII
        raise Malformed(f"media.payload is not base64: {exc}") from None


class MediaInput:
    """Forms `media_input` messages (§1.2.2) for one stream."""

    __slots__ = ("_head",)

    def __init__(self, stream_id: str) -> None:
        stream = f'"stream_id":{json.dumps(stream_id)},' if stream_id else ""
        self._head = f'{{"event":"media_input",{stream}"media":{{"payload":"'.encode("ascii")

    def encode(self, payload: bytes) -> bytes:
        """Return the message that carries `payload`."""
        return self._head + binascii.b2a_base64(payload, newline=False) + b'"}}'


class MediaOutput:
    """Reads `media_output` messages of one stream without a JSON parser where they look exactly as expected."""

    __slots__ = ("_heads",)

    _TAIL = b'"}}'

    def __init__(self, stream_id: str) -> None:
        message = {"event": "media_output", "stream_id": stream_id, "media": {"payload": ""}}
        compact = json.dumps(message, separators=(",", ":")).encode("ascii")
        spaced = json.dumps(message).encode("ascii")
        self._heads = tuple(text[: -len(self._TAIL)] for text in (compact, spaced))

    def payload(self, data: bytes) -> bytes | None:
        """Return the audio in `data`, or None when it must be read as JSON.

        What lies between head and tail is either strict base64, which JSON would give back unchanged, or it is None.
        """
        for head in self._heads:
            if data.startswith(head) and data.endswith(self._TAIL):
                try:
                    return binascii.a2b_base64(memoryview(data)[len(head) : -len(self._TAIL)], strict_mode=True)
                except binascii.Error:
                    return None
        return None


def media_payload(message: Json) -> bytes:
    """Return the audio of a decoded `media_output`; raise `Malformed`."""
    payload = _object(message, "media").get("payload")
    if not isinstance(payload, str):
        raise Malformed("media_output: media.payload is not a string", message)
    try:
        return decode_base64(payload)
    except Malformed as exc:
        raise Malformed(f"media_output: {exc}", message) from None


def is_error(message: Json) -> bool:
    """Both spellings of an error (§1.3, §7 row 7)."""
    return message.get("event") == "error" or message.get("type") == "error"


def error_text(message: Json) -> str:
    """The most telling text of an error message, bounded."""
    for key in ("message", "title", "error"):
        text = message.get(key)
        if isinstance(text, str) and text:
            return text[:MAX_ERROR_TEXT]
    return "the service reported an error without a text"


def parse(message: dict[str, Any]) -> AgentEvent:
    """Return the event of a decoded message that is neither `ack`, error nor audio; raise `Malformed`."""
    name = message.get("event")
    if not isinstance(name, str):
        return Unknown("", message)
    match name:
        case "clear":
            return Clear(message)
        case "dtmf":
            digit = _string(message, message, "dtmf")
            if digit not in DTMF_DIGITS:
                raise Malformed("dtmf: not one of 0-9, * and #", message)
            return Dtmf(digit, message)
        case "custom":
            return Custom(_object(message, "metadata"), message)
        case "transfer_call":
            return Transfer(_target(message), message)
        case "turn_started":
            turn = _object(message, "turn_started")
            return TurnStarted(_id(turn), _role(message, turn), message)
        case "turn_output_text_delta":
            turn = _object(message, "turn_output_text_delta")
            return TextDelta(_string(message, turn, "text"), message)
        case "turn_ended":
            turn = _object(message, "turn_ended")
            text = _string(message, turn, "text") if turn.get("text") is not None else ""
            interrupted = turn.get("was_interrupted") is True
            return TurnEnded(_id(turn), _role(message, turn), text, interrupted, message)
        case _:
            return Unknown(name, message)


def malformed_event(exc: Malformed) -> ErrorMessage:
    """The event for a message that could not be understood: advisory, because the next one may be fine."""
    return ErrorMessage(str(exc)[:MAX_ERROR_TEXT], fatal=False, data=exc.data)


def _object(message: Json, key: str) -> dict[str, Any]:
    value = message.get(key)
    if not isinstance(value, dict):
        raise Malformed(f"{message.get('event')}: {key} is not an object", message)
    return value


def _string(message: Json, holder: Json, key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise Malformed(f"{message.get('event')}: {key} is not a string", message)
    return value


def _id(turn: Json) -> str:
    value = turn.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # the newer wire counts turns with integers
    return value if isinstance(value, str) else ""


def _role(message: Json, turn: Json) -> Role:
    role: Literal["user", "assistant"]
    for role in ("user", "assistant"):
        if turn.get("role") == role:
            return role
    raise Malformed(f"{message.get('event')}: role is neither user nor assistant", message)


def _target(message: Json) -> str:
    transfer = message.get("transfer")
    holder: Json = transfer if isinstance(transfer, dict) else message
    destination = holder.get("transfer_destination")
    typed = destination.get("value") if isinstance(destination, dict) else None
    for value in (holder.get("target_phone_number"), holder.get("target_sip_uri"), typed):
        if isinstance(value, str) and value.strip():
            return value.strip()
    raise Malformed("transfer_call: no target", message)
