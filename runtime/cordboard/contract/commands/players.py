"""Sounds and who plays them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..codec import DecodeError
from .wire import SecretReference, command

MAX_SPOKEN = 1_500
"""Characters of one text to speak (VoxEngine's limit of `say` and `createTTSPlayer`, reference voxengine §3.1)."""

MAX_URL = 2_048
"""Characters of a sound's URL or path: what browsers and proxies take, too."""

MAX_TONE_SCRIPT = 512
"""Characters of a ToneScript: the longest national tone has a tenth."""

PROGRESS_TONES: Mapping[str, str] = {"US": "440@-19,480@-19;*(2/4/1+2)", "RU": "425@-19;*(1/4/1)"}
"""Country → its ringback as a ToneScript (ITU-T E.180)."""

MAX_OFFSET = 3_600.0
"""Seconds from a sound's start or end to a marker; sounds are shorter (`media.prompt`)."""

_VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
"""Voices: espeak-ng's (`en-gb+f2`) and Sonic's ids; never an option of a program."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to be heard; the edge makes it ready before anybody hears it."""

    kind: Literal["text", "url", "tones"]
    """text: spoken by [speech]; url: http(s) URL, or path below [media] prompts; tones: a ToneScript."""
    content: str
    """The text, the URL or path, or the script."""
    voice: str | None = None
    """text: a voice of the engine of [speech]; None: its own."""

    def __post_init__(self) -> None:
        limit = {"text": MAX_SPOKEN, "url": MAX_URL, "tones": MAX_TONE_SCRIPT}[self.kind]
        if not self.content.strip():
            raise DecodeError(self.kind, "is empty")
        if len(self.content) > limit:
            raise DecodeError(self.kind, f"has {len(self.content)} characters, more than {limit}")
        if self.kind == "url" and not self.content.isprintable():
            raise DecodeError("url", "holds control characters")
        if self.voice is not None and not _VOICE.fullmatch(self.voice):
            raise DecodeError("voice", f"{self.voice!r} is not 1 to 64 letters, digits and _ . + -")

    @property
    def endless(self) -> bool:
        """A ToneScript whose one section lasts for ever."""
        return self.kind == "tones" and self.content.partition(";")[2].lstrip().startswith("*")

    @classmethod
    def of(cls, prompt: str) -> "Sound":
        """What a prompt of one word means: a URL or a path that ends in .wav, else a text."""
        is_url = prompt.startswith(("http://", "https://")) or (prompt.endswith(".wav") and " " not in prompt)
        return cls("url" if is_url else "text", prompt)


@command("call.say", "call.play")
@dataclass(frozen=True, slots=True)
class CallPlay:
    """Let a leg hear a sound in place of its source, which comes back when the sound ends."""

    sound: Sound
    """What."""
    name: str
    """Name of the player; a live one of that name on this leg is replaced."""
    loop: bool = False
    """Over and over, until it is stopped or replaced."""


@command("player.create")
@dataclass(frozen=True, slots=True)
class PlayerCreate:
    """Make a sound ready; it plays from its first listener on."""

    sound: Sound
    """What."""
    loop: bool = False
    """Over and over, until it is stopped."""
    on_pause: bool = False
    """It waits for player.resume."""


@command("player.create_realtime")
@dataclass(frozen=True, slots=True)
class RealtimePlayerCreate:
    """Open a socket to Sonic and speak; it is heard by its listener as it comes (reference cartesia-protocols §5.1)."""

    text: str
    """The first text; empty: only `player.generate` speaks."""
    api_key: SecretReference | str | None = None
    """Reference to the key, or the key; None: that of [speech], else the secret CARTESIA_API_KEY."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every generation request: model_id, voice, language, …"""
    version: str | None = None
    """cartesia_version; None: the one that the edge was built for."""
    base_url: str | None = None
    """Overrides [agents.cartesia].base_url."""
    privacy: bool = False
    """Texts are left out of the timeline."""

    def __post_init__(self) -> None:
        if len(self.text) > MAX_SPOKEN:
            raise DecodeError("text", f"has {len(self.text)} characters, more than {MAX_SPOKEN}")


@command("player.generate")
@dataclass(frozen=True, slots=True)
class PlayerGenerate:
    """One more generation request of a realtime player."""

    request: Mapping[str, Any]
    """transcript, context_id, continue, flush, max_buffer_delay_ms, …; the output format is the edge's."""


@command("player.cancel_context")
@dataclass(frozen=True, slots=True)
class PlayerCancel:
    """Stop a context of a realtime player; what it still sends is dropped. Idempotent."""

    context_id: str
    """As it was in the request."""


@command("player.add_marker")
@dataclass(frozen=True, slots=True)
class PlayerAddMarker:
    """Raise player.marker when a position is heard."""

    offset: float
    """Seconds from the start; below zero: from the end."""

    def __post_init__(self) -> None:
        if not -MAX_OFFSET <= self.offset <= MAX_OFFSET:
            raise DecodeError("offset", f"{self.offset:g} s is not within {MAX_OFFSET:g} s")


@command("player.stop", "player.pause", "player.resume", "player.clear")
@dataclass(frozen=True, slots=True)
class PlayerSimple:
    """End a player, hold it, let it go on, or drop what a realtime one has queued."""
