"""What is said in the simulated world: every utterance is a tone of its own, so that hearing it proves who is heard.

Tones are 50 Hz apart, from 600 to 3,150 Hz: within G.711's band and above ringback; 40 ms are enough to tell them.
After 52 utterances the oldest tone is used again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cordboard.media.analysis import dominant_tone
from cordboard.media.g711 import ulaw_decode, ulaw_encode
from cordboard.media.samples import Samples
from cordboard.media.tones import sine

RATE = 8000
"""Samples a second of every phone."""
FIRST, STEP, COUNT = 600, 50, 52
"""Hz, Hz, number of tones."""
PURE = 0.6
"""Share of the energy that a tone must hold: G.711's noise and the edge of an utterance take the rest."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something that was said."""

    speaker: str
    """Who."""
    text: str
    """What."""
    hz: int
    """Its tone."""
    seconds: float = 0.0
    """How long it takes to say it all; 0: not known."""


class Voices:
    """All utterances, by tone."""

    def __init__(self) -> None:
        self._said: dict[int, Utterance] = {}
        self._count = 0

    def utterance(self, speaker: str, text: str, seconds: float = 0.0) -> Utterance:
        """A new one with a tone that no recent one has."""
        hz = FIRST + STEP * (self._count % COUNT)
        self._count += 1
        self._said[hz] = Utterance(speaker, text, hz, seconds)
        return self._said[hz]

    def of(self, hz: int) -> Utterance | None:
        """What was said with a tone."""
        return self._said.get(hz)


def tone(hz: int, seconds: float, rate: int = RATE) -> Samples:
    """Its sound."""
    return sine(float(hz), seconds, rate, -13.0)


def tone_ulaw(hz: int, seconds: float) -> bytes:
    """Its sound as a telephone carries it."""
    return ulaw_encode(tone(hz, seconds))


def tones_in(frames: Iterable[bytes]) -> list[tuple[int, float]]:
    """(tone, seconds) of everything that is heard in µ-law frames, in order; what is between tones is left out."""
    found: list[tuple[int, float]] = []
    held = b""
    for frame in frames:
        if frame.count(0xFF) + frame.count(0x7F) == len(frame):
            _look(held, found)
            held = b""
        elif not held:
            held = frame
        elif _look(held + frame, found):
            held = b""
        else:  # another tone begins between the two
            _look(held, found)
            held = frame
    _look(held, found)
    return found


def _look(data: bytes, found: list[tuple[int, float]]) -> bool:
    """Whether one tone is in it, which is then added."""
    heard = dominant_tone(ulaw_decode(data), RATE)
    hz = FIRST + STEP * round((heard.hz - FIRST) / STEP)
    if heard.share < PURE or abs(heard.hz - hz) > STEP / 4:
        return False
    seconds = len(data) / RATE
    if found and found[-1][0] == hz:
        seconds += found.pop()[1]
    found.append((hz, seconds))
    return True


def seconds_of(hz: int, heard: Iterable[tuple[int, float]]) -> float:
    """How long a tone was heard."""
    return sum((seconds for each, seconds in heard if each == hz), 0.0)
