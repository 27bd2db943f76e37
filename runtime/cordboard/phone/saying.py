"""What a phone says: sounds and digits in the order in which they are to be sent, one 20 ms frame at a time.

Digits go out as telephone events (RFC 4733) in place of sound; a sound that plays meanwhile waits. With nothing to
say the frame is silence, so that the stream never stops. Every sound and every string of digits has a future that is
True when its last frame has been handed over, False when it was stopped.

Left out: sound that is mixed; comfort noise.
"""

import asyncio
from collections import deque
from typing import NamedTuple

import numpy as np

from cordboard.media.dtmf import DtmfPacket, DtmfSender
from cordboard.media.samples import Samples, samples_per_frame
from cordboard.phone.heard import RATE

FRAME = samples_per_frame(RATE)
"""Samples of a frame: 160."""

WAITING_LIMIT = 3600 * RATE
"""Samples of sound that may wait: one hour, as much as is kept of what is heard."""

_SILENCE: Samples = np.zeros(FRAME, np.int16)


class SaidFrame(NamedTuple):
    """What one frame period carries; at most one of both."""

    samples: Samples | None
    """Sound to send, FRAME samples."""
    digit: DtmfPacket | None
    """Telephone-event packet to send."""


class _Playout:
    __slots__ = ("done", "place", "samples")

    def __init__(self, samples: Samples, done: asyncio.Future[bool]) -> None:
        self.samples = samples
        self.done = done
        self.place = 0


class Saying:
    """The queue of one call. Futures belong to the running loop."""

    def __init__(self) -> None:
        self._sounds: deque[_Playout] = deque()
        self._waiting = 0
        self._digits: deque[tuple[DtmfSender, asyncio.Future[bool]]] = deque()
        self._stopped = False

    def play(self, samples: Samples) -> asyncio.Future[bool]:
        """Queues a sound: int16, 8 kHz, one channel. ValueError for another array or too much of it."""
        if samples.ndim != 1 or samples.dtype != np.int16:
            raise ValueError(f"a sound is one row of int16, not {samples.ndim} of {samples.dtype}")
        if self._waiting + samples.size > WAITING_LIMIT:
            raise ValueError(f"more than {WAITING_LIMIT // RATE} s of sound wait")
        done = asyncio.get_running_loop().create_future()
        if self._stopped:
            done.set_result(False)
        elif samples.size:
            self._sounds.append(_Playout(samples, done))
            self._waiting += int(samples.size)
        else:
            done.set_result(True)
        return done

    def press(self, digits: str) -> asyncio.Future[bool]:
        """Queues digits. InvalidDigit for what is no key."""
        sender = DtmfSender(digits, RATE)
        done = asyncio.get_running_loop().create_future()
        if self._stopped:
            done.set_result(False)
        elif digits:
            self._digits.append((sender, done))
        else:
            done.set_result(True)
        return done

    def stop_playing(self) -> None:
        """Drops all sound that waits, the running one too; digits go on."""
        for playout in self._sounds:
            _settle(playout.done, False)
        self._sounds.clear()
        self._waiting = 0

    def stop(self) -> None:
        """Drops everything for good; what is queued later is False at once."""
        self._stopped = True
        self.stop_playing()
        for _, done in self._digits:
            _settle(done, False)
        self._digits.clear()

    def next_frame(self) -> SaidFrame:
        """What the next 20 ms carry."""
        if self._digits:
            sender, done = self._digits[0]
            packet = sender.next_packet()
            if sender.done:
                self._digits.popleft()
                _settle(done, True)
            return SaidFrame(None, packet)
        if not self._sounds:
            return SaidFrame(_SILENCE, None)
        frame = np.zeros(FRAME, np.int16)
        filled = 0
        while self._sounds and filled < FRAME:
            playout = self._sounds[0]
            part = playout.samples[playout.place : playout.place + FRAME - filled]
            frame[filled : filled + part.size] = part
            filled += part.size
            playout.place += part.size
            self._waiting -= int(part.size)
            if playout.place == playout.samples.size:
                self._sounds.popleft()
                _settle(playout.done, True)
        return SaidFrame(frame, None)


def _settle(done: asyncio.Future[bool], played: bool) -> None:
    """The future may have been cancelled by who awaited it."""
    if not done.done():
        done.set_result(played)
