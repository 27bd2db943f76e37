"""What is kept of a call, and for how long: [recording], [retention] and [privacy]. Durations are seconds."""

from dataclasses import dataclass
from typing import Literal

from cordboard.config.aws import S3Sink


@dataclass(frozen=True, slots=True)
class Recording:
    """[recording]"""

    mode: Literal["off", "scenario", "all"]
    """off: never; scenario: where it calls record(); all: every call."""
    announce: str
    """Text, or WAV file, that is heard out before a recording begins; empty: none."""
    required_for: tuple[str, ...]
    """Patterns of the numbers at the other end for which it is needed; empty: for all. One that is not shown, or
    is no number, always needs it."""
    sink: S3Sink | None
    """Where finished recordings are copied to; None: they stay in data_dir alone."""


@dataclass(frozen=True, slots=True)
class Retention:
    """[retention]: seconds that each kind is kept after a call's end; 0: not kept; None: for ever."""

    recordings: float | None
    """Sound."""
    transcripts: float | None
    """What was said."""
    timelines: float | None
    """What happened, SIP messages, handlers' logs; what was said goes from it when the transcript goes. The journal
    goes with whichever of the two goes first."""
    records: float | None
    """Who, when, why: the call's folder as a whole. Not shorter than any of the others."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """[privacy]"""

    transcripts: bool
    """Whether what is said is written down."""
    journal: bool
    """Whether what handlers were told and answered is written down, for replay."""
