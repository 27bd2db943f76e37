"""Measuring sound: which tone is in it, how pure, and where it is silent. For tests, demonstrations and checks of
lines; nothing on the live path uses it.

A tone is found with a Hann window and the discrete Fourier transform; the share of a tone is the part of the whole
energy (without direct current) that lies within the main lobe of the window around it.

Left out: speech measures.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cordboard.media.samples import Samples, level_dbfs, power_of_dbfs

_LOBE = 3
"""Bins on each side that hold the main lobe of a Hann window: two, and half of one as tones fall between bins."""

_SILENCE_WINDOW_MS = 5
"""Resolution of `longest_silence`."""


class Tone(NamedTuple):
    """A tone found; equal to the plain tuple (hz, share)."""

    hz: float
    """Frequency, interpolated between bins."""
    share: float
    """Part of the energy that it holds, 0 … 1."""


def _power(samples: Samples) -> npt.NDArray[np.float64]:
    """Energy by bin, direct current and its lobe removed."""
    wide = samples.astype(np.float64)
    spectrum = np.fft.rfft((wide - wide.mean()) * np.hanning(wide.size))
    return np.asarray(np.abs(spectrum) ** 2, np.float64)


def _share(power: npt.NDArray[np.float64], place: int) -> float:
    total = float(power.sum())
    return float(power[max(0, place - _LOBE) : place + _LOBE + 1].sum()) / total if total else 0.0


def dominant_tone(samples: Samples, rate: int) -> Tone:
    """The strongest tone; (0, 0) for silence and for less than 16 samples."""
    if samples.size < 16:
        return Tone(0.0, 0.0)
    power = _power(samples)
    place = int(np.argmax(power))
    if not power[place]:
        return Tone(0.0, 0.0)
    shift = 0.0
    if 0 < place < power.size - 1:
        # Parabola through the logarithms of the three highest bins.
        left, top, right = np.log(power[place - 1 : place + 2] + 1e-12).tolist()
        bend = left - 2 * top + right
        shift = (left - right) / (2 * bend) if bend else 0.0
    return Tone((place + shift) * rate / samples.size, _share(power, place))


def tone_share(samples: Samples, rate: int, hz: float) -> float:
    """Part of the energy, 0 … 1, that lies at `hz`. ValueError outside 0 … rate/2."""
    if not 0 <= hz <= rate / 2:
        raise ValueError(f"{hz} Hz does not exist at a rate of {rate} Hz")
    if samples.size < 16:
        return 0.0
    return _share(_power(samples), round(hz * samples.size / rate))


def longest_silence(samples: Samples, rate: int, threshold_dbfs: float = -50.0) -> float:
    """Seconds of the longest stretch whose every 5 ms window stays below `threshold_dbfs`."""
    window = max(1, rate * _SILENCE_WINDOW_MS // 1000)
    count = samples.size // window
    if not count:
        return samples.size / rate if level_dbfs(samples) < threshold_dbfs else 0.0
    wide = samples[: count * window].astype(np.float64).reshape(count, window)
    loud = np.flatnonzero(np.einsum("ij,ij->i", wide, wide) >= power_of_dbfs(threshold_dbfs) * window)
    edges = np.concatenate(([-1], loud, [count]))
    return float(np.diff(edges).max() - 1) * window / rate
