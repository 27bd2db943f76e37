"""Which voice the stand-in has: by `--voice`, else by the script's `[speech]`.

A voice that is asked for and cannot work is an error with a remedy. Only who asks for nothing is given another: tones,
where espeak-ng is missing.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from cordboard.line.script import Script
from cordboard.line.voices.espeak import EspeakVoice
from cordboard.line.voices.piper import PiperVoice
from cordboard.line.voices.sonic import BASE_URL, SonicVoice
from cordboard.line.voices.tones import TonesVoice
from cordboard.line.voices.voice import Voice, VoiceUnavailable

VOICES = "espeak-ng, sonic, piper:FILE or tones"
"""What `--voice` takes."""

KEY_VARIABLE = "CARTESIA_API_KEY"
"""Environment variable with the key of Cartesia's service."""

log = logging.getLogger("cordboard.line")


def choose(script: Script, asked: str = "", name: str = "", base_url: str = BASE_URL) -> Voice:
    """Return the voice, not yet started; raises `VoiceUnavailable` for a choice that there is not.

    `asked` is one of `VOICES`, or "" for the script's; `name` is a voice of that engine.
    """
    engine, _, file = (asked or script.engine).partition(":")
    if name and (name.startswith("-") or not name.isprintable()):
        raise VoiceUnavailable("--voice-name: must be the name or id of a voice")
    match engine, file:
        case "auto", "":
            if shutil.which("espeak-ng") is None:
                log.warning("speech: espeak-ng is not installed, text becomes tones")
                return TonesVoice()
            return EspeakVoice(name or script.voice, script.words_per_minute)
        case "espeak-ng", "":
            return EspeakVoice(name or script.voice, script.words_per_minute)
        case "tones", "":
            return TonesVoice()
        case "sonic", "":
            return SonicVoice(os.environ.get(KEY_VARIABLE, ""), name, base_url=base_url)
        case "piper", file if file:
            return PiperVoice(Path(file))
    raise VoiceUnavailable(f"--voice {asked}: must be {VOICES}")
