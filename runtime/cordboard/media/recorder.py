"""Recordings that survive a crash: the bytes of a WAV file that only ever grows, and what finishes it.

The media plane writes `header()` once and appends what `StereoTrack.flush` gives, about once a second. Sizes in the
header say 0xFFFFFFFF, "until the end of the file", which players and `wav.read_wav` accept; a file cut at any octet
loses at most its last block. After the call the finisher runs `repair` and, if wanted, `to_pcm16`.

The caller is the left channel, the other side the right one. µ-law at 8 kHz is stored as it was heard, 16 bits at
16 kHz when the recording is asked for in high definition.

Left out: mixing, compression, encryption, fsync (a machine that loses power loses what the kernel held).
"""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cordboard.media.chain import PCMU_8000, Format, UnsupportedConversion
from cordboard.media.g711 import ULAW_SILENCE
from cordboard.media.wav import PCM, ULAW, UNKNOWN_SIZE, WavError, decode_block, form_header, read_layout

CHANNELS = 2
"""Left: the caller. Right: everybody else."""

MAX_PENDING = 1500
"""Frames of one channel that wait for a flush: thirty seconds of 20 ms, far above the one second of the writer."""

_COPY_SAMPLES = 1 << 16
"""Samples converted at a time by `to_pcm16`: bounded memory, few system calls."""

_STORED = {"PCMU": (ULAW, 1), "L16": (PCM, 2)}
"""Format tag and octets per sample by encoding."""


def header(channels: int = CHANNELS, rate: int = 8000, encoding: str = "PCMU") -> bytes:
    """Header of a growing file: µ-law ("PCMU") or 16-bit PCM ("L16"), sizes unknown. ValueError for other encodings."""
    if encoding not in _STORED:
        raise ValueError(f"recordings are PCMU or L16, not {encoding}")
    tag, width = _STORED[encoding]
    return form_header(tag, channels, rate, width)


class StereoTrack:
    """Two channels on one time line of samples, interleaved block by block.

    Putting a frame in is one append; all else happens in `flush`. Where two frames of a channel overlap the later
    one is kept; where there is none, and while it is muted, stands silence.
    """

    def __init__(self, form: Format = PCMU_8000) -> None:
        """`form`: PCMU or L16 at any rate; UnsupportedConversion for PCMA."""
        if form.encoding not in _STORED:
            raise UnsupportedConversion(form, PCMU_8000, "recordings are PCMU or L16")
        self._kind = np.dtype("<i2") if form.encoding == "L16" else np.dtype(np.uint8)
        self._silence = 0 if form.encoding == "L16" else ULAW_SILENCE
        self._left: list[tuple[int, bytes]] = []
        self._right: list[tuple[int, bytes]] = []
        self.flushed = 0
        """Samples of each channel given out so far: the length of the file."""
        self.late = 0
        """Samples that came after their place had been given out."""
        self.overflow = 0
        """Frames dropped because nobody flushed."""
        self._mutes: list[tuple[int, int | None]] = []
        """[begin, end) of what is silent and not flushed yet; None: it goes on."""

    def left(self, payload: bytes, at_sample: int) -> None:
        """A frame of the left channel that begins at `at_sample`."""
        self._put(self._left, payload, at_sample)

    def right(self, payload: bytes, at_sample: int) -> None:
        """A frame of the right channel that begins at `at_sample`."""
        self._put(self._right, payload, at_sample)

    def mute(self, at_sample: int) -> None:
        """Both channels are silent from that sample on, whatever frames say; what is flushed already stays."""
        if not self.muted:
            self._mutes.append((at_sample, None))

    def unmute(self, at_sample: int) -> None:
        """Both channels are heard again from that sample on."""
        if self.muted:
            self._mutes[-1] = self._mutes[-1][0], at_sample

    @property
    def muted(self) -> bool:
        """`mute` was the last word."""
        return bool(self._mutes) and self._mutes[-1][1] is None

    def flush(self, upto_sample: int) -> bytes:
        """The interleaved block from `flushed` to `upto_sample`; empty if that is past. Frames beyond it wait."""
        count = upto_sample - self.flushed
        if count <= 0:
            return b""
        block = np.full((count, CHANNELS), self._silence, self._kind)
        self._left = self._lay(self._left, block[:, 0])
        self._right = self._lay(self._right, block[:, 1])
        for begin, end in self._mutes:
            block[max(0, begin - self.flushed) : count if end is None else max(0, end - self.flushed)] = self._silence
        self._mutes = [mute for mute in self._mutes if mute[1] is None or mute[1] > upto_sample]
        self.flushed = upto_sample
        return block.tobytes()

    def _put(self, frames: list[tuple[int, bytes]], payload: bytes, at_sample: int) -> None:
        if len(frames) >= MAX_PENDING:
            self.overflow += 1
            return
        frames.append((at_sample, payload))

    def _lay(self, frames: list[tuple[int, bytes]], line: npt.NDArray[np.generic]) -> list[tuple[int, bytes]]:
        """Copies frames onto `line`, which begins at `flushed`; what reaches beyond its end is returned."""
        rest: list[tuple[int, bytes]] = []
        width, count = self._kind.itemsize, line.size
        for at_sample, payload in frames:
            begin = at_sample - self.flushed
            samples = np.frombuffer(payload, self._kind, len(payload) // width)
            end = begin + samples.size
            if begin < 0:
                self.late += min(-begin, samples.size)
                samples, begin = samples[-begin:], 0
            if end > count:
                fits = max(0, count - begin)
                rest.append((self.flushed + begin + fits, samples[fits:].tobytes()))
                samples = samples[:fits]
            if samples.size:
                line[begin : begin + samples.size] = samples
        return rest


def repair(path: str | Path, form: Format = PCMU_8000, channels: int = CHANNELS) -> int:
    """Gives a file cut at any octet its true sizes, in place; the samples per channel that it holds.

    A last block that is not whole is cut off. A file too short for its header becomes an empty recording of `form`.
    Running it again changes nothing. WavError for a file that is no recording of ours.
    """
    name = Path(path).name
    with open(path, "r+b") as file:
        try:
            layout = read_layout(file, name)
        except WavError:
            expected = header(channels, form.rate, form.encoding)
            file.seek(0)
            written = file.read(len(expected))
            if len(written) == len(expected) or not expected.startswith(written):
                raise
            tag, width = _STORED[form.encoding]
            file.seek(0)
            file.write(form_header(tag, channels, form.rate, width, 0))
            return 0
        whole = form_header(layout.tag, layout.channels, layout.rate, layout.bytes_per_sample, layout.size)
        if len(whole) != layout.start:
            raise WavError(name, "data", f"the sound begins at {layout.start}, this is no recording of ours")
        if layout.declared == UNKNOWN_SIZE:
            end = layout.start + layout.size
            file.truncate(end)
            file.seek(0)
            file.write(whole)
            if layout.size & 1:
                file.seek(end)
                file.write(b"\0")
    return layout.size // layout.block


def to_pcm16(path_in: str | Path, path_out: str | Path) -> None:
    """Writes the sound of a WAV file, finished or not, as 16-bit PCM that any program plays.

    `path_out` appears whole or not at all: a file beside it, ending in `.part`, takes its name at the end. WavError
    for an unreadable file or one whose PCM form passes 4 GiB.
    """
    name = Path(path_in).name
    part = Path(f"{path_out}.part")
    with open(path_in, "rb") as source:
        layout = read_layout(source, name)
        samples = layout.size // layout.block
        size = samples * layout.channels * 2
        if size + 64 >= UNKNOWN_SIZE:
            raise WavError(name, "data", f"{size} octets of PCM do not fit a WAV file")
        source.seek(layout.start)
        try:
            with open(part, "wb") as sink:
                sink.write(form_header(PCM, layout.channels, layout.rate, 2, size))
                for start in range(0, samples, _COPY_SAMPLES):
                    data = source.read(min(_COPY_SAMPLES, samples - start) * layout.block)
                    sink.write(decode_block(layout, data).astype("<i2", copy=False).tobytes())
            os.replace(part, path_out)
        finally:
            part.unlink(missing_ok=True)
