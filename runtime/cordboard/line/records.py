"""What the stand-in remembers of each call, for tests and for the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from cordboard.line.tool import ClientToolResult, ToolResult

MAX_CALLS = 20
"""Calls remembered by a server; it may run for weeks."""

MAX_MESSAGES = 10_000
"""Messages remembered per call: about two minutes both ways at 20 and 40 ms; the oldest go first."""

MAX_AGENT_MESSAGES = 2000
"""Messages to and from an agent program remembered per call: ten minutes of words and turns."""

MAX_AUDIO = 1 << 20
"""Bytes of a caller's audio remembered per call: two minutes of µ-law; what comes later is only counted."""

log = logging.getLogger("cordboard.line")


class Logged(NamedTuple):
    """One message on the wire."""

    at: float
    """Monotonic seconds."""
    direction: Literal["in", "out"]
    """Seen from the service."""
    message: Mapping[str, Any]
    """The message; of audio, the number of bytes stands in place of the payload."""


@dataclass(slots=True)
class CallRecord:
    """One call: one socket."""

    number: int
    """Count of the server's calls, from 1."""
    agent_id: str
    """Agent called."""
    wire: str = "line"
    """`line` or `managed`."""
    call_id: str = ""
    """`ac_…`, made at `start`."""
    stream_id: str = ""
    """The client's, or `sid_…`."""
    input_format: str = ""
    """Format of both directions."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """`metadata` of `start`, or the dynamic variables."""
    messages: deque[Logged] = field(default_factory=lambda: deque(maxlen=MAX_MESSAGES))
    """All messages both ways."""
    tool_results: list[ToolResult] = field(default_factory=list)
    """Answers to the agent's tools, in order."""
    client_tool_results: list[ClientToolResult] = field(default_factory=list)
    """Answers of the client to the agent's client tools, in order."""
    warnings: list[str] = field(default_factory=list)
    """What the client did against the documents; each fault once."""
    agent_messages: deque[Logged] = field(default_factory=lambda: deque(maxlen=MAX_AGENT_MESSAGES))
    """Messages of the call's agent program ("in") and to it ("out"), when it has one."""
    agent_config: dict[str, Any] = field(default_factory=dict)
    """Voice and language as the program set them last, such as `tts.voice_id`."""
    audio_in: bytearray = field(default_factory=bytearray)
    """The caller's audio."""
    audio_in_bytes: int = 0
    """Its length, what is no longer kept included."""
    close_code: int | None = None
    """Code of the end; None while the call lasts."""
    close_reason: str = ""
    """Its reason."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the socket is gone."""

    def note(self, direction: Literal["in", "out"], message: Mapping[str, Any], audio_bytes: int | None = None) -> None:
        """Remember a message; `audio_bytes` replaces its payload."""
        name = {key: message[key] for key in ("event", "type") if key in message}
        kept = message if audio_bytes is None else {**name, "bytes": audio_bytes}
        self.messages.append(Logged(time.monotonic(), direction, kept))

    def hear(self, payload: bytes) -> None:
        """Remember the caller's audio."""
        self.audio_in_bytes += len(payload)
        self.audio_in += payload[: MAX_AUDIO - len(self.audio_in)]

    def warn(self, text: str) -> None:
        """Remember and log a fault of the client once, and a hundred different ones at most."""
        if text not in self.warnings and len(self.warnings) < 100:
            self.warnings.append(text)
            self.say("warning: %s", text)

    def say(self, text: str, *values: object) -> None:
        """Log one line about this call."""
        log.info(f"call {self.number} [{self.agent_id}] {text}", *values)

    def events(self, direction: Literal["in", "out"]) -> list[str]:
        """Names of the messages of one direction, in order."""
        return [
            str(item.message.get("event", item.message.get("type")))
            for item in self.messages
            if item.direction == direction
        ]
