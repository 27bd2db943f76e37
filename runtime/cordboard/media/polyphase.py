"""Live change between rates in any small ratio: what agents that speak at 24 or 44.1 kHz need.

A windowed sinc (Kaiser, beta 7) of 16 periods of the slower rate on each side, cut into one phase per fraction of an
input sample. Pass band to 0.42 of the slower rate, stop band from 0.58 of it, as in `resample`, which does 8 and
16 kHz at a fraction of the cost. Delay: 16 periods of the slower rate, 2 ms at 8 kHz.

Taps are whole numbers in units of 2^-18 and sums are exact, so any split of a stream gives the same bits. Every phase
sums to exactly one: a constant level comes out unchanged.

Left out: ratios whose table would be large (see MAX_PHASES).
"""

from functools import lru_cache
from math import ceil, gcd

import numpy as np
import numpy.typing as npt

from cordboard.media.samples import Samples

MAX_PHASES = 441
"""Largest term of a ratio: 8 to 44.1 kHz is 80 to 441; its table has 441 phases of 33 taps."""

_PERIODS = 16
"""Periods of the slower rate on each side of the middle, as in the half-band filter."""

_KAISER_BETA = 7.0
"""About 70 dB of stop band, as in the half-band filter."""

_UNIT = 1 << 18
"""One, in the fixed point of the taps."""


@lru_cache(maxsize=16)
def _phases(up: int, down: int) -> npt.NDArray[np.float64]:
    """Taps of shape (up, taps per phase), in the order in which input samples stand in memory."""
    middle = _delay(up, down) * down
    taps = -(-(2 * middle + 1) // up)
    line = np.zeros(taps * up)
    place = np.arange(2 * middle + 1) - middle
    line[: place.size] = np.sinc(place / max(up, down)) * np.kaiser(place.size, _KAISER_BETA)
    phases = line.reshape(taps, up).T[:, ::-1]
    table: npt.NDArray[np.float64] = np.rint(phases / phases.sum(axis=1, keepdims=True) * _UNIT)
    table[np.arange(up), np.argmax(table, axis=1)] += _UNIT - table.sum(axis=1)
    table.setflags(write=False)
    return table


def _delay(up: int, down: int) -> int:
    return ceil(_PERIODS * max(up, down) / down)


class Polyphase:
    """Changes `source_rate` to `sink_rate` (Hz); chunks of any length, each answered at once."""

    def __init__(self, source_rate: int, sink_rate: int) -> None:
        """ValueError for a ratio whose terms pass MAX_PHASES, or for a rate that is none."""
        if source_rate <= 0 or sink_rate <= 0:
            raise ValueError(f"{source_rate} and {sink_rate} Hz are no rates")
        common = gcd(source_rate, sink_rate)
        self._up, self._down = sink_rate // common, source_rate // common
        if max(self._up, self._down) > MAX_PHASES:
            raise ValueError(f"the ratio {self._up}/{self._down} passes {MAX_PHASES}")
        self._table = _phases(self._up, self._down)
        self.delay_samples = _delay(self._up, self._down)
        """Delay of the sound, in samples of the output."""
        self.reset()

    def reset(self) -> None:
        """Forgets the past: nothing of it sounds in what follows."""
        self._past = np.zeros(self._table.shape[1] - 1)
        self._time = 0  # of the next output after the past, in units of 1/up input samples

    def process(self, samples: Samples) -> Samples:
        """The next samples at the source rate; what they make complete at the sink rate."""
        count = samples.size
        line = np.concatenate((self._past, samples), dtype=np.float64)
        self._past = line[count:]
        out = max(0, -((self._time - count * self._up) // self._down))
        times = self._time + self._down * np.arange(out)
        self._time += out * self._down - count * self._up
        if not out:
            return np.empty(0, np.int16)
        index, phase = np.divmod(times, self._up)
        windows = np.lib.stride_tricks.sliding_window_view(line, self._table.shape[1])[index]
        filtered = np.einsum("ij,ij->i", windows, self._table[phase])
        filtered *= 1 / _UNIT
        return np.asarray(np.clip(np.rint(filtered), -32768, 32767), np.int16)
