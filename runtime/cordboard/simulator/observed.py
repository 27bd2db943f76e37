"""What stands outside of the engine: a session as it is seen there, and the answer to a control request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cordboard.contract.call_record import CallEnded, TimelineEntry
from cordboard.contract.transcript import TranscriptEntry


@dataclass(slots=True)
class SimulatedSession:
    """What is known of a session from outside of the engine."""

    id: str
    facts: Mapping[str, Any]
    call_id: str = ""
    """Call-ID of the INVITE that began it."""
    plane: int = 0
    control_url: str = ""
    """As its functions were told."""
    state: dict[str, Any] = field(default_factory=dict)
    """session.state after the last event."""
    timeline: list[TimelineEntry] = field(default_factory=list)
    journal: bytearray = field(default_factory=bytearray)
    """As the file of a real edge."""
    transcript: list[str] = field(default_factory=list)
    utterances: list[TranscriptEntry] = field(default_factory=list)
    ended: list[CallEnded] = field(default_factory=list)
    """Its records: one, when it is over."""
    ended_at: float = 0.0
    began: float = 0.0
    """Virtual moment."""
    life: int = 1
    """The control that began it."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a control request was answered with."""

    status: int
    body: bytes
    headers: Mapping[str, str]
