"""Piper, a neural voice: the program `piper`, a process per text, with a voice file (`.onnx`, and `.onnx.json` beside).

The program is GPL in its newer releases, hence never a library here. Its raw output has the rate that the voice's JSON
tells. A process per text loads the voice each time: about as slow to begin as a person. Leaves out speakers of voices
that have several: the voice's first one speaks.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np

from cordboard.line.voices.voice import VoiceFailed, VoiceUnavailable
from cordboard.line.voices.whole import WholeReading, find_program, run_program
from cordboard.media.samples import Samples

MAX_CONFIG = 1 << 20
"""Bytes of a voice's JSON; those published have a few thousand."""

RATES = range(8000, 48001)
"""Hz: what a voice may be made for."""


class PiperVoice:
    """Speaks by piper."""

    paid = False

    def __init__(self, model: Path) -> None:
        """`model` is the voice's `.onnx`."""
        self._model = model
        self._program = "piper"
        self._rate = 0

    async def start(self) -> None:
        """Find program, voice and its rate; raises `VoiceUnavailable`."""
        self._program = find_program("piper", "install it (pip install piper-tts), or take another --voice")
        if not self._model.is_file():
            raise VoiceUnavailable(f"piper: there is no voice file {self._model}: download one, .onnx and .onnx.json")
        self._rate = await asyncio.to_thread(_rate_of, self._model.with_name(self._model.name + ".json"))

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> WholeReading:
        """Return a reading; it has one voice, whatever is asked."""
        return WholeReading(self._speak, rate)

    async def close(self) -> None:
        """Nothing to do: each text's process ends with it."""

    async def _speak(self, text: str) -> tuple[Samples, int]:
        line = " ".join(text.split())  # a line is a text of its own
        data = await run_program((self._program, "--model", str(self._model), "--output-raw"), line + "\n")
        if len(data) % 2:
            raise VoiceFailed("piper gave half a sample")
        return np.frombuffer(data, "<i2").astype(np.int16), self._rate


def _rate_of(config: Path) -> int:
    try:
        with open(config, "rb") as file:
            rate = json.loads(file.read(MAX_CONFIG))["audio"]["sample_rate"]
    except OSError as exc:
        raise VoiceUnavailable(f"piper: {config}: {exc.strerror}: it comes with the voice file") from exc
    except (ValueError, LookupError, TypeError) as exc:
        raise VoiceUnavailable(f"piper: {config}: no audio.sample_rate: it is not a voice's JSON") from exc
    if not isinstance(rate, int) or isinstance(rate, bool) or rate not in RATES:
        raise VoiceUnavailable(f"piper: {config}: audio.sample_rate {rate!r} is not a rate in Hz")
    return rate
