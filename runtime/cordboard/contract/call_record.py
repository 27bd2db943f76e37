"""What is kept of a call: its dialogs while it lives, its ledger, its timeline, and the record of its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class DialogRecord:
    """A dialog on disk, enough to end it from another life."""

    session: str
    """Session it belongs to."""
    leg: str
    """Name of the leg."""
    dialog: Mapping[str, Any]
    """The SIP room's DialogState as JSON."""
    started_at: str = ""
    """RFC 3339."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The heard ledger of one cord, in samples of its source:
    received == sent + cleared + sum(discarded) + queued, always."""

    source: str
    """Name of the unit that speaks (`agent`, `consult`, `ringback`)."""
    sink: str
    """Name of the unit that hears."""
    rate: int
    """Samples per second of the source."""
    received: int = 0
    """Came from the source."""
    sent: int = 0
    """Left towards the sink."""
    cleared: int = 0
    """Dropped by clear."""
    discarded: Mapping[str, int] = field(default_factory=dict)
    """Dropped for another reason: unbridged, replaced, hold, dtmf, overflow, ended."""
    queued: int = 0
    """Still waiting; 0 when the call is over."""
    padded: int = 0
    """Silence added to fill the last frame of a spurt; not part of the identity."""
    turns: tuple[Mapping[str, Any], ...] = ()
    """Per agent turn: id, received, sent, cleared (samples), gaps: [place in the turn, samples] of what was dropped."""

    def balanced(self) -> bool:
        """The identity of DESIGN §5."""
        return self.received == self.sent + self.cleared + sum(self.discarded.values()) + self.queued


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing in a call's timeline."""

    at: float
    """Seconds since the session began."""
    kind: str
    """sip, event, round, command, ledger, agent, media, log, http, timer, cause."""
    what: str
    """Short text."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Details; secrets and control URLs redacted."""


@dataclass(frozen=True, slots=True)
class LegRecord:
    """One leg in the record of a call."""

    name: str
    """Its name."""
    direction: Literal["in", "out"]
    """Whence."""
    from_: str
    """Caller's number."""
    to: str
    """Number called."""
    answered: bool
    """It was answered."""
    duration: float
    """Seconds from answer to end; 0 if never answered."""
    ended_by: str
    """them, us, edge."""
    code: int = 200
    """Final SIP status."""
    call_id: str = ""
    """SIP Call-ID."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The one record of a session's end (call.ended)."""

    session: str
    """Its id."""
    scenario: str
    """Scenario that ran."""
    cause: str
    """`<object>.<what>`, DESIGN §6."""
    fault: Literal["caller", "callee", "trunk", "edge", "function", "agent", "none"]
    """Whose fault the end was."""
    started_at: str
    """RFC 3339."""
    ended_at: str
    """RFC 3339."""
    duration: float
    """Seconds."""
    from_: str = ""
    """Caller's number of the first leg."""
    to: str = ""
    """Number called of the first leg."""
    release: str = ""
    """Release of the functions."""
    legs: tuple[LegRecord, ...] = ()
    """Every leg."""
    ledger: tuple[LedgerEntry, ...] = ()
    """Every cord."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Figures measured at the wire: clear_to_silence_ms and the like."""
    recordings: tuple[str, ...] = ()
    """File names in the call's folder."""
    invocations: int = 0
    """Invocations it took."""
    erased: Mapping[str, str] = field(default_factory=dict)
    """recordings, transcripts, timelines, numbers → when it was erased from the call's folder (RFC 3339)."""
