"""A call's recording: a WAV file of two channels, left the caller as received, right the agent as a client plays it.

The agent's audio is played one piece after the other from when it came, and what waits is dropped by `clear`; so words
that an interruption cut away are not in the file. Both channels are kept coded beside the file and joined at the end,
off the loop. Leaves out transport: nothing is known of what really reached the caller's ear.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from cordboard.line.speech import FORMATS
from cordboard.media.chain import Format, decode
from cordboard.media.wav import PCM, form_header

MAX_SECONDS: Final = 3600
"""Length of a recording: an hour of the largest format is 318 MB. The rest of a longer call is not in it."""

SLACK: Final = 0.25
"""Seconds that the caller's audio may be late before silence takes its place: a network's jitter."""

BLOCK: Final = 1 << 16
"""Samples of a channel that are joined at once."""


class _Channel:
    """One side's coded audio in a file of its own; what is missing is silence."""

    def __init__(self, path: Path, form: Format) -> None:
        self._silence = b"\xff" if form.bytes_per_sample == 1 else b"\x00"
        self._size = form.bytes_per_sample
        self._most = MAX_SECONDS * form.rate * self._size
        self._file: BinaryIO = _create(path, buffering=1 << 18)
        self.path = path
        self.length = 0

    def place(self, sample: int) -> None:
        """Fill up with silence to `sample`."""
        missing = min(sample * self._size, self._most) - self.length
        while missing > 0:
            piece = self._silence * min(missing, BLOCK)
            self._file.write(piece)
            self.length += len(piece)
            missing -= len(piece)

    def write(self, audio: bytes) -> None:
        kept = audio[: max(0, self._most - self.length)]
        self._file.write(kept)
        self.length += len(kept)

    @property
    def samples(self) -> int:
        return self.length // self._size

    def close(self) -> None:
        self._file.close()


class Recording:
    """Records one call. `at` is always seconds since the call's start."""

    def __init__(self, path: Path, format_name: str, clock: Callable[[], float]) -> None:
        """`path` of the WAV file, which appears at `finish`; `format_name` of `FORMATS`. Raises OSError."""
        self._form = FORMATS[format_name]
        self._clock = clock
        self.path = path
        self._caller = _Channel(path.with_suffix(".caller"), self._form)
        try:
            self._agent = _Channel(path.with_suffix(".agent"), self._form)
        except OSError:
            self._caller.close()
            raise
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._agent_end = 0
        self._odd = b""

    def caller_said(self, audio: bytes) -> None:
        """The caller's audio, whole samples in the call's format."""
        begin = self._now() - self._samples(audio)
        if begin - self._caller.samples > SLACK * self._form.rate:
            self._caller.place(begin)
        self._caller.write(audio)

    def agent_said(self, audio: bytes) -> None:
        """Audio that was sent to the client; a message may end inside a sample."""
        now = self._now()
        self._play(now)
        audio = self._odd + audio
        whole = self._samples(audio)
        self._odd = audio[whole * self._form.bytes_per_sample :]
        begin = max(now, self._agent_end)
        self._waiting.append((begin, audio[: whole * self._form.bytes_per_sample]))
        self._agent_end = begin + whole

    def cleared(self) -> None:
        """The client was told to drop what it has not played."""
        now = self._now()
        self._play(now)
        if self._waiting and (heard := now - self._waiting[0][0]) > 0:
            begin, audio = self._waiting[0]
            self._write(begin, audio[: heard * self._form.bytes_per_sample])
        self._waiting.clear()
        self._agent_end = now
        self._odd = b""

    def played(self) -> None:
        """The service ends the call, and the client plays out what was sent."""
        while self._waiting:
            self._write(*self._waiting.popleft())

    def close(self) -> None:
        """The call is over: what was sent and not yet played is cut off."""
        self.cleared()
        self._caller.close()
        self._agent.close()

    def finish(self) -> None:
        """Make the WAV file, then forget the channels; after `close`, in a thread. Raises OSError."""
        partial = self.path.with_suffix(".partial")
        try:
            with _create(partial) as out, self._caller.path.open("rb") as left, self._agent.path.open("rb") as right:
                size = 4 * max(self._caller.samples, self._agent.samples)
                out.write(form_header(PCM, 2, self._form.rate, 2, size))
                while pair := _pair(left, right, self._form):
                    out.write(pair)
            partial.replace(self.path)
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove what is not finished."""
        for path in (self._caller.path, self._agent.path, self.path.with_suffix(".partial")):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _now(self) -> int:
        return int(self._clock() * self._form.rate)

    def _samples(self, audio: bytes) -> int:
        return len(audio) // self._form.bytes_per_sample

    def _play(self, now: int) -> None:
        """Write what a client has played."""
        while self._waiting and self._waiting[0][0] + self._samples(self._waiting[0][1]) <= now:
            self._write(*self._waiting.popleft())

    def _write(self, begin: int, audio: bytes) -> None:
        self._agent.place(begin)
        self._agent.write(audio)


def _create(path: Path, buffering: int = -1) -> BinaryIO:
    """Open a file for writing that is its owner's alone: it holds what people said."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering)


def _pair(left: BinaryIO, right: BinaryIO, form: Format) -> bytes:
    """The next block of both channels, interleaved 16-bit PCM; the shorter is filled up with silence."""
    sides = [decode(file.read(BLOCK * form.bytes_per_sample), form) for file in (left, right)]
    block = np.zeros((max(map(len, sides)), 2), "<i2")
    for channel, samples in enumerate(sides):
        block[: len(samples), channel] = samples
    return block.tobytes()
