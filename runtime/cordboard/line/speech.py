"""Turns the script's sounds into audio of the wire's formats, before a call needs them.

Text is spoken by the program espeak-ng where it is installed, else every word becomes a short tone whose frequency
follows from the word, so that a test can recognise it. Leaves out any quality of speech.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from cordboard.line.script import Script
from cordboard.line.steps import Sound, Text, Tone, WavFile
from cordboard.media.chain import L16_16000, L16_24000, L16_44100, PCMU_8000, Format, encode
from cordboard.media.prompt import load_prompt
from cordboard.media.samples import Samples
from cordboard.media.tones import beep

FORMATS: Final[Mapping[str, Format]] = {
    "mulaw_8000": PCMU_8000,
    "pcm_16000": L16_16000,
    "pcm_24000": L16_24000,
    "pcm_44100": L16_44100,
}
"""Formats of both wires (reference cartesia-protocols §1.2.1, §2.2)."""

PREPARED = ("mulaw_8000", "pcm_16000")
"""Formats in which sounds are made before a call needs them: those of telephone trunks."""

SPEAK_TIMEOUT = 10.0
"""Seconds for one text. A sentence takes about 50 ms; the longest text allowed, about a second."""

WORD_SECONDS = 0.18
"""Length of a word's tone: a syllable of slow speech."""

WORD_GAP = 0.07
"""Silence after it, in seconds."""

log = logging.getLogger("cordboard.line")


def word_frequency(word: str) -> int:
    """The tone, in Hz, that stands for a word: 300 to 1499, inside the telephone band."""
    return 300 + zlib.crc32(word.strip(".,;:!?").casefold().encode()) % 1200


def tone_words(text: str, rate: int) -> Samples:
    """Return `text` as tones, one per word."""
    gap = np.zeros(round(WORD_GAP * rate), np.int16)
    parts = [part for word in text.split() for part in (beep(rate, word_frequency(word), WORD_SECONDS), gap)]
    return np.concatenate(parts) if parts else gap


class Studio:
    """Makes and keeps sounds."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._program = None if script.engine == "tones" else shutil.which("espeak-ng")
        self._ready: dict[tuple[Sound, str], bytes] = {}
        if script.engine == "espeak-ng" and self._program is None:
            log.warning("speech: espeak-ng is not installed, text becomes tones")

    async def prepare(self) -> None:
        """Make all sounds in the formats of `PREPARED`. Raises WavError or OSError for a bad sound file."""
        for sound in self._script.sounds():
            for name in PREPARED:
                self._ready[sound, name] = await self._make(sound, name)

    async def audio(self, sound: Sound, format_name: str) -> bytes:
        """Return the sound in a format of `FORMATS`; made now, off the loop, when it was not prepared."""
        ready = self._ready.get((sound, format_name))
        return await self._make(sound, format_name) if ready is None else ready

    async def _make(self, sound: Sound, format_name: str) -> bytes:
        form = FORMATS[format_name]
        match sound:
            case Tone():
                return encode(beep(form.rate, sound.hz, sound.seconds), form)
            case WavFile():
                return await asyncio.to_thread(load_prompt, sound.path, form)
            case Text():
                spoken = await self._speak(sound.text, form) if self._program is not None else None
                return encode(tone_words(sound.text, form.rate), form) if spoken is None else spoken

    async def _speak(self, text: str, form: Format) -> bytes | None:
        """Return what espeak-ng says, or None when it fails."""
        assert self._program is not None
        with tempfile.TemporaryDirectory(prefix="cordboard-line-") as folder:
            path = Path(folder) / "speech.wav"
            process = await asyncio.create_subprocess_exec(
                self._program,
                *("--stdin", "-b", "1", "-v", self._script.voice, "-s", str(self._script.words_per_minute)),
                *("-w", str(path)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await asyncio.wait_for(process.communicate(text.encode()), SPEAK_TIMEOUT)
            except TimeoutError:
                log.warning("speech: espeak-ng took longer than %g s, the text becomes tones", SPEAK_TIMEOUT)
                return None
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
            if process.returncode != 0 or not path.exists():
                log.warning("speech: espeak-ng ended with %s, the text becomes tones", process.returncode)
                return None
            return await asyncio.to_thread(load_prompt, path, form)
