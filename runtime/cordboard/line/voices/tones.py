"""The voice without an engine: every word a short tone whose frequency follows from the word, so that it is recognised.

What the stand-in speaks with where espeak-ng is missing, and in tests that have to find words in a sound.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator

import numpy as np

from cordboard.line.voices.voice import Piece, SpokenWord
from cordboard.media.samples import Samples
from cordboard.media.tones import beep

WORD_SECONDS = 0.18
"""Length of a word's tone: a syllable of slow speech."""

WORD_GAP = 0.07
"""Silence after it, in seconds."""


def word_frequency(word: str) -> int:
    """The tone, in Hz, that stands for a word: 300 to 1499, inside the telephone band."""
    return 300 + zlib.crc32(word.strip(".,;:!?").casefold().encode()) % 1200


def tone_words(text: str, rate: int) -> Samples:
    """Return `text` as tones, one per word."""
    gap = np.zeros(round(WORD_GAP * rate), np.int16)
    parts = [part for word in text.split() for part in (beep(rate, word_frequency(word), WORD_SECONDS), gap)]
    return np.concatenate(parts) if parts else gap


class TonesVoice:
    """Speaks in tones."""

    paid = False

    async def start(self) -> None:
        """It needs nothing."""

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> TonesReading:
        """Return a reading."""
        return TonesReading(rate)

    async def close(self) -> None:
        """Nothing to do."""


class TonesReading:
    """One reply in tones."""

    def __init__(self, rate: int) -> None:
        self._rate = rate

    async def speak(self, text: str) -> AsyncGenerator[Piece]:
        """Yield all at once."""
        step = WORD_SECONDS + WORD_GAP
        words = (SpokenWord(word, at * step, at * step + WORD_SECONDS) for at, word in enumerate(text.split()))
        yield Piece(tone_words(text, self._rate), tuple(words))

    async def close(self) -> None:
        """Nothing to do."""
