"""What every voice of the stand-in offers: text in, speech out, with the time of each word.

A voice reads a reply aloud: the reply's texts come one after the other, and belong together (reference
cartesia-protocols §3.7 step 7). Of a text that fails, what was made is kept, and the reading goes on with the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from cordboard.media.samples import Samples

SPEECH_TIMEOUT = 5.0
"""Seconds without speech until a text has failed. espeak-ng makes a sentence in 50 ms, and Sonic begins in well under
a second; a caller takes a longer silence for a dead line."""


class SpokenWord(NamedTuple):
    """When a word is spoken, in seconds from the begin of its text's audio."""

    word: str
    """As it stands in the text, punctuation included."""
    start: float
    end: float


class Piece(NamedTuple):
    """A part of the speech of one text."""

    samples: Samples
    """At the reading's rate; may be empty."""
    words: tuple[SpokenWord, ...]
    """Words whose sound begins in what was given so far, each once and in order."""


class VoiceFailed(Exception):
    """A text of which no speech was made, or no more; the text of the error is for the call's record."""


class VoiceUnavailable(Exception):
    """A voice that was asked for and cannot work here; the text says what to do about it."""


class Reading(Protocol):
    """One reply, read aloud by one voice."""

    def speak(self, text: str) -> AsyncGenerator[Piece]:
        """Make speech of the next text; raises `VoiceFailed`. Closing the generator stops it."""

    async def close(self) -> None:
        """No more text comes; what is still being made is stopped."""


class Voice(Protocol):
    """Makes readings, several at a time."""

    paid: bool
    """Whether each text costs money: then none is spoken before it is needed."""

    async def start(self) -> None:
        """Find what it needs; raises `VoiceUnavailable`."""

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> Reading:
        """Return a reading at `rate` Hz, by the named voice, in the language and with the dictionary of pronunciations,
        if it has them."""

    async def close(self) -> None:
        """Stop all readings and leave nothing behind."""


async def speak(reading: Reading, text: str) -> AsyncGenerator[Piece]:
    """As `reading.speak`, with `SPEECH_TIMEOUT` for each piece, and `VoiceFailed` when nothing is heard at all."""
    pieces, length = reading.speak(text), 0
    try:
        while True:
            try:
                async with asyncio.timeout(SPEECH_TIMEOUT):
                    piece = await anext(pieces, None)
            except TimeoutError:
                raise VoiceFailed(f"no speech within {SPEECH_TIMEOUT:g} s") from None
            if piece is None:
                break
            length += piece.samples.size
            yield piece
    finally:
        await pieces.aclose()
    if not length:
        raise VoiceFailed("no audio was made")
