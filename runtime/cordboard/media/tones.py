"""Call-progress tones and small sounds for prompts.

Ringback follows ITU-T E.180 (cadences and frequencies by country): North America 440 + 480 Hz, 2 s on, 4 s off;
most of Europe 425 Hz, 1 s on, 4 s off. The comfort tone is that of ITU-T E.182.

Left out: busy, congestion and special information tones: a refused call is told by SIP status, not by sound.
"""

from functools import lru_cache
from typing import Literal, Self

import numpy as np

from cordboard.media.g711 import ulaw_encode
from cordboard.media.samples import Samples, samples_per_frame

RingbackStyle = Literal["us", "eu"]

RINGBACK_RATE = 8000
"""Rate of the tone sources in Hz: they speak µ-law."""

_TONE_DBFS = -19.0
"""Level of each frequency of a ringback tone: about -16 dBm0, as 0 dBm0 stands 3 dB below full scale in G.711."""

_RINGBACK: dict[str, tuple[tuple[float, ...], float, float]] = {
    "us": ((440.0, 480.0), 2.0, 4.0),
    "eu": ((425.0,), 1.0, 4.0),
}

_COMFORT = (400.0, 0.2, 1.3)
"""Hz, seconds of sound, seconds of silence of the comfort tone: E.182 names it and leaves its form to networks; this
one is no ringing, busy or special information tone of E.180."""

_COMFORT_DBFS = -25.0
"""Its level: it says that the line lives and does not ask for attention."""

_EDGE_SECONDS = 0.005
"""Rise and fall of a beep: long enough that no click is heard."""


def sine(frequency: float, seconds: float, rate: int, level_dbfs: float = -10.0) -> Samples:
    """A sine from phase 0: `round(seconds * rate)` samples of `level_dbfs` (0 is a sine of full scale).

    ValueError for a level above 0 or a frequency not below half the rate.
    """
    if level_dbfs > 0:
        raise ValueError(f"{level_dbfs} dBFS would clip")
    if not 0 <= frequency < rate / 2:
        raise ValueError(f"{frequency} Hz does not fit a rate of {rate} Hz")
    turns = np.arange(round(seconds * rate)) * (frequency / rate)
    wave = np.sin(2 * np.pi * turns) * (32767 * 10 ** (level_dbfs / 20))
    return np.asarray(np.rint(wave), np.int16)


def beep(rate: int, frequency: float = 1000.0, seconds: float = 0.2, level_dbfs: float = -10.0) -> Samples:
    """A sine with soft edges, as before a recording."""
    tone = sine(frequency, seconds, rate, level_dbfs).astype(np.float64)
    edge = min(round(_EDGE_SECONDS * rate), tone.size // 2)
    if edge:
        ramp = np.sin(np.arange(edge) * (np.pi / 2 / edge)) ** 2
        tone[:edge] *= ramp
        tone[-edge:] *= ramp[::-1]
    return np.rint(tone).astype(np.int16)


def click(rate: int, level_dbfs: float = -10.0) -> Samples:
    """Two milliseconds of 2 kHz with soft edges: a mark that is short and easy to find again in a recording."""
    return beep(rate, 2000.0, 0.002, level_dbfs)


@lru_cache(maxsize=len(_RINGBACK))
def _ringback_cycle(style: RingbackStyle) -> bytes:
    frequencies, on, off = _RINGBACK[style]
    sound = np.sum([sine(each, on, RINGBACK_RATE, _TONE_DBFS) for each in frequencies], axis=0, dtype=np.int16)
    silence = np.zeros(round(off * RINGBACK_RATE), np.int16)
    return ulaw_encode(np.concatenate((sound, silence)))


@lru_cache(maxsize=1)
def _comfort_cycle() -> bytes:
    frequency, on, off = _COMFORT
    pause = np.zeros(round(off * RINGBACK_RATE), np.int16)
    return ulaw_encode(np.concatenate((beep(RINGBACK_RATE, frequency, on, _COMFORT_DBFS), pause)))


class ToneSource:
    """A sound that repeats for ever, in frames of 160 octets of µ-law. Sources of one style share their bytes."""

    __slots__ = ("_cycle", "_frame", "_place")

    def __init__(self, cycle: bytes) -> None:
        """`cycle` is µ-law at 8 kHz, one or more whole frames; ValueError otherwise."""
        self._frame = samples_per_frame(RINGBACK_RATE)
        if not cycle or len(cycle) % self._frame:
            raise ValueError(f"a cycle of {len(cycle)} octets is no whole number of frames")
        self._cycle = cycle
        self._place = 0

    @classmethod
    def ringback(cls, style: RingbackStyle = "us") -> Self:
        """The tone a caller hears while the other side rings; starts with sound."""
        if style not in _RINGBACK:
            raise ValueError(f"no ringback named {style!r}; there are {', '.join(_RINGBACK)}")
        return cls(_ringback_cycle(style))

    @classmethod
    def comfort(cls) -> Self:
        """The tone a caller hears while the call is being processed; starts with sound."""
        return cls(_comfort_cycle())

    def next_frame(self) -> bytes:
        """The next 20 ms: 160 octets of µ-law."""
        place = self._place
        self._place = (place + self._frame) % len(self._cycle)
        return self._cycle[place : place + self._frame]

    def reset(self) -> None:
        """Back to the start of the cycle."""
        self._place = 0
