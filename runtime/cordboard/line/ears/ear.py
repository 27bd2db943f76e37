"""What the caller says, as text: the interface of all recognisers, and how they fail.

An ear hears one call. It gets all of the caller's audio and is told where utterances begin and end; one that finds
turns itself says so by `turns`. Leaves out partial results: an agent program is told whole utterances (reference
cartesia-protocols §3.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import Protocol

import numpy as np

from cordboard.line.ears.turns import TurnDetector
from cordboard.media.samples import Samples

EAR_TIMEOUT = 3.0
"""Seconds from the end of an utterance to its text: a caller takes a longer silence for a dead line."""

PRE_ROLL = 0.4
"""Seconds of sound before a detector says "started" that belong to the utterance: its attack time and a soft onset."""

MAX_UTTERANCE_SECONDS = 30.0
"""Of a longer utterance its end is kept: nobody answers more at once, and memory is bounded."""


class EarFault(Exception):
    """The recogniser has no text because it failed, not because it understood nothing. Its text holds no secret."""


class Ear(Protocol):
    """Hears one call. Nothing but `finish` fails: what else goes wrong is told by the next `finish`."""

    @property
    def turns(self) -> TurnDetector | None:
        """Finds the caller's turns, when this recogniser does so itself; None leaves it to whoever owns the ear."""

    def receive_audio(self, samples: Samples) -> None:
        """All of the caller's audio, silence included, in order."""

    def use_language(self, language: str) -> bool:
        """Understand this language (`es`) from the next utterance on; False: it has one of its own."""

    def start(self) -> None:
        """The caller began to speak, up to `PRE_ROLL` ago."""

    def finish(self) -> Awaitable[str]:
        """The caller fell silent. The call itself ends the utterance, so that audio may go on at once; what is awaited
        is the text of what was said since `start`, "" when it was not understood. Raises `EarFault`."""

    async def close(self) -> None:
        """The call is over; nothing is left of the ear."""


class Ears(Protocol):
    """Makes ears."""

    def open(self, rate: int, language: str = "") -> Ear:
        """Return the ear of a new call, inside a running loop; `rate` of its samples in Hz. `language` is as in
        `Ear.use_language`."""


class Utterance:
    """The sound of one utterance, with its pre-roll, as recognisers need it that take it whole."""

    def __init__(self, rate: int) -> None:
        self._before = round(PRE_ROLL * rate)
        self._limit = self._before + round(MAX_UTTERANCE_SECONDS * rate)
        self._parts: deque[Samples] = deque()
        self._size = 0
        self._open = False

    def receive_audio(self, samples: Samples) -> None:
        """The next samples; the oldest are forgotten where there are too many."""
        self._parts.append(samples)
        self._size += samples.size
        limit = self._limit if self._open else self._before
        while self._size > limit:
            first = self._parts.popleft()
            kept = first[min(first.size, self._size - limit) :]
            self._size -= first.size - kept.size
            if kept.size:
                self._parts.appendleft(kept)

    def start(self) -> None:
        """From here on all is kept, with what came just before."""
        self._open = True

    def take(self) -> Samples:
        """Return the utterance and begin anew, without a pre-roll: what was taken is not heard twice."""
        sound: Samples = np.concatenate(self._parts) if self._parts else np.empty(0, np.int16)
        self._parts.clear()
        self._size = 0
        self._open = False
        return sound
