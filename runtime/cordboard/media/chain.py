"""What happens to audio between a source and a sink: the one visible place where encodings meet.

The same encoding at both ends passes bytes through. Otherwise: decode by table, change the rate, encode by table; a
chain prints itself as the list of its steps. L16 is 16-bit linear, little-endian, as the agents' `pcm_16000` is; it
never goes on the wire as RTP, whose L16 is big-endian (RFC 3551 section 4.5.11).

Left out: rates beyond those in RATES, and more than one channel.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np

from cordboard.media import g711
from cordboard.media.polyphase import Polyphase
from cordboard.media.resample import Down2, Up2
from cordboard.media.samples import Samples, samples_per_frame

Encoding = Literal["PCMU", "PCMA", "L16"]


class UnsupportedConversion(ValueError):
    """No chain leads from one format to the other."""

    def __init__(self, source: "Format", sink: "Format", reason: str) -> None:
        super().__init__(f"{source} cannot become {sink}: {reason}")
        self.source = source
        self.sink = sink


@dataclass(frozen=True, slots=True)
class Format:
    """An encoding at a rate, one channel."""

    encoding: Encoding
    """Name as in SDP (RFC 3551), L16 being little-endian inside."""
    rate: int
    """Samples per second."""

    @property
    def samples_per_frame(self) -> int:
        """Samples of a 20 ms frame."""
        return samples_per_frame(self.rate)

    @property
    def bytes_per_sample(self) -> int:
        """Octets of one sample: 1 or 2."""
        return 2 if self.encoding == "L16" else 1

    @property
    def bytes_per_frame(self) -> int:
        """Octets of a 20 ms frame."""
        return self.samples_per_frame * self.bytes_per_sample

    @property
    def silence(self) -> bytes:
        """A 20 ms frame of silence."""
        return _SILENCE[self.encoding] * self.samples_per_frame

    def __str__(self) -> str:
        return f"{self.encoding}/{self.rate}"


PCMU_8000 = Format("PCMU", 8000)
PCMA_8000 = Format("PCMA", 8000)
L16_8000 = Format("L16", 8000)
L16_16000 = Format("L16", 16000)
L16_24000 = Format("L16", 24000)
L16_44100 = Format("L16", 44100)

RATES = (8000, 16000, 24000, 44100)
"""Rates in Hz that live audio may have: of telephone legs, and of agents (`pcm_16000`, `_24000`, `_44100`)."""

_Resampler = Up2 | Down2 | Polyphase


def _l16_decode(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _l16_encode(samples: Samples) -> bytes:
    return samples.tobytes() if sys.byteorder == "little" else samples.astype("<i2").tobytes()


class _Codec(NamedTuple):
    decode: Callable[[bytes], Samples]
    encode: Callable[[Samples], bytes]


_CODECS: dict[Encoding, _Codec] = {
    "PCMU": _Codec(g711.ulaw_decode, g711.ulaw_encode),
    "PCMA": _Codec(g711.alaw_decode, g711.alaw_encode),
    "L16": _Codec(_l16_decode, _l16_encode),
}

_SILENCE: dict[Encoding, bytes] = {
    "PCMU": bytes([g711.ULAW_SILENCE]),
    "PCMA": bytes([g711.ALAW_SILENCE]),
    "L16": b"\0\0",
}

_LAW_TO_LAW: dict[tuple[Encoding, Encoding], tuple[str, Callable[[bytes], bytes]]] = {
    ("PCMU", "PCMA"): ("µ-law to A-law", g711.ulaw_to_alaw),
    ("PCMA", "PCMU"): ("A-law to µ-law", g711.alaw_to_ulaw),
}


def decode(data: bytes, source: Format) -> Samples:
    """Linear samples of `data`, at the rate it has. ValueError when L16 holds half a sample."""
    return _CODECS[source.encoding].decode(data)


def encode(samples: Samples, sink: Format) -> bytes:
    """Octets of `samples`, which already have the rate of `sink`."""
    return _CODECS[sink.encoding].encode(samples)


class Chain:
    """The steps from one format to another, with the state that a change of rate keeps between frames."""

    __slots__ = ("_process", "_resampler", "_steps", "sink", "source")

    def __init__(
        self,
        source: Format,
        sink: Format,
        steps: tuple[str, ...],
        process: Callable[[bytes], bytes],
        resampler: _Resampler | None = None,
    ) -> None:
        """Made by `build_chain`."""
        self.source = source
        self.sink = sink
        self._steps = steps
        self._process = process
        self._resampler = resampler

    @property
    def samples_per_frame(self) -> int:
        """Samples of a 20 ms frame of the source."""
        return self.source.samples_per_frame

    @property
    def is_identity(self) -> bool:
        """Whether bytes pass through unchanged."""
        return self.source == self.sink

    @property
    def delay(self) -> float:
        """Seconds by which the chain delays sound."""
        return self._resampler.delay_samples / self.sink.rate if self._resampler else 0.0

    def process(self, data: bytes) -> bytes:
        """Audio of the source, any length, as audio of the sink. ValueError when L16 holds half a sample."""
        return self._process(data)

    def reset(self) -> None:
        """Forgets what the filters hold, so that nothing of the past sounds in what follows."""
        if self._resampler is not None:
            self._resampler.reset()

    def __str__(self) -> str:
        return " → ".join((str(self.source), *self._steps, str(self.sink)))


def build_chain(source: Format, sink: Format) -> Chain:
    """The chain from `source` to `sink`; UnsupportedConversion where there is none."""
    for each in (source, sink):
        if each.encoding not in _CODECS:
            raise UnsupportedConversion(source, sink, f"no codec {each.encoding}")
        if each.rate not in RATES:
            raise UnsupportedConversion(source, sink, f"{each.rate} Hz is not one of {RATES}")
    if source == sink:
        return Chain(source, sink, (), _unchanged)
    decode_step, encode_step = _CODECS[source.encoding].decode, _CODECS[sink.encoding].encode
    if source.rate == sink.rate:
        if (law := _LAW_TO_LAW.get((source.encoding, sink.encoding))) is not None:
            return Chain(source, sink, (law[0],), law[1])
        if sink.encoding == "L16":
            return Chain(source, sink, ("decode",), lambda data: encode_step(decode_step(data)))
        return Chain(source, sink, ("encode",), lambda data: encode_step(decode_step(data)))
    resampler = _build_resampler(source.rate, sink.rate)
    change = resampler.process
    steps: tuple[str, ...] = (_ratio(source.rate, sink.rate),)
    if source.encoding != "L16":
        steps = ("decode", *steps)
    if sink.encoding != "L16":
        steps = (*steps, "encode")
    return Chain(source, sink, steps, lambda data: encode_step(change(decode_step(data))), resampler)


def _build_resampler(source_rate: int, sink_rate: int) -> _Resampler:
    """The half-band filter where it does, being the cheapest; the general one elsewhere."""
    if sink_rate == 2 * source_rate:
        return Up2()
    if source_rate == 2 * sink_rate:
        return Down2()
    return Polyphase(source_rate, sink_rate)


def _ratio(source_rate: int, sink_rate: int) -> str:
    """The change of rate as a step: ×2, ÷2, ×80/441."""
    ratio = Fraction(sink_rate, source_rate)
    return f"÷{ratio.denominator}" if ratio.numerator == 1 else f"×{ratio}"


def _unchanged(data: bytes) -> bytes:
    return data
