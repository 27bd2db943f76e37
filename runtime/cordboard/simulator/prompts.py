"""The simulated edge's prompts: every text, file, URL and ToneScript is a tone of its own, so that hearing proves it.

A text lasts as long as somebody would speak it, a file of the prompts folder as long as it does (it must be there and
be a WAV), a URL a second unless told otherwise. Nothing is fetched and nothing spoken.
"""

from collections.abc import Sequence
from pathlib import Path

from cordboard.contract.commands import Sound
from cordboard.media.prompt import NoSuchPrompt, prompt_path
from cordboard.media.tone_script import ToneScriptError, render
from cordboard.media.wav import WavError, read_wav

from .voices import RATE, Voices, tone_ulaw

CHARACTERS = 15.0
"""Characters a second of speech: 150 words a minute."""
SHORTEST = 0.4
"""Seconds of the shortest text: a tone must be long enough to be told from others."""
URL_SECONDS = 1.0
"""Seconds of a URL that no test speaks of."""


class Prompts:
    """What the shell of a real edge makes ready in files is made ready in memory here."""

    def __init__(self, voices: Voices, folder: Path) -> None:
        self._voices = voices
        self._folder = folder
        self.urls: dict[str, float | str] = {}
        """URL → seconds of its sound, or why it cannot be had."""
        self.files: dict[str, bytes] = {}
        """Path → µ-law."""

    def prepare(self, sounds: Sequence[Sound]) -> str:
        """The path of all sounds, one after the other. ValueError says what is wrong."""
        data = b"".join(self._tone(sound) for sound in sounds)
        path = f"/prompts/{len(self.files)}"
        self.files[path] = data
        return path

    def _tone(self, sound: Sound) -> bytes:
        seconds = self._seconds(sound)
        return tone_ulaw(self._voices.utterance("prompt", sound.content, seconds).hz, seconds)

    def _seconds(self, sound: Sound) -> float:
        match sound.kind:
            case "text":
                return max(SHORTEST, round(len(sound.content) / CHARACTERS, 2))
            case "tones":
                try:
                    return render(sound.content, RATE)[0].size / RATE
                except ToneScriptError as error:
                    raise ValueError(f"ToneScript: {error}") from error
            case "url":
                return self._url(sound.content)

    def _url(self, url: str) -> float:
        if url.startswith(("http://", "https://")):
            told = self.urls.get(url, URL_SECONDS)
            if isinstance(told, str):
                raise ValueError(f"{url}: {told}")
            return told
        try:
            sound = read_wav(prompt_path(self._folder, url))
        except (NoSuchPrompt, WavError, OSError) as error:
            raise ValueError(str(error)) from error
        return float(sound.samples.shape[0] / sound.rate)
