"""Players: sounds that control prepared, and speech from Sonic's socket."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .wire import message

# --- control → plane


@message
@dataclass(frozen=True, slots=True)
class SoundOpen:
    """Make a player of a sound that control has prepared; Done when it is in memory."""

    player: str
    """Unit id."""
    path: str
    """File of µ-law at 8 kHz, without a header."""
    loop: bool = False
    """Over and over."""
    paused: bool = False
    """It waits for PlayerPause(on=False)."""
    confirm: str | None = None
    """Done when it is loaded."""


@message
@dataclass(frozen=True, slots=True)
class PlayOver:
    """A leg hears a player in place of its source, which comes back when the player ends."""

    player: str
    """Unit id."""
    leg: str
    """Unit id."""


@message
@dataclass(frozen=True, slots=True)
class PlayerPause:
    """Hold a player at its place, or let it go on."""

    player: str
    """Unit id."""
    on: bool
    """Hold it."""


@message
@dataclass(frozen=True, slots=True)
class PlayerMark:
    """Tell when a position of a player is heard."""

    player: str
    """Unit id."""
    offset: float
    """Seconds from its start; below zero: from its end."""
    confirm: str | None = None
    """Done when it is set."""


@message
@dataclass(frozen=True, slots=True)
class PlayerClose:
    """A player is over; a leg that heard it in place of its source has that back. Answered by PlayerSaid."""

    player: str
    """Unit id."""
    reason: str = ""
    """Why, for its last word."""


@message
@dataclass(frozen=True, slots=True)
class SpeechOpen:
    """Make a player of a socket to Sonic; Done when it is open."""

    player: str
    """Unit id."""
    base_url: str
    """wss://…"""
    api_key: str
    """The resolved key; never written anywhere."""
    version: str
    """cartesia_version."""
    confirm: str | None = None
    """Done when open."""


@message
@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A generation request of a realtime player."""

    player: str
    """Unit id."""
    request: Mapping[str, Any]
    """Fields of the request; the output format is the plane's."""
    confirm: str | None = None
    """Done when written."""


@message
@dataclass(frozen=True, slots=True)
class SpeechCancel:
    """Cancel a context of a realtime player."""

    player: str
    """Unit id."""
    context_id: str
    """The context."""
    confirm: str | None = None
    """Done when written, or nothing was left to cancel."""


@message
@dataclass(frozen=True, slots=True)
class SpeechClear:
    """Drop what a realtime player has queued up to now."""

    player: str
    """Unit id."""
    confirm: str | None = None
    """Done when dropped."""


# --- plane → control


@message
@dataclass(frozen=True, slots=True)
class PlayerSaid:
    """A step in a player's life; after finished, stopped or failed the plane knows it no more."""

    player: str
    """Unit id."""
    type: Literal["started", "marker", "chunks_finished", "finished", "stopped", "failed"]
    """What happened."""
    seconds: float = 0.0
    """marker: its place; chunks_finished: time to the first audio; the last three: seconds that were heard."""
    reason: str = ""
    """stopped, failed, and of a context that failed: why."""
    context_id: str = ""
    """chunks_finished: which context."""
    last: bool = False
    """chunks_finished: nothing else was asked for."""
    heard: float = 0.0
    """chunks_finished: seconds of the player that were heard so far."""
