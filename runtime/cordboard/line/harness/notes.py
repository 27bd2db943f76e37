"""What a program tells of itself (reference cartesia-protocols §3.5), as it stands in its call's transcript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cordboard.line.harness.messages import Note
from cordboard.line.transcript import Transcript

MAX_NOTES: Final = 1 << 22
"""Bytes of notes that one call keeps: 140 of the largest tool results that the SDK sends (30,000 characters)."""


class Notes:
    """Of one call."""

    def __init__(self, transcript: Transcript, complain: Callable[[str], None]) -> None:
        """`complain` is told when there are too many."""
        self._transcript = transcript
        self._complain = complain
        self._left = MAX_NOTES

    def write(self, note: Note, size: int) -> None:
        """Put a tool call, a log's event or a metric of so many bytes into the transcript; too many are dropped."""
        if size > self._left:
            self._complain(f"agent: tool calls, events and metrics beyond {MAX_NOTES >> 20} MiB are not kept")
            return
        self._left -= size
        fields = note.fields
        match note.kind:
            case "tool_call":
                id = fields.get("id")
                told = id if isinstance(id, str) else None
                self._transcript.tool(fields["name"], fields.get("arguments"), fields.get("result"), told)
            case "log_event":
                metadata = fields.get("metadata")
                self._transcript.log_event(fields["event"], metadata if isinstance(metadata, dict) else None)
            case "log_metric":
                self._transcript.log_metric(fields["name"], fields.get("value"))
