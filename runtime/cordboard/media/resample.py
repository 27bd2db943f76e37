"""Live change of rate between 8 and 16 kHz: a streaming half-band filter in two phases.

One filter of 63 taps (sinc, Kaiser window with beta 7) serves both directions. In a half-band filter every second tap
is zero but the middle one, so each direction costs 32 products per sample of the slow side plus a copy.

Measured by the tests of this module: pass band 0 to 3 400 Hz flat within 0.01 dB, everything from 4 600 Hz on (aliases
and images of the telephone band) at least 70 dB down. Group delay: 31 samples at 16 kHz, 1.94 ms.

The taps are whole numbers in units of 2^-18 and products are summed in double precision, where every such sum is
exact: any split of a stream gives the same bits, on any machine.

Left out: other ratios (see `polyphase`); prompts and recordings go through soxr, off the live path.
"""

import numpy as np
import numpy.typing as npt

from cordboard.media.samples import Samples

TAPS = 63
"""Length of the filter at the fast rate; sets the delay, (63 - 1) / 2 samples at 16 kHz."""

_KAISER_BETA = 7.0
"""About 70 dB of stop band, below the noise of G.711 (38 dB below speech)."""

_UNIT = 1 << 18
"""One, in the fixed point of the taps."""

_PHASE = (TAPS + 1) // 2
"""Taps of the phase that does the work: 32."""

_MIDDLE = TAPS // 4
"""Place of the middle tap within the other phase: 15 slow samples."""


def _half_band_phase() -> npt.NDArray[np.float64]:
    """The 32 taps beside the middle one, symmetric, scaled to a sum of exactly `_UNIT`."""
    place = np.arange(0, TAPS, 2) - TAPS // 2
    taps = np.sinc(place / 2) * np.kaiser(TAPS, _KAISER_BETA)[::2]
    whole: npt.NDArray[np.float64] = np.rint(taps / taps.sum() * _UNIT)
    # Rounding is symmetric, so what is missing is even and the two middle taps share it.
    missing = _UNIT - whole.sum()
    whole[_PHASE // 2 - 1 : _PHASE // 2 + 1] += missing / 2
    return whole


_WORKING_PHASE = _half_band_phase()


def _to_int16(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rounds and limits in place; a loud step overshoots full scale by some per cent."""
    np.rint(values, out=values)
    np.minimum(values, 32767.0, out=values)
    np.maximum(values, -32768.0, out=values)
    return values


class Up2:
    """Doubles the rate: n samples in, 2·n out, each chunk at once."""

    delay_samples = TAPS // 2
    """Delay of the sound, in samples of the output."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the past: nothing of it sounds in what follows."""
        self._past = np.zeros(_PHASE - 1)

    def process(self, samples: Samples) -> Samples:
        """The next samples at the slow rate; twice as many at the fast one."""
        count = samples.size
        if not count:
            return np.empty(0, np.int16)
        line = np.concatenate((self._past, samples), dtype=np.float64)
        self._past = line[count:]
        out = np.empty(2 * count, np.int16)
        filtered = np.correlate(line, _WORKING_PHASE, "valid")
        filtered *= 1 / _UNIT
        out[0::2] = _to_int16(filtered)
        start = _PHASE - 1 - _MIDDLE
        out[1::2] = line[start : start + count]
        return out


class Down2:
    """Halves the rate: pairs of samples in, one out. A single sample left over waits for its partner."""

    delay_samples = _MIDDLE
    """Delay of the sound, in samples of the output."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the past, a waiting sample included."""
        self._even_past = np.zeros(_MIDDLE)
        self._odd_past = np.zeros(_PHASE - 1)
        self._waiting: Samples = np.empty(0, np.int16)

    def process(self, samples: Samples) -> Samples:
        """The next samples at the fast rate; half as many at the slow one."""
        if self._waiting.size:
            samples = np.concatenate((self._waiting, samples))
        count = samples.size // 2
        self._waiting = samples[2 * count :].copy()
        if not count:
            return np.empty(0, np.int16)
        even = np.concatenate((self._even_past, samples[0 : 2 * count : 2]), dtype=np.float64)
        odd = np.concatenate((self._odd_past, samples[1 : 2 * count : 2]), dtype=np.float64)
        self._even_past, self._odd_past = even[count:], odd[count:]
        filtered = np.correlate(odd, _WORKING_PHASE, "valid")
        filtered *= 0.5 / _UNIT
        filtered += 0.5 * even[:count]
        return _to_int16(filtered).astype(np.int16)
