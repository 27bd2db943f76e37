"""The service's side of the Managed Agents wire, `/v1/agents/websocket/{agent_id}` (2026-08-14).

Follows reference cartesia-protocols §2; written apart from the client's side in `agents`. Translates between this wire
and the Line wire's messages, in which a call speaks inside (§2.4). What §2 says is rejected, is rejected. Leaves out
the end after 240 s without conversation, which one
observer reports (§2.3).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from cordboard.line.script import Agent
from cordboard.line.speech import FORMATS
from cordboard.line.tool import ClientToolResult
from cordboard.line.wire import Message, Start, ToolAnswer, WireFault

MAX_VARIABLES = 64
"""Dynamic variables of a session (§2.2)."""

MAX_RESULT = 4096
"""Bytes of a tool's result; a larger one becomes an error result (§2.2)."""

MAX_ID = 256
"""Characters of `tool_call_id`, and bytes of `error_type` (§2.2)."""

_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,64}")
_RESERVED = ("system__", "secret__")
_CREATE_FIELDS = {"type", "audio", "dynamic_variables"}
_AUDIO_FIELDS = {"input_format", "output_delivery"}
_LINE_ERROR_FIELDS = {"status_code", "error_code", "title"}


class ManagedWire:
    """The Managed socket of one call."""

    name: Final = "managed"
    idle_seconds: Final = 120.0  # without a valid event of the client (§2.3)
    pings_count: Final = False

    def __init__(
        self,
        agent: Agent,
        *,
        by_token: bool = False,
        variables: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`by_token`: the client showed a browser's token, not an API key; `variables` are those of the token's
        session. `clock` gives seconds."""
        self._of_session = dict(variables or {})
        self.start_seconds: float | None = agent.start_seconds
        self._agent = agent
        self._by_token = by_token
        self._clock = clock
        self._began = clock()
        self._delivery: str = agent.delivery
        self._turns: dict[str, tuple[int, float]] = {}
        self._count = 0
        self._speaking = 0
        self._tool_calls: list[dict[str, Any]] = []

    # From the client

    def parse_start(self, message: Message) -> Start:
        """Check `session_create` (§2.2); raise `WireFault`."""
        if message.get("type") != "session_create":
            raise WireFault("the first message must be session_create")
        _only(message, _CREATE_FIELDS, "session_create")
        audio = message.get("audio")
        if not isinstance(audio, dict):
            raise WireFault("session_create: audio is not an object")
        _only(audio, _AUDIO_FIELDS, "session_create: audio")
        input_format, delivery = audio.get("input_format"), audio.get("output_delivery", "")
        if not isinstance(input_format, str) or input_format not in FORMATS:
            raise WireFault(f"session_create: audio.input_format is not one of {', '.join(FORMATS)}")
        if delivery not in ("", "speaking_pace", "as_available"):
            raise WireFault("session_create: audio.output_delivery is neither speaking_pace nor as_available")
        self._delivery = delivery or self._agent.delivery
        if self._delivery == "as_available" and self._agent.background_sound:
            raise WireFault("session_create: as_available is not available with background sound")
        variables = self._variables(message)
        return Start("", input_format, self._delivery, dict(audio), {}, None, variables)

    def _variables(self, message: Message) -> dict[str, Any]:
        variables = message.get("dynamic_variables", {})
        if not isinstance(variables, dict):
            raise WireFault("dynamic_variables is not an object", "invalid_dynamic_variables")
        if variables and self._by_token:
            raise WireFault("a browser's token cannot set dynamic variables", "dynamic_variables_not_allowed")
        check_variables(variables)
        variables = {**self._of_session, **variables}
        if missing := [name for name in self._agent.variables if name not in variables]:
            raise WireFault(f"missing: {', '.join(missing)}", "missing_dynamic_variables")
        return variables

    def incoming(self, message: dict[str, Any]) -> dict[str, Any] | ToolAnswer:
        """Return a later message in the Line wire's form; raise `WireFault`."""
        match message.get("type"):
            case "audio_input":
                return {"event": "media_input", "media": {"payload": _base64(message)}}
            case "dtmf_input":
                digit = message.get("digit")
                if not isinstance(digit, str) or re.fullmatch("[0-9*#]", digit) is None:
                    raise WireFault("dtmf_input: digit must be one of 0-9, * and #")
                return {"event": "dtmf", "dtmf": digit}
            case "client_tool_result":
                return _tool_answer(message)
            case "session_create":
                raise WireFault("session_create: the session exists")
            case name:
                raise WireFault(f"event {str(name)[:40]!r} is unknown")

    # To the client

    def outgoing(self, message: Message) -> Message | None:
        """Return a message of the Line wire's form in this wire's; None for `custom` and `transfer_call` (§2.4)."""
        if message.get("type") in ("error", "client_tool_call"):
            return self._error(message) if message["type"] == "error" else message
        match message.get("event"):
            case "ack":
                return self._ready(message)
            case "media_output":
                return {"type": "audio_output", "audio": message["media"]["payload"]}
            case "clear":
                return {"type": "audio_output_clear"}
            case "dtmf":
                return {"type": "dtmf_output", "digit": message["dtmf"]}
            case "turn_started":
                return self._turn_started(message["turn_started"])
            case "turn_output_text_delta":
                text = message["turn_output_text_delta"]["text"]
                return {"type": "turn_output_text_delta", "turn": self._speaking, "role": "assistant", "text": text}
            case "turn_ended":
                return self._turn_ended(message["turn_ended"])
        return None

    def tool_call(self, id: str, name: str, arguments: Message, expects_response: bool) -> Message:
        """Return `client_tool_call`."""
        call = {"type": "client_tool_call", "tool_call_id": id, "tool_name": name, "parameters": dict(arguments)}
        return {**call, "expects_response": expects_response}

    def tool_finished(self, result: ClientToolResult) -> None:
        """Remember a tool's result for the agent's next `turn_ended`."""
        call = {"name": result.name, "arguments": dict(result.arguments), "result": result.result, "id": result.id}
        self._tool_calls.append({**call, "dynamic_variable_updates": []})

    def error(self, text: str, code: str, *, fatal: bool) -> Message:
        """Return `error`; after a fatal one the call closes with 1008."""
        return {"type": "error", "code": code, "message": text, "fatal": fatal}

    def encode(self, message: Message, stream_id: str) -> str:
        """Return compact JSON; this wire has no stream ids."""
        return json.dumps(message, separators=(",", ":"))

    def _ready(self, ack: Message) -> Message:
        self._began = self._clock()
        audio = {"input_format": ack["config"]["input_format"], "output_delivery": self._delivery}
        ids = {"call_id": ack["call_id"], "agent_id": self._agent.name, "agent_version_id": "agv_script"}
        return {"type": "session_ready", **ids, "audio": audio}

    def _error(self, message: Message) -> Message:
        told = {key: value for key, value in message.items() if key not in _LINE_ERROR_FIELDS}
        return {"type": "error", "code": "agent_failed", "fatal": False, **told}

    def _time(self) -> float:
        return round(self._clock() - self._began, 3)

    def _turn_started(self, turn: Mapping[str, Any]) -> Message:
        self._count += 1
        self._turns[turn["id"]] = (self._count, self._time())
        if turn["role"] == "assistant":
            self._speaking = self._count
        number, start_time = self._turns[turn["id"]]
        return {"type": "turn_started", "turn": number, "role": turn["role"], "start_time": start_time}

    def _turn_ended(self, turn: Mapping[str, Any]) -> Message:
        if turn["id"] not in self._turns:
            self._turn_started(turn)
        number, start_time = self._turns.pop(turn["id"])
        tool_calls: list[dict[str, Any]] = []
        if turn["role"] == "assistant":
            tool_calls, self._tool_calls = self._tool_calls, []
        return {
            "type": "turn_ended",
            "turn": number,
            "role": turn["role"],
            "text": turn["text"],
            "interrupted": turn["was_interrupted"],
            "start_time": start_time,
            "end_time": self._time(),
            "tool_calls": tool_calls,
        }


def check_variables(variables: Mapping[str, Any]) -> None:
    """Check a session's dynamic variables (§2.2); raise `WireFault`."""
    if len(variables) > MAX_VARIABLES:
        raise WireFault(f"more than {MAX_VARIABLES} dynamic variables", "invalid_dynamic_variables")
    for name, value in variables.items():
        if _VARIABLE.fullmatch(name) is None or name.startswith(_RESERVED):
            raise WireFault(f"dynamic variable {name[:80]!r}: the name is not allowed", "invalid_dynamic_variables")
        if not isinstance(value, str | int | float):
            raise WireFault(
                f"dynamic variable {name!r}: neither string, number nor boolean", "invalid_dynamic_variables"
            )


def _only(message: Message, known: set[str], where: str) -> None:
    unknown = sorted(message.keys() - known)
    if unknown:
        raise WireFault(f"{where}: unknown field {unknown[0][:80]!r}")


def _base64(message: Message) -> str:
    audio = message.get("audio")
    if not isinstance(audio, str):
        raise WireFault("audio_input: audio is not a string")
    try:
        base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise WireFault("audio_input: audio is not base64") from None
    return audio


def _tool_answer(message: Message) -> ToolAnswer:
    id, result = message.get("tool_call_id"), message.get("result")
    is_error, error_type = message.get("is_error", False), message.get("error_type", "")
    if not isinstance(id, str) or not 1 <= len(id) <= MAX_ID:
        raise WireFault(f"client_tool_result: tool_call_id is not a string of 1 to {MAX_ID} characters")
    if not isinstance(result, str):
        raise WireFault("client_tool_result: result is not a string")
    if not isinstance(is_error, bool):
        raise WireFault("client_tool_result: is_error is not a boolean")
    if not isinstance(error_type, str) or len(error_type.encode("utf-8", "replace")) > MAX_ID:
        raise WireFault(f"client_tool_result: error_type is not a string of at most {MAX_ID} bytes")
    if len(result.encode("utf-8", "replace")) > MAX_RESULT:
        return ToolAnswer(id, f"the result is larger than {MAX_RESULT} bytes", True, "result_too_large")
    return ToolAnswer(id, result, is_error, error_type)
