"""The default voice: the program espeak-ng, a process per text (about 20 ms of work for a sentence).

Leaves out its word events, which only its library (GPL) has: `timing` finds the words in the sound.
"""

from __future__ import annotations

import io

from cordboard.line.voices.voice import VoiceFailed, VoiceUnavailable
from cordboard.line.voices.whole import WholeReading, find_program, run_program
from cordboard.media.samples import Samples
from cordboard.media.wav import Wav, WavError, decode_block, read_layout


class EspeakVoice:
    """Speaks by espeak-ng."""

    paid = False

    def __init__(self, name: str = "en", words_per_minute: int = 175) -> None:
        """`name` of one of espeak-ng's voices or languages."""
        self._name = name
        self._speed = words_per_minute
        self._program = "espeak-ng"

    async def start(self) -> None:
        """Find the program and the voice; raises `VoiceUnavailable`."""
        self._program = find_program("espeak-ng", "install it (apt install espeak-ng), or take another --voice")
        try:
            await run_program((self._program, "-q", "-v", self._name, "--stdin"), ".")
        except VoiceFailed as exc:
            raise VoiceUnavailable(f"espeak-ng voice {self._name!r}: {exc}; espeak-ng --voices lists them") from exc

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> WholeReading:
        """Return a reading; it has one voice, whatever is asked."""
        return WholeReading(self._speak, rate)

    async def close(self) -> None:
        """Nothing to do: each text's process ends with it."""

    async def _speak(self, text: str) -> tuple[Samples, int]:
        command = (self._program, "--stdin", "--stdout", "-b", "1", "-v", self._name, "-s", str(self._speed))
        sound = read_output(await run_program(command, text))
        return sound.mono(), sound.rate


def read_output(data: bytes) -> Wav:
    """Return the WAV that a program printed; raise `VoiceFailed` for anything else."""
    if not data:
        raise VoiceFailed("no audio was made")
    try:
        layout = read_layout(io.BytesIO(data), "its output")
    except WavError as exc:
        raise VoiceFailed(str(exc)) from exc
    return Wav(layout.rate, layout.channels, decode_block(layout, data[layout.start : layout.start + layout.size]))
