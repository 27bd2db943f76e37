"""When the caller's turns begin and end: the interface of turn detectors, and the one by energy.

A detector sees all of the caller's audio. `silero` has one that knows speech from noise; recognisers may have their
own (`Ear.turns`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cordboard.media.energy import VoiceActivity, VoiceEvent
from cordboard.media.samples import Samples

END_OF_SPEECH_MS = 600
"""Silence after which the caller has finished: longer than a pause between words, the usual end-of-turn time."""


class TurnDetector(Protocol):
    """Follows one call."""

    @property
    def speaking(self) -> bool:
        """Whether the last event was "started"."""

    def process(self, samples: Samples) -> Sequence[VoiceEvent]:
        """Take the next samples; return the changes that they settle, "started" and "stopped" in turn."""


Turns = Callable[[int, float], TurnDetector]
"""Makes the detector of a call, of its rate in Hz and the level in dBFS above which sound may be speech."""


def energy(rate: int, threshold_dbfs: float) -> TurnDetector:
    """Turns by loudness alone (`media.energy`)."""
    return VoiceActivity(rate, threshold_dbfs, release_ms=END_OF_SPEECH_MS)
