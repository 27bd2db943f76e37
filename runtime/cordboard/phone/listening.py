"""Listening for something in what a phone hears: a tone, a voice. Fed packet by packet, decided without a clock.

Left out: speech recognition; several tones at once.
"""

from typing import Protocol

import numpy as np

from cordboard.media.analysis import tone_share
from cordboard.media.energy import VoiceActivity
from cordboard.media.samples import Samples, level_dbfs
from cordboard.phone.heard import RATE, Piece

TONE_WINDOW = RATE // 5
"""Samples in which a tone must hold: 200 ms tell frequencies 5 Hz apart and are short against any test tone."""

PARTS = 10
"""Parts of that window, 20 ms each, of which none may be silent."""

QUIET_DBFS = -50.0
"""Level below which there is silence: under the noise of a quiet room in G.711, far below speech (-30 dBFS)."""

GAP_LIMIT = RATE
"""Samples of a gap that are fed as silence: after one second of it every detector has forgotten what was before."""


class Listener(Protocol):
    """Something that waits for a sound."""

    def feed(self, piece: Piece) -> bool:
        """Takes the next sound; True once what it waits for was heard."""
        ...


class ToneListener:
    """Hears a tone: the last 200 ms hold at least `share` of their energy at `hz` and nowhere fall silent."""

    def __init__(self, hz: float, share: float) -> None:
        """`hz` below 4 000, `share` 0 … 1; ValueError otherwise."""
        if not 0 < hz < RATE / 2:
            raise ValueError(f"{hz} Hz is not between 0 and {RATE // 2}")
        if not 0 < share <= 1:
            raise ValueError(f"a share of {share} is not between 0 and 1")
        self._hz = hz
        self._share = share
        self._window: Samples = np.zeros(0, np.int16)
        self._end: int | None = None

    def feed(self, piece: Piece) -> bool:
        fresh = _after_gap(piece, self._end)
        if fresh is None:
            return False
        self._end = piece.end
        self._window = np.concatenate((self._window, fresh))[-TONE_WINDOW:]
        if self._window.size < TONE_WINDOW:
            return False
        # A short tone beside silence has the same share; so every part of the window must sound.
        if any(level_dbfs(part) < QUIET_DBFS for part in np.split(self._window, PARTS)):
            return False
        return tone_share(self._window, RATE, self._hz) >= self._share


class VoiceListener:
    """Hears somebody start to make sound, by energy."""

    def __init__(self) -> None:
        self._activity = VoiceActivity(RATE)
        self._end: int | None = None

    def feed(self, piece: Piece) -> bool:
        fresh = _after_gap(piece, self._end)
        if fresh is None:
            return False
        self._end = piece.end
        return any(event.kind == "started" for event in self._activity.process(fresh))


def is_quiet(piece: Piece) -> bool:
    """Whether the sound of one packet is silence."""
    return level_dbfs(piece.samples) < QUIET_DBFS


def _after_gap(piece: Piece, end: int | None) -> Samples | None:
    """The piece's sound, led by silence for a gap since `end`; None for one that was overtaken."""
    gap = 0 if end is None else piece.position - end
    if gap < 0:
        return None
    return piece.samples if gap == 0 else np.concatenate((np.zeros(min(gap, GAP_LIMIT), np.int16), piece.samples))
