"""What the demo's caller says: words by espeak-ng that the stand-in recognises, where both are installed.

Elsewhere the caller makes tones of the same length, and the stand-in reads what they said from a script.
"""

import json
from pathlib import Path

import numpy as np

from cordboard.line.ears.sphinx import is_installed
from cordboard.line.voices.espeak import EspeakVoice
from cordboard.line.voices.voice import VoiceUnavailable, speak
from cordboard.media.samples import Samples
from cordboard.media.tones import sine

RATE = 8000
"""Hz of the phone."""

WORD_SECONDS = 0.3
"""Length of the tone that stands for a word."""


class CallerSpeech:
    """Makes the caller's words."""

    def __init__(self, voice: EspeakVoice | None) -> None:
        self._voice = voice

    @property
    def is_real(self) -> bool:
        """Whether these are words, to be recognised by sound."""
        return self._voice is not None

    @classmethod
    async def open(cls) -> "CallerSpeech":
        """Find out what is installed."""
        voice = EspeakVoice(words_per_minute=150)
        try:
            await voice.start()
        except VoiceUnavailable:
            return cls(None)
        return cls(voice if is_installed() else None)

    async def say(self, text: str) -> Samples:
        """Return the sound of a text, 8 kHz."""
        if self._voice is None:
            return sine(500.0, WORD_SECONDS * len(text.split()), RATE, -12.0)
        reading = self._voice.open(RATE)
        return np.concatenate([piece.samples async for piece in speak(reading, text)])


def write_script(path: Path, calls: list[list[str]]) -> None:
    """Write what the callers say, call by call, for an ear that only reads."""
    lines = [f"[[calls]]\nutterances = {json.dumps(said)}\n" for said in calls]
    path.write_text("\n".join(lines), encoding="utf-8")
