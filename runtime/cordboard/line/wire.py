"""The service's side of the Line wire: what it reads from a client and how it forms what it sends.

Follows reference cartesia-protocols §1.2, §1.3 and §7; written apart from the client's side in `agents`, so that each
is a check on the other. A message that the documents do not allow raises `WireFault`.

Inside the stand-in every call speaks in this wire's messages; `LineWire` passes them on, `wire_managed.ManagedWire`
translates them at the socket.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cordboard.line.json_values import read
from cordboard.line.speech import FORMATS
from cordboard.line.tool import ClientToolResult

Message = Mapping[str, Any]

MAX_STREAM_ID = 256
"""Characters of a client's `stream_id`, which every message repeats; ids seen have about 30."""


class WireFault(ValueError):
    """The client sent something that the documents do not allow; `code` names the kind for the client."""

    def __init__(self, text: str, code: str = "invalid_event") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Start:
    """The first message of a call, checked."""

    stream_id: str
    """The client's own id; empty when it gave none."""
    input_format: str
    """A name of `speech.FORMATS`."""
    delivery: str
    """`speaking_pace`, `as_available`, or empty for the agent's."""
    config: Message
    """As received."""
    agent: Message
    """As received."""
    introduction: str | None
    """Replaces the greeting; empty: the agent waits for the caller; None: not given."""
    metadata: Message
    """As received, `to` and `from` filled in as the service does."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The client's answer to a client tool."""

    id: str
    """Which call of a tool it answers."""
    result: str
    """What the agent reads."""
    is_error: bool
    """The tool failed."""
    error_type: str
    """How; empty when not given."""


class Wire(Protocol):
    """One of the service's sockets, for one call."""

    @property
    def name(self) -> str:
        """For the log and the call's record."""

    @property
    def idle_seconds(self) -> float:
        """Seconds without a message of the client until the service closes."""

    @property
    def pings_count(self) -> bool:
        """Whether a ping counts as a message."""

    @property
    def start_seconds(self) -> float | None:
        """Seconds for the first message; None: no limit is documented."""

    def parse_start(self, message: Message) -> Start:
        """Check a first message; raise `WireFault`."""

    def incoming(self, message: dict[str, Any]) -> dict[str, Any] | ToolAnswer:
        """Return a later message of the client in the Line wire's form; raise `WireFault`."""

    def outgoing(self, message: Message) -> Message | None:
        """Return a message of the Line wire's form in this wire's; None when this wire has nothing like it."""

    def tool_call(self, id: str, name: str, arguments: Message, expects_response: bool) -> Message:
        """Return what calls a client tool."""

    def tool_finished(self, result: ClientToolResult) -> None:
        """Take note of what became of a client tool."""

    def error(self, text: str, code: str, *, fatal: bool) -> Message:
        """Return what tells the client of a fault."""

    def encode(self, message: Message, stream_id: str) -> str:
        """Return the text of a message of this wire's form."""


class LineWire:
    """The Line socket (§1): messages go as they are."""

    name: Final = "line"
    idle_seconds: Final = 180.0  # §1.6
    pings_count: Final = True  # §1.2.5
    start_seconds: Final = None

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id

    def parse_start(self, message: Message) -> Start:
        return parse_start(message, self._agent_id)

    def incoming(self, message: dict[str, Any]) -> dict[str, Any]:
        return message

    def outgoing(self, message: Message) -> Message:
        return message

    def tool_call(self, id: str, name: str, arguments: Message, expects_response: bool) -> Message:
        """A `custom` message: this wire has no client tools, and this is what handlers answer in their place."""
        return {"event": "custom", "metadata": {"tool": name, "arguments": dict(arguments), "id": id}}

    def tool_finished(self, result: ClientToolResult) -> None:
        """The service knows nothing of tools that are `custom` messages."""

    def error(self, text: str, code: str, *, fatal: bool) -> Message:
        return error(text, code)

    def encode(self, message: Message, stream_id: str) -> str:
        return encode(message, stream_id)


def decode(data: str | bytes, complain: Callable[[str], None] = lambda flaw: None) -> dict[str, Any]:
    """Return the JSON object of a message; raise `WireFault`. `complain` is as in `json_values.read`."""
    if isinstance(data, bytes):
        raise WireFault("binary message; this wire has only text")
    try:
        message = read(data, complain)
    except ValueError:
        raise WireFault("message is not JSON") from None
    if not isinstance(message, dict):
        raise WireFault("message is not a JSON object")
    return message


def parse_start(message: Message, agent_id: str) -> Start:
    """Check a first message (§1.2.1); raise `WireFault`."""
    if message.get("event") != "start":
        raise WireFault("the first message must be start")
    config = _object(message, "config")
    agent = _object(message, "agent")
    stream_id = message.get("stream_id")
    if stream_id is None:
        stream_id = ""
    input_format = config.get("input_format", "mulaw_8000")
    delivery = config.get("output_audio_delivery", "")
    introduction = agent.get("introduction")
    if not isinstance(stream_id, str) or len(stream_id) > MAX_STREAM_ID:
        raise WireFault(f"start: stream_id is not a string of at most {MAX_STREAM_ID} characters")
    if not isinstance(input_format, str) or input_format not in FORMATS:
        raise WireFault(f"start: input_format is not one of {', '.join(FORMATS)}")
    if delivery not in ("", "speaking_pace", "as_available"):
        raise WireFault("start: output_audio_delivery is neither speaking_pace nor as_available")
    if introduction is not None and not isinstance(introduction, str):
        raise WireFault("start: agent.introduction is not a string")
    metadata = {"to": agent_id, "from": "websocket", **_object(message, "metadata")}
    return Start(stream_id, input_format, delivery, config, agent, introduction, metadata)


def media_payload(message: Message) -> bytes:
    """Return the audio of a `media_input`; raise `WireFault`."""
    payload = _object(message, "media").get("payload")
    if not isinstance(payload, str):
        raise WireFault("media_input: media.payload is not a string")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise WireFault("media_input: media.payload is not base64") from None


def dtmf_digit(message: Message) -> str:
    """Return the digit of a `dtmf`; raise `WireFault`."""
    digit = message.get("dtmf")
    if not isinstance(digit, str) or len(digit) != 1 or digit not in "0123456789*#":
        raise WireFault("dtmf: must be one of 0-9, * and #")
    return digit


def custom_metadata(message: Message) -> Message:
    """Return the object of a `custom`; raise `WireFault`."""
    if "metadata" not in message:
        raise WireFault("custom: metadata is missing")
    return _object(message, "metadata")


def ack(start: Start, stream_id: str, call_id: str) -> Message:
    """The answer to `start`."""
    config = {**start.config, "input_format": start.input_format}
    return {"event": "ack", "stream_id": stream_id, "config": config, "agent": dict(start.agent), "call_id": call_id}


def media_output(payload: bytes) -> Message:
    """Audio of the agent."""
    return {"event": "media_output", "media": {"payload": base64.b64encode(payload).decode("ascii")}}


def turn_started(turn_id: str, role: str) -> Message:
    """A turn begins."""
    return {"event": "turn_started", "turn_started": {"id": turn_id, "role": role}}


def text_delta(text: str) -> Message:
    """A piece of what the agent says."""
    return {"event": "turn_output_text_delta", "turn_output_text_delta": {"text": text}}


def turn_ended(turn_id: str, role: str, text: str, *, interrupted: bool) -> Message:
    """A turn is over."""
    turn = {"id": turn_id, "role": role, "text": text, "was_interrupted": interrupted, "tool_calls": []}
    return {"event": "turn_ended", "turn_ended": turn}


def error(text: str, error_code: str = "invalid_event", status_code: int = 400) -> Message:
    """The generic error object of the service's API."""
    title = "Invalid message" if status_code == 400 else "Error"
    return {"type": "error", "status_code": status_code, "error_code": error_code, "title": title, "message": text}


def encode(message: Message, stream_id: str) -> str:
    """Return the message as JSON, `stream_id` in second place; an error carries none."""
    if "event" not in message or not stream_id:
        return json.dumps(message, separators=(",", ":"))
    rest = {key: value for key, value in message.items() if key not in ("event", "stream_id")}
    return json.dumps({"event": message["event"], "stream_id": stream_id, **rest}, separators=(",", ":"))


def tool_answer(metadata: Message) -> ToolAnswer | None:
    """Return the answer to a client tool in the object of a `custom`, or None when it is none."""
    id = metadata.get("id")
    if not isinstance(id, str) or "tool" not in metadata:
        return None
    failed = metadata.get("error") is not None
    result = metadata.get("error" if failed else "result")
    kind = metadata.get("error_type")
    text = result if isinstance(result, str) else json.dumps(result)
    return ToolAnswer(id, text, failed, kind if isinstance(kind, str) else "")


def _object(message: Message, key: str) -> dict[str, Any]:
    value = message.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WireFault(f"{message.get('event')}: {key} is not an object")
    return value
