"""What the simulated service writes and reads on its two wires, in one vocabulary: the Line wire's.

Follows reference cartesia-protocols §1 (Line) and §2 (Managed Agents); written apart from the client's side in
`agents`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal, Protocol, TypeAlias

from websockets.http11 import Request

from cordboard.contract.link import AgentOpen
from cordboard.contract.link.wire import from_line, to_line

Message: TypeAlias = dict[str, Any]
WireName: TypeAlias = Literal["line", "managed"]

VERSIONS: Final[Mapping[WireName, str]] = {"line": "2025-04-16", "managed": "2026-08-14"}
"""cartesia_version of each wire."""


class Wire(Protocol):
    """One of them."""

    name: WireName

    def admits(self, request: Request) -> bool:
        """Whether the upgrade shows a key."""

    def read(self, message: Message) -> Message:
        """A message of the edge in the Line wire's words."""

    def write(self, message: Mapping[str, Any]) -> Message:
        """A message of the Line wire as this wire says it. ValueError for what it has no words for."""


class LineWire:
    """`/agents/stream/{agent_id}`."""

    name: WireName = "line"

    def __init__(self, stream: str) -> None:
        self._stream = stream

    def admits(self, request: Request) -> bool:
        """See Wire.admits."""
        return str(request.headers.get("Authorization", "")).startswith("Bearer ")

    def read(self, message: Message) -> Message:
        """See Wire.read."""
        return message

    def write(self, message: Mapping[str, Any]) -> Message:
        """See Wire.write."""
        if message["event"] == "client_tool_call":
            raise ValueError("the Line wire has no client tools; its agents POST to the control URL")
        return {"event": message["event"], "stream_id": self._stream, **message}


class ManagedWire:
    """`/v1/agents/websocket/{agent_id}`."""

    name: WireName = "managed"

    def __init__(self) -> None:
        self._turn = 0

    def admits(self, request: Request) -> bool:
        """See Wire.admits."""
        return bool(request.headers.get("X-API-Key", ""))

    def read(self, message: Message) -> Message:
        """See Wire.read."""
        match message.get("type"):
            case "session_create":
                return {
                    "event": "start",
                    "metadata": message.get("dynamic_variables", {}),
                    "config": message.get("audio", {}),
                }
            case "audio_input":
                return {"event": "media_input", "media": {"payload": message["audio"]}}
            case "dtmf_input":
                return {"event": "dtmf", "dtmf": message["digit"]}
            case type_:
                return {"event": type_, **message}

    def write(self, message: Mapping[str, Any]) -> Message:
        """See Wire.write."""
        match message["event"]:
            case "ack":
                return {"type": "session_ready", "call_id": message["call_id"], "audio": dict(message["config"])}
            case "media_output":
                return {"type": "audio_output", "audio": message["media"]["payload"]}
            case "clear":
                return {"type": "audio_output_clear"}
            case "dtmf":
                return {"type": "dtmf_output", "digit": message["dtmf"]}
            case "turn_started":
                self._turn += 1
                return {"type": "turn_started", "turn": self._turn, "role": message["turn_started"]["role"]}
            case "turn_output_text_delta":
                text = message["turn_output_text_delta"]["text"]
                return {"type": "turn_output_text_delta", "turn": self._turn, "text": text}
            case "turn_ended":
                turn = message["turn_ended"]
                return {
                    "type": "turn_ended",
                    "turn": self._turn,
                    "role": turn["role"],
                    "text": turn["text"],
                    "interrupted": turn["was_interrupted"],
                    "tool_calls": turn["tool_calls"],
                }
            case "client_tool_call":
                return {"type": "client_tool_call", **{key: message[key] for key in message if key != "event"}}
            case event:
                raise ValueError(f"the Managed wire has no {event}; its agents call client tools")


def wire_of(request: Request, stream: str) -> Wire:
    """The wire that an upgrade asks for."""
    return ManagedWire() if request.path.startswith("/v1/agents/websocket/") else LineWire(stream)


def with_version(line: bytes, version: str) -> bytes:
    """A line of the link to a plane, an agent being opened by another version."""
    message = from_line(line)
    return to_line(replace(message, version=version)) if isinstance(message, AgentOpen) else line
