"""The tones of a sound, in order: what was heard by whoever listens to voices that are tones."""

import itertools
from typing import Final

from cordboard.media.analysis import dominant_tone
from cordboard.media.samples import Samples, level_dbfs

RATE: Final = 8000
WINDOW: Final = RATE // 20


def tones_of(sound: Samples) -> list[int]:
    """Tones that are heard for two windows at least, in order, in Hz to the ten; 0 for what is no tone."""
    windows: list[int] = []
    for start in range(0, sound.size - WINDOW, WINDOW):
        window = sound[start : start + WINDOW]
        if level_dbfs(window) > -50:
            heard = dominant_tone(window, RATE)
            windows.append(int(round(heard.hz, -1)) if heard.share > 0.8 else 0)
    return [hz for hz, run in itertools.groupby(windows) if hz == 0 or len(list(run)) > 1]


def changes(sound: Samples) -> list[int]:
    """The same without what is no tone; a tone that goes on stands once."""
    return [hz for hz, _ in itertools.groupby(hz for hz in tones_of(sound) if hz)]
