"""Messages of the Managed Agents socket, `/v1/agents/websocket/{agent_id}` (2026-08-14): JSON text both ways.

Follows reference cartesia-protocols §2.2 (client to server) and §2.3 (server to client). Leaves out the connection's
state, which is `managed.ManagedConnection`'s, and sessions made over REST with their `config_overrides` (§2.1).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from cordboard.agents.events import (
    AgentEvent,
    Clear,
    Dtmf,
    Json,
    TextDelta,
    ToolCall,
    TurnEnded,
    TurnStarted,
    Unknown,
)
from cordboard.agents.json_messages import (
    MAX_ERROR_TEXT,
    AudioReader,
    AudioWriter,
    Malformed,
    NotJson,
    digit_of,
    error_text,
    object_of,
    outline,
    payload_of,
    role_of,
    string_of,
    turn_id,
)

MAX_VARIABLES = 64
"""Dynamic variables of one session (§2.2)."""

MAX_RESULT = 4096
"""UTF-8 bytes of a tool's result (§2.2)."""

MAX_TOOL_CALL_ID = 256
"""Characters of `tool_call_id` (§2.2)."""

MAX_PARAMETERS = 64 * 1024
"""Bytes of a tool's parameters: an event with state and objects must fit into one invocation; our choice."""

MAX_ERROR_TYPE = 256
"""UTF-8 bytes of `error_type` (§2.2)."""

RESERVED: Final = ("system__", "secret__")
"""Prefixes of variables that are the service's own (§2.2)."""

_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,64}")


class BadVariable(ValueError):
    """A key of `metadata` cannot be a dynamic variable; the text names the key, never its value."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"metadata.{key[:80]}: {why}")
        self.key = key


def audio_input() -> AudioWriter:
    """Return what forms `audio_input` messages."""
    return AudioWriter({"type": "audio_input", "audio": ""})


def audio_output() -> AudioReader:
    """Return what reads `audio_output` messages."""
    return AudioReader({"type": "audio_output", "audio": ""})


def audio_payload(message: Json) -> bytes:
    """Return the audio of a decoded `audio_output`; raise `Malformed`."""
    return payload_of(message, message, "audio", "audio")


def dynamic_variables(metadata: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return `metadata` as dynamic variables (§2.2); raise `BadVariable` for what cannot be one.

    At most 64; names of 1 to 64 ASCII letters, digits and `_`, not beginning with `system__` or `secret__`; values are
    strings, finite numbers or booleans.
    """
    variables: dict[str, str | int | float | bool] = {}
    for key, value in metadata.items():
        if _VARIABLE.fullmatch(key) is None:
            raise BadVariable(key, "a dynamic variable's name is 1 to 64 letters, digits and _")
        if key.startswith(RESERVED):
            raise BadVariable(key, f"the prefixes {' and '.join(RESERVED)} are reserved")
        if not isinstance(value, str | int | float):
            raise BadVariable(key, f"a dynamic variable is a string, number or boolean, not {type(value).__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise BadVariable(key, "a number that JSON does not have")
        if len(variables) == MAX_VARIABLES:
            raise BadVariable(key, f"one more than the {MAX_VARIABLES} dynamic variables of a session")
        variables[key] = value
    return variables


def session_create(audio: Mapping[str, str], variables: Mapping[str, object]) -> dict[str, Any]:
    """Return the first message; without variables it names none."""
    message: dict[str, Any] = {"type": "session_create", "audio": dict(audio)}
    if variables:
        message["dynamic_variables"] = dict(variables)
    return message


def tool_result(id: str, result: str, is_error: bool, error_type: str | None) -> dict[str, Any]:
    """Return `client_tool_result`; a result over 4,096 bytes becomes the error `result_too_large` (§2.2).

    Raises ValueError for an id or error type of a length that the wire forbids, and `NotJson` for a result that is not
    Unicode text.
    """
    if not 1 <= len(id) <= MAX_TOOL_CALL_ID:
        raise ValueError(f"a tool call's id has 1 to {MAX_TOOL_CALL_ID} characters")
    try:
        size = len(result.encode())
        type_size = len((error_type or "").encode())
    except UnicodeEncodeError:
        raise NotJson("client_tool_result message holds half a surrogate pair") from None
    if type_size > MAX_ERROR_TYPE:
        raise ValueError(f"error_type has {type_size} bytes, more than {MAX_ERROR_TYPE}")
    if size > MAX_RESULT:
        result = f"the result has {size} bytes, more than the {MAX_RESULT} that a tool may return"
        is_error, error_type = True, "result_too_large"
    message = {"type": "client_tool_result", "tool_call_id": id, "result": result, "is_error": is_error}
    return message if error_type is None else {**message, "error_type": error_type}


def refusal(exc: Malformed) -> dict[str, Any] | None:
    """Return the result for a tool call that cannot be understood, so that its agent does not wait for one."""
    message = exc.data
    id = message.get("tool_call_id")
    if message.get("type") != "client_tool_call" or message.get("expects_response") is False:
        return None
    if not isinstance(id, str) or not 1 <= len(id) <= MAX_TOOL_CALL_ID:
        return None
    return tool_result(id, str(exc)[:MAX_ERROR_TEXT], True, "invalid_arguments")


def error_of(message: Json) -> str:
    """Return an error's code and text, bounded."""
    code = message.get("code")
    text = error_text(message)
    return f"{code}: {text}"[:MAX_ERROR_TEXT] if isinstance(code, str) and code and text != code else text


def parse(message: dict[str, Any]) -> AgentEvent:
    """Return the event of a decoded message that is neither `session_ready`, error nor audio; raise `Malformed`."""
    name = message.get("type")
    if not isinstance(name, str):
        return Unknown("", message)
    match name:
        case "audio_output_clear":
            return Clear(message)
        case "dtmf_output":
            return Dtmf(digit_of(message, "digit"), message)
        case "client_tool_call":
            return _tool_call(message)
        case "turn_started":
            return TurnStarted(turn_id(message.get("turn")), role_of(message, message), message)
        case "turn_output_text_delta":
            return TextDelta(string_of(message, message, "text"), message)
        case "turn_ended":
            text = string_of(message, message, "text") if message.get("text") is not None else ""
            interrupted = message.get("interrupted") is True
            return TurnEnded(turn_id(message.get("turn")), role_of(message, message), text, interrupted, message)
        case _:
            return Unknown(name, message)


def _tool_call(message: dict[str, Any]) -> ToolCall:
    id, name = string_of(message, message, "tool_call_id"), string_of(message, message, "tool_name")
    if not 1 <= len(id) <= MAX_TOOL_CALL_ID or not name:
        raise Malformed("client_tool_call: tool_call_id or tool_name has a length that cannot be", message)
    parameters = {} if message.get("parameters") is None else object_of(message, "parameters")
    if (size := len(json.dumps(parameters))) > MAX_PARAMETERS:
        raise Malformed(f"client_tool_call: {size} bytes of parameters, more than {MAX_PARAMETERS}", outline(message))
    # A result that nobody expects is ignored by the service, a missing one keeps the agent waiting.
    return ToolCall(id, name, parameters, message.get("expects_response") is not False, message)
