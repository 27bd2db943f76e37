"""The one form in which linear audio travels between the modules of this room, and how its level is told.

Linear audio is a one-dimensional numpy array of signed 16-bit samples in native byte order. Levels are in dBFS as
AES17 counts them: a sine that just reaches full scale has 0 dBFS, so a square wave may reach +3 dBFS.
"""

import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

FRAME_MS = 20
"""Milliseconds of one media frame: the default packet time of G.711 in RFC 3551 section 4.2."""

FULL_SCALE = 32768.0
"""Magnitude of the largest 16-bit sample."""

SILENCE_DBFS = -120.0
"""Level reported for digital silence; below anything that 16 bits can hold (one step is about -90 dBFS)."""


def samples_per_frame(rate: int) -> int:
    """Samples of one 20 ms frame at `rate` Hz. ValueError when the rate holds no whole number of samples."""
    count, rest = divmod(rate * FRAME_MS, 1000)
    if rest or count <= 0:
        raise ValueError(f"{rate} Hz has no whole number of samples in {FRAME_MS} ms")
    return count


def power_of_dbfs(level: float) -> float:
    """Mean square, in squared sample steps, of a signal of `level` dBFS."""
    return float(FULL_SCALE * FULL_SCALE / 2 * 10 ** (level / 10))


def level_dbfs(samples: Samples) -> float:
    """Level of the array in dBFS (AES17). Empty or all-zero arrays give SILENCE_DBFS."""
    if samples.size == 0:
        return SILENCE_DBFS
    wide = samples.astype(np.float64)
    power = float(np.dot(wide, wide)) / samples.size
    return max(SILENCE_DBFS, 10 * math.log10(power / power_of_dbfs(0))) if power else SILENCE_DBFS
