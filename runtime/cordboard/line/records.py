"""What the stand-in remembers of each call, for tests and for the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from cordboard.line.recording import Recording
from cordboard.line.tool import ClientToolResult, ToolResult
from cordboard.line.transcript import Entry, Transcript

MAX_CALLS = 20
"""Calls remembered by a server; it may run for weeks."""

MAX_MESSAGES = 10_000
"""Messages remembered per call: about two minutes both ways at 20 and 40 ms; the oldest go first."""

MAX_AGENT_MESSAGES = 2000
"""Messages to and from an agent program remembered per call: ten minutes of words and turns."""

MAX_AUDIO = 1 << 20
"""Bytes of a caller's audio remembered per call: two minutes of µ-law; what comes later is only counted."""

MAX_LINES = 1000
"""Lines of log remembered per call; the oldest go first."""

EndReason = Literal["agent_hangup", "client_hangup", "api_cancelled", "inactivity", "client_disconnected", "error"]
"""Why a call ended (reference cartesia-protocols §4.5); `error` is a failed call. The stand-in dials nobody itself and
has no longest call: `platform` alone adds `dial_failed` and `dial_no_answer`."""

log = logging.getLogger("cordboard.line")


class CallObserver(Protocol):
    """Hears what becomes of calls. None of its methods waits or raises."""

    def claim_call(self, agent_id: str, call_id: object) -> bool:
        """Whether a first message's `agent_call_id` is that of a call that waits for its socket."""

    def call_started(self, record: CallRecord) -> None:
        """A first message was taken, or was wrong: then the end follows at once."""

    def call_turn(self, record: CallRecord, at: int, entry: Entry) -> None:
        """The transcript's entry `at` is complete, or has changed since."""

    def call_ended(self, record: CallRecord) -> None:
        """The call is over; only after `call_started`."""


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
    """What the client or the agent did against the documents, and what nothing came of; each once."""
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
    observer: CallObserver | None = None
    """Who hears of it."""
    cancel: Callable[[], Awaitable[None]] | None = None
    """Ends it for a third party."""
    begun_at: float | None = None
    """Wall clock of the call's start, seconds since 1970."""
    ended_at: float | None = None
    """Wall clock of its end."""
    end_reason: EndReason | None = None
    """Why it ended; known before the socket closes."""
    end_detail: str = ""
    """What went wrong, or the agent's own reason to hang up."""
    transcript: Transcript = field(init=False)
    """What was said."""
    recording: Recording | None = None
    """Its sound, where it is kept."""
    lines: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    """What was logged about it, with the wall clock."""
    _start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.transcript = Transcript(self.seconds, self._tell_turn)

    def seconds(self) -> float:
        """Seconds since the call's start."""
        return time.monotonic() - self._start

    def begin(self) -> None:
        """The call starts now."""
        self._start = time.monotonic()
        self.begun_at = time.time()
        if self.observer is not None:
            self.observer.call_started(self)

    def end(self, reason: EndReason, detail: str = "") -> None:
        """Remember why the call ends; the first reason stays."""
        if self.end_reason is None:
            self.end_reason, self.end_detail = reason, detail

    def close(self, code: int | None, reason: str) -> None:
        """The socket is gone."""
        self.close_code, self.close_reason = code, reason
        self.say("closed: %s %r", code, reason)
        self.transcript.close()
        self.ended_at = time.time()
        if self.recording is not None:
            self.recording.close()
        if self.begun_at is not None and self.observer is not None:
            self.observer.call_ended(self)
        self.finished.set()

    def _tell_turn(self, at: int, entry: Entry) -> None:
        if self.begun_at is not None and self.observer is not None:
            self.observer.call_turn(self, at, entry)

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
        line = text % values if values else text
        self.lines.append((time.time(), line))
        log.info("call %s [%s] %s", self.number, self.agent_id, line)

    def events(self, direction: Literal["in", "out"]) -> list[str]:
        """Names of the messages of one direction, in order."""
        return [
            str(item.message.get("event", item.message.get("type")))
            for item in self.messages
            if item.direction == direction
        ]
