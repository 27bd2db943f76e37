"""WAV files: reading what sound editors, other systems and this one write; writing 16-bit PCM.

Follows "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, 1991) and Microsoft's WAVEFORMATEX and
WAVEFORMATEXTENSIBLE. Reads PCM of 8, 16, 24 and 32 bits, A-law and µ-law (format tags 1, 6, 7 and the same as
extensible). A data chunk that claims more than the file holds, 0xFFFFFFFF of a stream above all, ends with the file.

Left out: floating point and compressed formats, RF64, chunks other than `fmt ` and `data`.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from cordboard.media.g711 import alaw_decode, ulaw_decode
from cordboard.media.samples import Samples

PCM, ALAW, ULAW, EXTENSIBLE = 1, 6, 7, 0xFFFE
"""Format tags (RFC 2361 lists them)."""

UNKNOWN_SIZE = 0xFFFFFFFF
"""Size of a chunk that is still being written."""

MAX_READ = 1 << 30
"""Octets of sound that `read_wav` takes into memory: nine hours of µ-law in two channels."""

MAX_CHUNKS = 64
"""Chunks looked at before `data`: editors write ten or so."""

MAX_CHANNELS = 32
"""Channels of a file: the largest surround layouts of WAVEFORMATEXTENSIBLE have fewer."""

MAX_RATE = 768_000
"""Largest rate in Hz: the fastest converters on sale."""

_FORMAT = struct.Struct("<HHIIHH")


class WavError(ValueError):
    """A file that is no WAV or one that cannot be read; names the file and the chunk."""

    def __init__(self, name: str, chunk: str, reason: str) -> None:
        super().__init__(f"{name}: {chunk}: {reason}")
        self.name = name
        self.chunk = chunk


class WavLayout(NamedTuple):
    """Where the sound of a file is and how it is coded."""

    tag: int
    """PCM, ALAW or ULAW; extensible is resolved."""
    rate: int
    """Samples per second."""
    channels: int
    """Channels, interleaved."""
    bytes_per_sample: int
    """Octets of one sample of one channel."""
    start: int
    """Offset of the first octet of sound."""
    size: int
    """Octets of sound, a whole number of blocks, all of them in the file."""
    declared: int
    """Octets of sound that the chunk claims; UNKNOWN_SIZE while it is being written."""

    @property
    def block(self) -> int:
        """Octets of one sample of all channels."""
        return self.channels * self.bytes_per_sample


class Wav(NamedTuple):
    """Sound of a file."""

    rate: int
    """Samples per second."""
    channels: int
    """Number of channels."""
    samples: Samples
    """Array of shape (samples, channels)."""

    def mono(self) -> Samples:
        """One channel: the mean of all, as a one-dimensional array."""
        if self.channels == 1:
            return self.samples[:, 0]
        return np.asarray(np.rint(self.samples.mean(axis=1)), np.int16)


def read_layout(file: BinaryIO, name: str) -> WavLayout:
    """Reads the chunks of an open file up to its sound. WavError for anything that is no readable WAV."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise WavError(name, "RIFF", "the file does not begin with RIFF and WAVE")
    form: tuple[int, int, int, int] | None = None
    place = 12
    for _ in range(MAX_CHUNKS):
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8:
            raise WavError(name, "data" if form else "fmt ", "the chunk is missing")
        kind, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        place += 8
        if kind == b"fmt ":
            form = _read_format(file.read(min(size, 40)), name)
        elif kind == b"data":
            if form is None:
                raise WavError(name, "fmt ", "the chunk is missing before data")
            tag, channels, rate, width = form
            block = channels * width
            held = min(size, length - place)
            return WavLayout(tag, rate, channels, width, place, held - held % block, size)
        place += size + (size & 1)
    raise WavError(name, "data", f"not among the first {MAX_CHUNKS} chunks")


def _read_format(body: bytes, name: str) -> tuple[int, int, int, int]:
    """Tag, channels, rate and octets per sample of a `fmt ` chunk."""
    if len(body) < _FORMAT.size:
        raise WavError(name, "fmt ", f"{len(body)} octets are too few")
    tag, channels, rate, _, block, bits = _FORMAT.unpack_from(body)
    if tag == EXTENSIBLE:
        if len(body) < 40:
            raise WavError(name, "fmt ", "the extension is cut short")
        tag = int.from_bytes(body[24:26], "little")
    if tag not in (PCM, ALAW, ULAW):
        raise WavError(name, "fmt ", f"format {tag} is not PCM, A-law or µ-law")
    if not 1 <= channels <= MAX_CHANNELS:
        raise WavError(name, "fmt ", f"{channels} channels")
    if not 1 <= rate <= MAX_RATE:
        raise WavError(name, "fmt ", f"a rate of {rate} Hz")
    width = -(-bits // 8)
    if width not in ((1, 2, 3, 4) if tag == PCM else (1,)):
        raise WavError(name, "fmt ", f"{bits} bits per sample in format {tag}")
    if block != channels * width:
        raise WavError(name, "fmt ", f"blocks of {block} octets for {channels} channels of {bits} bits")
    return tag, channels, rate, width


def decode_block(layout: WavLayout, data: bytes) -> Samples:
    """Whole blocks of a file as samples of shape (samples, channels). Wider PCM loses its lower bits."""
    if layout.tag == ULAW:
        samples = ulaw_decode(data)
    elif layout.tag == ALAW:
        samples = alaw_decode(data)
    elif layout.bytes_per_sample == 1:
        samples = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    else:
        # Little-endian: the upper two octets of a sample stand last.
        octets = np.frombuffer(data, np.uint8).reshape(-1, layout.bytes_per_sample)
        samples = np.ascontiguousarray(octets[:, -2:]).view("<i2").astype(np.int16, copy=False).reshape(-1)
    return samples.reshape(-1, layout.channels)


def read_wav(path: str | Path) -> Wav:
    """The whole file at `path`. WavError for what is no readable WAV, OSError as `open` has it."""
    name = Path(path).name
    with open(path, "rb") as file:
        layout = read_layout(file, name)
        if layout.size > MAX_READ:
            raise WavError(name, "data", f"{layout.size} octets are more than {MAX_READ}")
        file.seek(layout.start)
        data = file.read(layout.size)
    return Wav(layout.rate, layout.channels, decode_block(layout, data[: len(data) - len(data) % layout.block]))


def form_header(tag: int, channels: int, rate: int, bytes_per_sample: int, size: int = UNKNOWN_SIZE) -> bytes:
    """RIFF header up to the first octet of sound. `size` is that of the sound in octets; A-law and µ-law get the
    `fact` chunk that non-PCM formats need. Sizes that do not fit 32 bits stay UNKNOWN_SIZE."""
    block = channels * bytes_per_sample
    form = _FORMAT.pack(tag, channels, rate, rate * block, block, 8 * bytes_per_sample)
    chunks = b"WAVE"
    if tag == PCM:
        chunks += struct.pack("<4sI", b"fmt ", len(form)) + form
    else:
        form += b"\0\0"
        samples = UNKNOWN_SIZE if size >= UNKNOWN_SIZE else size // block
        chunks += struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sII", b"fact", 4, samples)
    whole = len(chunks) + 8 + size + (size & 1)
    if size >= UNKNOWN_SIZE or whole >= UNKNOWN_SIZE:
        size = whole = UNKNOWN_SIZE
    return struct.pack("<4sI", b"RIFF", whole) + chunks + struct.pack("<4sI", b"data", size)


def write_pcm16(path: str | Path, samples: Samples, rate: int) -> None:
    """Writes `samples`, one-dimensional for one channel or of shape (samples, channels), as 16-bit PCM."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = np.ascontiguousarray(samples, "<i2").tobytes()
    with open(path, "wb") as file:
        file.write(form_header(PCM, channels, rate, 2, len(data)))
        file.write(data)
