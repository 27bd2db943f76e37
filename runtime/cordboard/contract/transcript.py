"""The record of a transcript's lines, and the marks from which a plane and control make it (DESIGN §6)."""

from dataclasses import dataclass
from typing import Final, Literal

WORDS: Final = frozenset({"agent.turn_started", "agent.turn_ended"})
"""Events that carry what was said: they stand in a timeline without their data where no transcript is kept."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where in an agent turn's audio a piece of its text begins."""

    chars: int
    """Characters of the turn's text before it."""
    sample: int
    """Samples of the turn's audio before it, in the agent's own format."""


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """One utterance of a call: a line of `transcript.jsonl`."""

    at: float
    """Seconds from the session's begin to its begin."""
    end: float
    """Seconds to its end; of an agent, to when its service ended the turn."""
    role: Literal["agent", "caller", "callee", "prompt"]
    """Who speaks: an agent, a phone that called, a phone that was called, or a player."""
    name: str
    """The speaker's name in the session."""
    text: str
    """What was said: an agent's as its service says it, a phone's as the agent's service understood it, else empty."""
    heard: str | None = None
    """Of an agent's text, the words whose sound had begun to be sent to a listener; None: not known, or no agent."""
    unheard: str = ""
    """The rest of what the agent had to say, where the service told it."""
    heard_seconds: float | None = None
    """Seconds of it sent to a listener, by the ledger; None: not known, or no agent."""
    seconds: float | None = None
    """Seconds of sound: of an agent as they came, of a phone by energy; None: not known."""
    interrupted: bool = False
    """Cut short: by the agent's service, or because its socket closed in the middle."""
    estimated: bool = False
    """`heard` is in proportion to the samples sent; else it follows the service's word for word."""
    turn: str = ""
    """The service's id of the turn."""
