"""The stand-in's sounds in the formats of its wires: what its voice says, tones, and files.

What a script may need is made before a call needs it, except by a voice that is paid for. Leaves out the voices
themselves, which are in `voices`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

from cordboard.line.script import Script
from cordboard.line.steps import Sound, Text, Tone, WavFile
from cordboard.line.voices.choice import choose
from cordboard.line.voices.voice import Reading, SpokenWord, Voice, VoiceFailed, speak
from cordboard.media.chain import L16_16000, L16_24000, L16_44100, PCMU_8000, Format, encode
from cordboard.media.prompt import load_prompt
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

log = logging.getLogger("cordboard.line")


class Spoken(NamedTuple):
    """Sound in a format of `FORMATS`, and when its words begin."""

    audio: bytes
    words: tuple[SpokenWord, ...] = ()


class ReplyReading:
    """One reply, read by the voice in a wire's format."""

    def __init__(self, reading: Reading, form: Format) -> None:
        self._reading = reading
        self._form = form

    async def speak(self, text: str) -> AsyncGenerator[Spoken]:
        """Yield the speech of the reply's next text in pieces, word times from the text's begin.

        Raises `VoiceFailed`, in time; what was yielded before counts.
        """
        async with aclosing(speak(self._reading, text)) as pieces:
            async for piece in pieces:
                yield Spoken(encode(piece.samples, self._form), piece.words)

    async def close(self) -> None:
        """The reply is over, or cut short."""
        await self._reading.close()


class Studio:
    """Makes and keeps sounds."""

    def __init__(self, script: Script, voice: Voice | None = None) -> None:
        """`voice` speaks instead of the script's; raises `VoiceUnavailable`."""
        self._script = script
        self.voice: Voice = choose(script) if voice is None else voice
        """Who speaks."""
        self._ready: dict[tuple[Sound, str], Spoken] = {}

    async def prepare(self) -> None:
        """Start the voice and make the script's sounds in the formats of `PREPARED`.

        Raises `VoiceUnavailable`, and WavError or OSError for a bad sound file. A text that fails is tried again when
        a call needs it.
        """
        await self.voice.start()
        for sound in self._script.sounds():
            if isinstance(sound, Text) and self.voice.paid:
                continue
            for name in PREPARED:
                try:
                    self._ready[sound, name] = await self._make(sound, name)
                except VoiceFailed as exc:
                    log.warning("speech: %s", exc)

    async def close(self) -> None:
        """Leave nothing of the voice behind."""
        await self.voice.close()

    def open(self, format_name: str, *, voice: str = "", language: str = "", pronunciation: str = "") -> ReplyReading:
        """Return the reading of a reply, in a format of `FORMATS`; by a voice of the engine and in a language."""
        form = FORMATS[format_name]
        reading = self.voice.open(form.rate, name=voice, language=language, pronunciation=pronunciation)
        return ReplyReading(reading, form)

    async def audio(self, sound: Sound, format_name: str) -> Spoken:
        """Return the sound in a format of `FORMATS`; made now, off the loop, when it was not prepared.

        Raises `VoiceFailed`.
        """
        ready = self._ready.get((sound, format_name))
        return await self._make(sound, format_name) if ready is None else ready

    async def _make(self, sound: Sound, format_name: str) -> Spoken:
        form = FORMATS[format_name]
        match sound:
            case Tone():
                return Spoken(encode(beep(form.rate, sound.hz, sound.seconds), form))
            case WavFile():
                return Spoken(await asyncio.to_thread(load_prompt, sound.path, form))
            case Text():
                reading = self.open(format_name)
                try:
                    async with aclosing(reading.speak(sound.text)) as pieces:
                        made = [piece async for piece in pieces]
                finally:
                    await reading.close()
                words = tuple(word for piece in made for word in piece.words)
                return Spoken(b"".join(piece.audio for piece in made), words)
