"""Putting received RTP packets back into order.

A packet that continues the run is ready at once, so a clean path gets no delay at all. A packet behind a gap waits
for what is missing, at most `MAX_WAIT`. Sequence arithmetic and the limits of a run follow RFC 3550 appendix A.1; a
change of SSRC, a restarted sequence number or a jump of the timestamp begins a new run and drops nothing (RFC 3550
section 8.2, and what transfers and the switch from ringback to answer do in practice).

Left out: adaptive delay and concealment. The far end of a leg is an agent that reads audio as it comes, or another
leg whose phone has a jitter buffer of its own.
"""

from cordboard.media.rtcp import MAX_DROPOUT, MAX_MISORDER
from cordboard.media.rtp import RtpPacket

MAX_WAIT = 0.060
"""Seconds that a gap is waited for: three packets of 20 ms. Reordering on the internet is a matter of one or two
packets; longer waits would be heard as delay of the answer."""

DEFAULT_DEPTH = 16
"""Packets that may wait behind gaps: 60 ms hold six packets of 10 ms, the shortest packet time in use, and bursts
double that."""

MAX_READY = 250
"""Packets kept for a reader that does not come: five seconds at 50 packets a second, then the oldest go."""

_MEMORY = (1 << MAX_MISORDER) - 1
"""Mask of the last hundred sequence numbers, one bit each."""


class JitterBuffer:
    """Reorders one incoming stream. `push` every packet, then take what `pop_ready` gives."""

    def __init__(self, depth: int = DEFAULT_DEPTH, max_wait: float = MAX_WAIT) -> None:
        """`depth`: packets that may wait behind gaps, at least 1; `max_wait` in seconds."""
        if depth < 1:
            raise ValueError(f"a depth of {depth} packets holds nothing")
        self._depth = depth
        self._max_wait = max_wait
        self.lost = 0
        """Packets given up. One that comes later is counted in `late` as well."""
        self.late = 0
        """Packets dropped because their place had been passed."""
        self.duplicates = 0
        """Packets dropped because they had been received."""
        self.resyncs = 0
        """How often a new run began."""
        self.strays = 0
        """Packets dropped that jumped away from the run and were not followed."""
        self.overflow = 0
        """Packets dropped because nobody took them."""
        self._ssrc: int | None = None
        self._next = 0
        self._latest_timestamp = 0
        self._delivered = 0
        self._held: dict[int, tuple[RtpPacket, float]] = {}
        self._suspect: tuple[RtpPacket, float] | None = None
        self._ready: list[RtpPacket] = []

    def push(self, packet: RtpPacket, now: float) -> None:
        """Takes a packet that arrived at `now`."""
        if packet.ssrc == self._ssrc:
            step = (packet.sequence - self._next) & 0xFFFF
            if step == 0:
                self._deliver(packet)
                if self._held:
                    self._continue()
                self._drop_suspect()
            elif step < MAX_DROPOUT:
                self._hold(packet, now)
                self._drop_suspect()
            elif step >= 0x10000 - MAX_MISORDER:
                self._receive_passed(packet, 0xFFFF - step)
            else:
                self._receive_far(packet, now)
        else:
            if self._ssrc is not None:
                self.resyncs += 1
            self._drop_suspect()
            self._begin(packet)

    def pop_ready(self, now: float) -> list[RtpPacket]:
        """Packets ready by `now`, in order; each is given once."""
        if self._held or self._suspect is not None:
            self.on_timer(now)
        ready = self._ready
        if ready:
            self._ready = []
        return ready

    def next_timer(self) -> float | None:
        """When `on_timer` has something to do, None if nothing waits."""
        waiting = [arrival for _, arrival in self._held.values()]
        if self._suspect is not None:
            waiting.append(self._suspect[1])
        return min(waiting) + self._max_wait if waiting else None

    def on_timer(self, now: float) -> None:
        """Gives up gaps that have been waited for long enough."""
        while self._held and min(arrival for _, arrival in self._held.values()) + self._max_wait <= now:
            self._skip()
        if self._suspect is not None and self._suspect[1] + self._max_wait <= now:
            # Nothing of the old run came meanwhile: the jump was real.
            suspect = self._suspect[0]
            self.resyncs += 1
            self._begin(suspect)

    def _deliver(self, packet: RtpPacket) -> None:
        self._next = (packet.sequence + 1) & 0xFFFF
        self._delivered = (self._delivered << 1 | 1) & _MEMORY
        self._latest_timestamp = packet.timestamp
        if len(self._ready) >= MAX_READY:
            del self._ready[0]
            self.overflow += 1
        self._ready.append(packet)

    def _continue(self) -> None:
        """Delivers held packets as far as they follow."""
        while (found := self._held.pop(self._next, None)) is not None:
            self._deliver(found[0])

    def _hold(self, packet: RtpPacket, now: float) -> None:
        if packet.sequence in self._held:
            self.duplicates += 1
            return
        self._held[packet.sequence] = (packet, now)
        if len(self._held) > self._depth:
            self._skip()

    def _skip(self) -> None:
        """Gives up the first gap and delivers what stands behind it."""
        gap = min((sequence - self._next) & 0xFFFF for sequence in self._held)
        self.lost += gap
        self._next = (self._next + gap) & 0xFFFF
        self._delivered = (self._delivered << min(gap, MAX_MISORDER)) & _MEMORY
        self._continue()

    def _receive_passed(self, packet: RtpPacket, age: int) -> None:
        """A packet `age` places before the last delivered one."""
        ahead = (packet.timestamp - self._latest_timestamp) & 0xFFFFFFFF
        if 0 < ahead < 0x80000000:
            # Older by number, newer by time: the sender began to count anew.
            self.resyncs += 1
            self._drop_suspect()
            self._begin(packet)
        elif self._delivered >> age & 1:
            self.duplicates += 1
        else:
            self.late += 1

    def _receive_far(self, packet: RtpPacket, now: float) -> None:
        """A packet far from the run: a second one near it proves a new run, and then neither is dropped."""
        if self._suspect is None:
            self._suspect = (packet, now)
            return
        first = self._suspect[0]
        step = (packet.sequence - first.sequence) & 0xFFFF
        if step == 0:
            self.duplicates += 1
        elif step < MAX_DROPOUT:
            self.resyncs += 1
            self._begin(first)
            self.push(packet, now)
        elif step >= 0x10000 - MAX_MISORDER:
            self.resyncs += 1
            self._begin(packet)
            self.push(first, now)
        else:
            self.strays += 1
            self._suspect = (packet, now)

    def _begin(self, packet: RtpPacket) -> None:
        """Delivers what is held of the old run, then begins a new one with `packet`."""
        while self._held:
            self._skip()
        self._suspect = None
        self._ssrc = packet.ssrc
        self._delivered = 0
        self._deliver(packet)

    def _drop_suspect(self) -> None:
        if self._suspect is not None:
            self._suspect = None
            self.strays += 1
