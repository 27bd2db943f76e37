"""Voice activity by energy: when somebody starts and stops making sound.

The level of each 10 ms window is compared with two thresholds (hysteresis), as in the usual squelch: speech begins
when a window reaches the upper one and stays above the lower one for the attack time, and ends when it stays below
the lower one for the release time. Times given are those of the sound itself, not of the moment of decision.

Left out: telling speech from noise or music; this detector hears loudness only.
"""

from typing import Literal, NamedTuple

import numpy as np

from cordboard.media.samples import Samples, power_of_dbfs

WINDOW_MS = 10
"""Length of a window: short against a syllable (150 ms and more), long against a period of the lowest voice (12 ms)."""

HYSTERESIS_DB = 6.0
"""Distance of the lower threshold from the upper: half the amplitude, so that a swinging level does not chatter."""


class VoiceEvent(NamedTuple):
    """A change of voice activity; equal to the plain tuple (kind, sample)."""

    kind: Literal["started", "stopped"]
    """What happened."""
    sample: int
    """Index of the first sample of the sound, or of the first sample after it, counted from the start of the stream."""


class VoiceActivity:
    """Detector over one stream of samples; chunks may have any length, the result does not depend on them."""

    def __init__(self, rate: int, threshold_dbfs: float = -40.0, attack_ms: int = 40, release_ms: int = 300) -> None:
        """`rate` in Hz, `threshold_dbfs` as in `samples.level_dbfs`; attack and release count in windows of 10 ms,
        rounded up, at least one. ValueError for a rate without whole windows."""
        window, rest = divmod(rate * WINDOW_MS, 1000)
        if rest or window <= 0:
            raise ValueError(f"{rate} Hz has no whole number of samples in {WINDOW_MS} ms")
        self._window = window
        self._upper = power_of_dbfs(threshold_dbfs) * window
        self._lower = power_of_dbfs(threshold_dbfs - HYSTERESIS_DB) * window
        self._attack = max(1, -(-attack_ms // WINDOW_MS))
        self._release = max(1, -(-release_ms // WINDOW_MS))
        self.reset()

    def reset(self) -> None:
        """Forgets everything; the next sample has index 0."""
        self._rest: Samples = np.empty(0, np.int16)
        self._position = 0
        self._speaking = False
        self._run = 0

    @property
    def speaking(self) -> bool:
        """Whether the last event was "started"."""
        return self._speaking

    def process(self, samples: Samples) -> list[VoiceEvent]:
        """Takes the next samples; the changes that they settle, in order."""
        if self._rest.size:
            samples = np.concatenate((self._rest, samples))
        window = self._window
        count = samples.size // window
        self._rest = samples[count * window :].copy()
        if not count:
            return []
        wide = samples[: count * window].astype(np.float64).reshape(count, window)
        events: list[VoiceEvent] = []
        for energy in np.einsum("ij,ij->i", wide, wide).tolist():
            self._take(energy, events)
        return events

    def finish(self) -> list[VoiceEvent]:
        """Ends the stream: running speech stops where its last loud window ended."""
        if not self._speaking:
            return []
        self._speaking = False
        quiet, self._run = self._run, 0
        return [VoiceEvent("stopped", self._position - quiet * self._window)]

    def _take(self, energy: float, events: list[VoiceEvent]) -> None:
        """One window. `_run` counts the loud windows of a candidate, or the quiet ones while speaking."""
        self._position += self._window
        if self._speaking:
            self._run = self._run + 1 if energy < self._lower else 0
            if self._run >= self._release:
                self._speaking = False
                events.append(VoiceEvent("stopped", self._position - self._run * self._window))
                self._run = 0
            return
        if energy < self._lower or (self._run == 0 and energy < self._upper):
            self._run = 0
            return
        self._run += 1
        if self._run >= self._attack:
            self._speaking = True
            events.append(VoiceEvent("started", self._position - self._run * self._window))
            self._run = 0
