"""A recording in the making: left what the peer said, right what it was sent, µ-law at 8 kHz, in blocks of a second.

The hot path appends a frame; the block is formed once a second, staggered over the recordings (performance.md §4).
`hd_audio` and mono are the finisher's work.
"""

from cordboard.media.recorder import StereoTrack, header

from .effects import Effect, FileAppend, FileClose

BLOCK = 1.0
"""Seconds of a block: a crash loses at most one."""

SETTLE = 0.2
"""Seconds behind now up to which a block reaches, so that late packets find their place."""

DRIFT = 0.12
"""Seconds by which the peer's clock may differ from ours before the left channel is placed anew."""


class Recording:
    """One leg's raw file."""

    def __init__(self, unit: str, path: str, now: float) -> None:
        self.unit = unit
        self.path = path
        self.failed = ""
        self._start = now
        self._track = StereoTrack()
        self._head = header()
        self._next_block = now + BLOCK
        self._place: int | None = None
        self._timestamp = 0
        self._pauses: set[str] = set()

    def heard_from_peer(self, ulaw: bytes, timestamp: int, now: float) -> None:
        """A frame of the left channel; placed by RTP timestamp, kept near the time it arrived."""
        arrived = self.position(now)
        place = arrived
        if self._place is not None:
            ahead = (timestamp - self._timestamp) & 0xFFFFFFFF
            if ahead < 0x80000000:
                by_stamp = self._place + ahead
                if abs(by_stamp - arrived) < DRIFT * 8000:
                    place = by_stamp
        self._place, self._timestamp = place, timestamp
        self._track.left(ulaw, place)

    def sent_to_peer(self, ulaw: bytes, at: float) -> None:
        """A frame of the right channel, at the moment its RTP timestamp stands for."""
        self._track.right(ulaw, max(0, self.position(at)))

    def pause(self, by: str, now: float) -> None:
        """Silence in both channels from this moment on; `by` names who asks. Idempotent."""
        self._pauses.add(by)
        self._track.mute(self.position(now))

    def resume(self, by: str, now: float) -> None:
        """That one needs no silence any more; sound is recorded again where no other does. Idempotent."""
        self._pauses.discard(by)
        if not self._pauses:
            self._track.unmute(self.position(now))

    @property
    def paused_by(self) -> frozenset[str]:
        """Who wants silence; empty: sound is recorded."""
        return frozenset(self._pauses)

    def position(self, now: float) -> int:
        """The sample of a moment."""
        return round((now - self._start) * 8000)

    def upkeep(self, now: float) -> Effect | None:
        """The next block if it is due."""
        if now < self._next_block or self.failed:
            return None
        self._next_block = now + BLOCK
        return self._block(now - SETTLE)

    def finish(self, now: float) -> list[Effect]:
        """The last block and the end of the file."""
        effects: list[Effect] = []
        if not self.failed:
            last = self._block(now)
            if last is not None:
                effects.append(last)
        effects.append(FileClose(self.unit, self.path))
        return effects

    def seconds(self) -> float:
        """Length so far."""
        return self._track.flushed / 8000

    def _block(self, upto: float) -> Effect | None:
        data = self._track.flush(self.position(upto))
        if self._head:
            data, self._head = self._head + data, b""
        return FileAppend(self.unit, self.path, data) if data else None
