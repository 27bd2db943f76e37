"""G.711: µ-law and A-law, both directions, as tables.

Follows ITU-T G.711 (11/88) tables 1a to 2b, in the 16-bit scale of the reference software of ITU-T G.191: µ-law's
14 bits and A-law's 13 bits stand at the top of the 16-bit word. Negative values are folded by one's complement as
G.191 does, so that -32768 needs no special case and both halves of the scale have the same number of steps.

Left out: tables 3 and 4 of G.711 (law-to-law conversion made to survive several conversions in a row). Here A-law to
µ-law is "decode, then encode": exact to half a step of the other law, and back again to one step.

Cost: decoding is one table look-up per sample, encoding one look-up in a 64 KiB table, law to law one
`bytes.translate`.
"""

import numpy as np
import numpy.typing as npt

from cordboard.media.samples import Samples

ULAW_SILENCE = 0xFF
"""Code of µ-law for +0."""

ALAW_SILENCE = 0xD5
"""Code of A-law for the smallest positive value (A-law has no zero)."""

_ULAW_BIAS = 33
"""Added to a 14-bit magnitude so that every µ-law segment starts at a power of two (G.711 table 2a)."""

_ULAW_CLIP = 8191 - 33
"""Largest 14-bit magnitude that, with the bias, still fits 13 bits."""


def _ulaw_decode_table() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = code >> 4 & 7, code & 15
    magnitude = (((step << 1) + _ULAW_BIAS) << segment) - _ULAW_BIAS
    return np.where(code & 0x80, -magnitude * 4, magnitude * 4).astype(np.int16)


def _alaw_decode_table() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = code >> 4 & 7, code & 15
    linear = (step << 1) + 1
    magnitude = np.where(segment == 0, linear, (linear + 32) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude * 8, -magnitude * 8).astype(np.int16)


def _every_sample() -> npt.NDArray[np.int32]:
    """All 16-bit values in the order of their bit patterns taken as unsigned: 0 … 32767, -32768 … -1."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _segments(magnitude: npt.NDArray[np.int32], first_bit: int) -> npt.NDArray[np.int32]:
    """Segment 0 … 7: how many of the thresholds 2^first_bit, 2^(first_bit+1) … the magnitude has reached."""
    thresholds = 1 << np.arange(first_bit, first_bit + 7)
    return np.searchsorted(thresholds, magnitude, side="right").astype(np.int32)


def _ulaw_encode_table() -> npt.NDArray[np.uint8]:
    value = _every_sample()
    magnitude = np.minimum(np.where(value < 0, ~value, value) >> 2, _ULAW_CLIP) + _ULAW_BIAS
    segment = _segments(magnitude, 6)
    code = (segment << 4) | (magnitude >> (segment + 1) & 15) | np.where(value < 0, 0x80, 0)
    return np.asarray(~code & 0xFF, np.uint8)


def _alaw_encode_table() -> npt.NDArray[np.uint8]:
    value = _every_sample()
    magnitude = np.where(value < 0, ~value, value) >> 4
    segment = _segments(magnitude, 4)
    code = (segment << 4) | (magnitude >> np.maximum(segment - 1, 0) & 15) | np.where(value < 0, 0, 0x80)
    return np.asarray((code ^ 0x55) & 0xFF, np.uint8)


_ULAW_DECODE = _ulaw_decode_table()
_ALAW_DECODE = _alaw_decode_table()
_ULAW_ENCODE = _ulaw_encode_table()
_ALAW_ENCODE = _alaw_encode_table()
_ALAW_TO_ULAW = _ULAW_ENCODE.take(_ALAW_DECODE.view(np.uint16)).tobytes()
_ULAW_TO_ALAW = _ALAW_ENCODE.take(_ULAW_DECODE.view(np.uint16)).tobytes()


def ulaw_decode(data: bytes) -> Samples:
    """µ-law bytes (one per sample) to linear samples, -32124 … 32124."""
    return _ULAW_DECODE.take(np.frombuffer(data, np.uint8))


def ulaw_encode(samples: Samples) -> bytes:
    """Linear samples to µ-law bytes, one per sample."""
    return _ULAW_ENCODE.take(samples.view(np.uint16)).tobytes()


def alaw_decode(data: bytes) -> Samples:
    """A-law bytes (one per sample) to linear samples, -32256 … 32256."""
    return _ALAW_DECODE.take(np.frombuffer(data, np.uint8))


def alaw_encode(samples: Samples) -> bytes:
    """Linear samples to A-law bytes, one per sample."""
    return _ALAW_ENCODE.take(samples.view(np.uint16)).tobytes()


def alaw_to_ulaw(data: bytes) -> bytes:
    """A-law bytes to µ-law bytes of the same length."""
    return data.translate(_ALAW_TO_ULAW)


def ulaw_to_alaw(data: bytes) -> bytes:
    """µ-law bytes to A-law bytes of the same length."""
    return data.translate(_ULAW_TO_ALAW)
