"""Recordings of legs."""

from dataclasses import dataclass

from .wire import message

# --- control → plane


@message
@dataclass(frozen=True, slots=True)
class RecordBegin:
    """Record a leg into a raw file; the finisher makes the wav."""

    recording: str
    """Unit id."""
    leg: str
    """Unit id of the leg."""
    path: str
    """File that does not exist yet."""


@message
@dataclass(frozen=True, slots=True)
class RecordPause:
    """Both channels are silent from this moment on."""

    recording: str
    """Unit id."""
    reason: str = ""
    """For the timeline."""


@message
@dataclass(frozen=True, slots=True)
class RecordResume:
    """The pause that control asked for is over."""

    recording: str
    """Unit id."""


@message
@dataclass(frozen=True, slots=True)
class RecordEnd:
    """Stop a recording."""

    recording: str
    """Unit id."""


# --- plane → control


@message
@dataclass(frozen=True, slots=True)
class RecordOver:
    """A recording's raw file is closed."""

    recording: str
    """Unit id."""
    seconds: float
    """Length."""
    error: str = ""
    """Why it stopped early."""
