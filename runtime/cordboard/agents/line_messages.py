"""Messages of the Line socket, `/agents/stream/{agent_id}` (2025-04-16): JSON text both ways.

Follows reference cartesia-protocols §1.2 (client to server) and §1.3 (server to client), with §7 row 15 for where a
transfer's target may stand. Leaves out the connection's state, which is `line.LineConnection`'s.
"""

from __future__ import annotations

from typing import Any

from cordboard.agents.events import (
    AgentEvent,
    Clear,
    Custom,
    Dtmf,
    Json,
    TextDelta,
    Transfer,
    TurnEnded,
    TurnStarted,
    Unknown,
)
from cordboard.agents.json_messages import (
    AudioReader,
    AudioWriter,
    Malformed,
    NotJson,
    digit_of,
    object_of,
    payload_of,
    role_of,
    string_of,
    turn_id,
)

__all__ = ["NotJson", "is_error", "media_input", "media_output", "media_payload", "parse"]


def media_input(stream_id: str) -> AudioWriter:
    """Return what forms `media_input` messages (§1.2.2) for one stream."""
    stream = {"stream_id": stream_id} if stream_id else {}
    return AudioWriter({"event": "media_input", **stream, "media": {"payload": ""}})


def media_output(stream_id: str) -> AudioReader:
    """Return what reads `media_output` messages (§1.3) of one stream."""
    return AudioReader({"event": "media_output", "stream_id": stream_id, "media": {"payload": ""}})


def media_payload(message: Json) -> bytes:
    """Return the audio of a decoded `media_output`; raise `Malformed`."""
    return payload_of(message, object_of(message, "media"), "payload", "media.payload")


def is_error(message: Json) -> bool:
    """Both spellings of an error (§1.3, §7 row 7)."""
    return message.get("event") == "error" or message.get("type") == "error"


def parse(message: dict[str, Any]) -> AgentEvent:
    """Return the event of a decoded message that is neither `ack`, error nor audio; raise `Malformed`."""
    name = message.get("event")
    if not isinstance(name, str):
        return Unknown("", message)
    match name:
        case "clear":
            return Clear(message)
        case "dtmf":
            return Dtmf(digit_of(message, "dtmf"), message)
        case "custom":
            return Custom(object_of(message, "metadata"), message)
        case "transfer_call":
            return Transfer(_target(message), message)
        case "turn_started":
            turn = object_of(message, "turn_started")
            return TurnStarted(turn_id(turn.get("id")), role_of(message, turn), message)
        case "turn_output_text_delta":
            turn = object_of(message, "turn_output_text_delta")
            return TextDelta(string_of(message, turn, "text"), message)
        case "turn_ended":
            turn = object_of(message, "turn_ended")
            text = string_of(message, turn, "text") if turn.get("text") is not None else ""
            interrupted = turn.get("was_interrupted") is True
            return TurnEnded(turn_id(turn.get("id")), role_of(message, turn), text, interrupted, message)
        case _:
            return Unknown(name, message)


def _target(message: Json) -> str:
    transfer = message.get("transfer")
    holder: Json = transfer if isinstance(transfer, dict) else message
    destination = holder.get("transfer_destination")
    typed = destination.get("value") if isinstance(destination, dict) else None
    for value in (holder.get("target_phone_number"), holder.get("target_sip_uri"), typed):
        if isinstance(value, str) and value.strip():
            return value.strip()
    raise Malformed("transfer_call: no target", message)
