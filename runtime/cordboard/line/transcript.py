"""A call's transcript: who said what and when, tools, logged events and metrics (reference cartesia-protocols §4.5).

Seconds count from the call's start. The agent's text is what was spoken, word by word, never what was planned. A tool's
two messages, before and after, carry no id: they are paired by name, arguments and order (§0.1.5). Tools stand with
the agent's turn in which they ran, or the next one. Leaves out what a model would make of it all: summary, analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

MAX_ENTRIES: Final = 2000
"""Entries of one call: hours of short turns. What comes later is counted, not kept."""

MAX_CHUNKS: Final = 5000
"""Words of one turn with a time of their own: half an hour of speech."""

MAX_TOOL_CALLS: Final = 100
"""Tool calls of one turn."""

Role = Literal["user", "assistant", "system"]


@dataclass(slots=True)
class Entry:
    """One turn, or one thing that the agent logged."""

    role: Role
    """`system` for what was logged."""
    start: float
    """Seconds."""
    text: str = ""
    """What was said."""
    chunks: list[tuple[str, float]] = field(default_factory=list)
    """Words of the agent, and when each began."""
    end: float | None = None
    """Seconds; None while it lasts."""
    end_reason: str | None = None
    """Why it ended: `tts_completed`, `interrupted`, or `call_ended`."""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    """`{id, name, arguments, result?}`."""
    vad_buffer_ms: float | None = None
    """Silence that was waited for before the caller's turn was over."""
    stt_ttfb: float | None = None
    """Seconds from there to the turn's text."""
    tts_ttfb: float | None = None
    """Seconds from the text to the first sound of it."""
    log_event: dict[str, Any] | None = None
    """`{event, metadata, timestamp}`."""
    log_metric: dict[str, Any] | None = None
    """`{name, value, timestamp}`."""

    def as_json(self) -> dict[str, Any]:
        """The entry as Cartesia's API has it; what there is not is left out."""
        told: dict[str, Any] = {"role": self.role, "text": self.text, "start_timestamp": _round(self.start)}
        if self.end is not None:
            told["end_timestamp"] = _round(self.end)
        if self.chunks:
            told["text_chunks"] = [{"text": text, "start_timestamp": _round(at)} for text, at in self.chunks]
        if self.tool_calls:
            told["tool_calls"] = [dict(call) for call in self.tool_calls]
        for name in ("end_reason", "vad_buffer_ms", "log_event", "log_metric"):
            if (value := getattr(self, name)) is not None:
                told[name] = value
        for name in ("stt_ttfb", "tts_ttfb"):
            if (seconds := getattr(self, name)) is not None:
                told[name] = _round(seconds)
        return told


class Transcript:
    """Grows with the call; `on_entry` hears of each entry when it is complete, and again when a tool's late result
    changes it."""

    def __init__(self, clock: Callable[[], float], on_entry: Callable[[int, Entry], None] | None = None) -> None:
        """`clock` gives seconds since the call's start; `on_entry` takes an entry and its place, from 0."""
        self._clock = clock
        self._on_entry = on_entry
        self._agent: int | None = None
        self._user: int | None = None
        self._tools: list[dict[str, Any]] = []
        self._ttfb: float | None = None
        self.entries: list[Entry] = []
        self.lost = 0
        """Entries over `MAX_ENTRIES`."""

    def as_json(self) -> list[dict[str, Any]]:
        """All entries, also those that are not over."""
        return [entry.as_json() for entry in self.entries]

    # The agent

    def synthesized(self, seconds: float) -> None:
        """The agent's next words became sound in so many seconds; the first of a turn count."""
        if self._ttfb is None:
            self._ttfb = seconds

    def speech_started(self) -> None:
        """The agent begins to be heard."""
        entry = Entry("assistant", self._clock(), tts_ttfb=self._ttfb, tool_calls=self._tools)
        self._ttfb, self._tools = None, []
        self._agent = self._add(entry)

    def word(self, word: str, ahead: float = 0.0) -> None:
        """A word of the agent is heard, in `ahead` seconds."""
        if self._agent is None or not word:
            return
        entry = self.entries[self._agent]
        entry.text = f"{entry.text} {word}" if entry.text else word
        if len(entry.chunks) < MAX_CHUNKS:
            entry.chunks.append((word, self._clock() + ahead))

    def speech_ended(self, *, interrupted: bool, ahead: float = 0.0) -> None:
        """The agent is no longer heard; with `ahead` the call ends so many seconds before that."""
        self._ttfb = None
        self._end_agent("interrupted" if interrupted else "call_ended" if ahead else "tts_completed", ahead)

    def _end_agent(self, reason: str, ahead: float = 0.0) -> None:
        at, self._agent = self._agent, None
        if at is not None:
            self.entries[at].end, self.entries[at].end_reason = self._clock() + ahead, reason
            self._tell(at)

    # The caller

    def user_started(self) -> None:
        """The caller begins to speak, or to dial."""
        if self._user is None:
            self._user = self._add(Entry("user", self._clock()))
        else:
            self.entries[self._user].end = None

    def user_silent(self, waited: float) -> None:
        """The caller fell silent `waited` seconds ago, 0 for not known; the turn goes on if they speak again."""
        if self._user is not None:
            entry = self.entries[self._user]
            entry.end = max(entry.start, self._clock() - waited)
            entry.vad_buffer_ms = round(1000 * waited) or None

    def user_text(self, text: str, stt_ttfb: float) -> None:
        """What the caller said was understood, `stt_ttfb` seconds after they were known to be silent."""
        if self._user is not None and text:
            entry = self.entries[self._user]
            entry.text = f"{entry.text} {text}".strip()
            entry.stt_ttfb = stt_ttfb

    def user_ended(self) -> None:
        """The caller's turn is over."""
        at, self._user = self._user, None
        if at is not None:
            if self.entries[at].end is None:
                self.entries[at].end = self._clock()
            self._tell(at)

    # What the agent did

    def tool(self, name: str, arguments: object, result: object = None, id: str | None = None) -> None:
        """A tool is called, or, with a result, has returned."""
        if result is not None:
            for at, call in self._open_tools():
                same = call["id"] == id if id is not None else (call["name"], call["arguments"]) == (name, arguments)
                if same and "result" not in call:
                    call["result"] = result
                    if at is not None and self.entries[at].end is not None:
                        self._tell(at)
                    return
        call = {"id": id, "name": name, "arguments": arguments}
        if result is not None:
            call["result"] = result
        tools = self._tools if self._agent is None else self.entries[self._agent].tool_calls
        if len(tools) < MAX_TOOL_CALLS:
            tools.append(call)

    def _open_tools(self) -> list[tuple[int | None, dict[str, Any]]]:
        """Calls of tools, the oldest first, with the place of their entry."""
        told = [(at, call) for at, entry in enumerate(self.entries) for call in entry.tool_calls]
        return [*told, *((None, call) for call in self._tools)]

    def log_event(self, event: str, metadata: Mapping[str, Any] | None) -> None:
        """The agent logs an event."""
        now = self._clock()
        told = {"event": event, "metadata": dict(metadata or {}), "timestamp": _round(now)}
        self._log(Entry("system", now, end=now, log_event=told))

    def log_metric(self, name: str, value: object) -> None:
        """The agent logs a figure, or any other value."""
        now = self._clock()
        self._log(Entry("system", now, end=now, log_metric={"name": name, "value": value, "timestamp": _round(now)}))

    def _log(self, entry: Entry) -> None:
        at = self._add(entry)
        if at is not None:
            self._tell(at)

    def close(self) -> None:
        """The call is over: nothing stays open."""
        if self._tools:  # of a turn that never came
            if self._agent is None:
                self.speech_started()
            else:
                self.entries[self._agent].tool_calls += self._tools
                self._tools = []
        self._end_agent("call_ended")
        if self._user is not None:
            self.entries[self._user].end_reason = "call_ended"
            self.user_ended()

    def _add(self, entry: Entry) -> int | None:
        if len(self.entries) >= MAX_ENTRIES:
            self.lost += 1
            return None
        self.entries.append(entry)
        return len(self.entries) - 1

    def _tell(self, at: int) -> None:
        if self._on_entry is not None:
            self._on_entry(at, self.entries[at])


def _round(seconds: float) -> float:
    return round(seconds, 3)
