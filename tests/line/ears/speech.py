"""Sentences as a telephone brings them: µ-law at 8 kHz, spoken by espeak-ng and by two voices of flite.

The files in `speech/` were made by `python -m tests.line.ears.speech`, where both programs are installed; they are kept
so that one recording has one text, whatever a machine has.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from cordboard.media.chain import PCMU_8000
from cordboard.media.g711 import ulaw_decode
from cordboard.media.prompt import load_prompt
from cordboard.media.samples import Samples

FOLDER = Path(__file__).with_name("speech")

SENTENCES = (
    "transfer me please",
    "i want to speak to a person",
    "can i talk to a person please",
    "when is breakfast",
    "what time is breakfast served",
    "thank you very much",
    "goodbye",
)
"""All of them are in the front desk's grammar."""

VOICES = {
    "espeak-us": ("espeak-ng", "-v", "en-us", "-s", "160", "-w", "{wav}", "{text}"),
    "espeak-gb": ("espeak-ng", "-v", "en-gb", "-s", "160", "-w", "{wav}", "{text}"),
    "flite-slt": ("flite", "-voice", "slt", "-t", "{text}", "-o", "{wav}"),
    "flite-rms": ("flite", "-voice", "rms", "-t", "{text}", "-o", "{wav}"),
}
"""Commands by voice."""


def spoken(voice: str, sentence: str) -> Samples:
    """Return a sentence in a voice, at 8 kHz."""
    return ulaw_decode(_file(voice, sentence).read_bytes())


def _file(voice: str, sentence: str) -> Path:
    return FOLDER / voice / f"{sentence.replace(' ', '-')}.ulaw"


def main() -> None:
    """Make all files."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        for voice, command in VOICES.items():
            for sentence in SENTENCES:
                subprocess.run([word.format(wav=wav, text=sentence) for word in command], check=True)
                file = _file(voice, sentence)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(load_prompt(wav, PCMU_8000))


if __name__ == "__main__":
    main()
