"""What a phone hears: every RTP packet as it arrived, and the sound of all of them laid out in time.

Follows RFC 3550 section 5.1 for time stamps and RFC 4733 for digits. Sound is placed by RTP time stamps: a gap in
them is silence, a packet that comes late goes where it belongs, arrival jitter changes nothing. A new SSRC, or a
time stamp that no longer fits the time that passed, starts a new stretch after what was heard before.

Left out: a jitter buffer (this is a recorder, nothing plays live), RTCP, codecs other than G.711, and the comfort
noise of payload type 13, which is silence here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cordboard.media.dtmf import DtmfReceiver
from cordboard.media.g711 import alaw_decode, ulaw_decode
from cordboard.media.rtp import RtpPacket
from cordboard.media.samples import Samples

RATE = 8000
"""Hz of everything a phone hears and says (G.711)."""

HEARD_LIMIT = 3600 * RATE
"""Samples of sound and of time line that are kept: one hour, 58 MB; a test or a demonstration lasts minutes."""

PACKET_LIMIT = 50 * 3600
"""Packets that are kept: one hour at 50 a second. Later ones are counted and forgotten."""

LEAP_SECONDS = 2.0
"""Time stamps this far ahead of the time that passed are a jump, not a pause: a hostile one would claim 149 hours."""

BACKWARD_SECONDS = 1.0
"""Time stamps this far behind the newest are a reset: reordering spans a few packets."""

RESTART_SLACK = 0.06
"""Seconds between two stretches that count as none: three packets of jitter."""

_DECODERS: dict[str, Callable[[bytes], Samples]] = {"PCMU": ulaw_decode, "PCMA": alaw_decode}


@dataclass(frozen=True, slots=True)
class HeardPacket:
    """One RTP packet as it came."""

    arrival: float
    """Monotonic seconds."""
    timestamp: int
    """RTP time stamp, 32 bits."""
    sequence: int
    """RTP sequence number, 16 bits."""
    marker: bool
    """Marker bit."""
    payload_type: int
    """Payload type, 0 … 127."""
    payload: bytes
    """Payload without header, extension and padding."""
    ssrc: int
    """Synchronisation source."""


class Piece(NamedTuple):
    """The sound of one packet in its place."""

    arrival: float
    """Monotonic seconds."""
    position: int
    """Place on the time line in samples; 0 is the first sample that arrived, one that was overtaken is negative."""
    samples: Samples
    """Its sound."""

    @property
    def end(self) -> int:
        """Place after its last sample."""
        return self.position + int(self.samples.size)


def join(pieces: list[Piece], origin: int | None = None) -> Samples:
    """The pieces as one array with silence in the gaps, from `origin` (default: the earliest of them) to the last."""
    if not pieces:
        return np.zeros(0, np.int16)
    start = min(piece.position for piece in pieces) if origin is None else origin
    line = np.zeros(max(0, max(piece.end for piece in pieces) - start), np.int16)
    for piece in pieces:
        skip = max(0, start - piece.position)
        if skip < piece.samples.size:
            line[piece.position + skip - start : piece.end - start] = piece.samples[skip:]
    return line


class Heard:
    """Everything that came from the other side in one call."""

    def __init__(self) -> None:
        self.packets: list[HeardPacket] = []
        """Every packet, in order of arrival, digits and comfort noise too."""
        self.pieces: list[Piece] = []
        """The sound of the audio packets among them, in order of arrival."""
        self.digits = ""
        """Digits heard as RFC 4733 events, each once."""
        self.samples_received = 0
        """Samples in all audio packets together, exactly as received: gaps are not counted, repeats are."""
        self.forgotten = 0
        """Packets beyond the limits, which are counted and not kept."""
        self._codecs = {0: "PCMU", 8: "PCMA"}
        self._dtmf_type: int | None = None
        self._dtmf = DtmfReceiver()
        self._ssrc: int | None = None
        self._newest = 0
        self._newest_position = 0
        self._stretch_time = 0
        self._stretch_arrival = 0.0
        self._end = 0

    def negotiated(self, payload_type: int, codec: str, dtmf_type: int | None) -> None:
        """What the other side will send from now on. `codec` is PCMU or PCMA."""
        self._codecs[payload_type] = codec
        self._dtmf_type = dtmf_type

    def receive(self, packet: RtpPacket, now: float) -> Piece | None:
        """Takes a packet; its sound in its place, or None when it carries none."""
        if len(self.packets) >= PACKET_LIMIT:
            self.forgotten += 1
        else:
            kept = (packet.timestamp, packet.sequence, packet.marker, packet.payload_type, packet.payload, packet.ssrc)
            self.packets.append(HeardPacket(now, *kept))
        if packet.payload_type == self._dtmf_type:
            self.digits += self._dtmf.receive(packet.payload, packet.timestamp, now) or ""
            return None
        codec = self._codecs.get(packet.payload_type)
        if codec is None or not packet.payload:
            return None
        samples = _DECODERS[codec](packet.payload)
        self.samples_received += int(samples.size)
        position = self._place(packet, now)
        if position + samples.size > HEARD_LIMIT or len(self.pieces) >= PACKET_LIMIT:
            self.forgotten += 1
            return None
        piece = Piece(now, position, samples)
        self.pieces.append(piece)
        self._end = max(self._end, piece.end)
        return piece

    def samples(self, since: float | None = None) -> Samples:
        """The time line, from its start or from the first sample of what arrived at `since` or later."""
        return join(self.pieces if since is None else [piece for piece in self.pieces if piece.arrival >= since])

    def _place(self, packet: RtpPacket, now: float) -> int:
        ahead = _signed(packet.timestamp - self._newest)
        elapsed = _signed(packet.timestamp - self._stretch_time) / RATE
        fits = elapsed - (now - self._stretch_arrival) <= LEAP_SECONDS and ahead >= -BACKWARD_SECONDS * RATE
        if packet.ssrc != self._ssrc or not fits:
            position = self._restart(now)
            self._ssrc, self._newest, self._newest_position = packet.ssrc, packet.timestamp, position
            self._stretch_time, self._stretch_arrival = packet.timestamp, now
            return position
        position = self._newest_position + ahead
        if ahead > 0:
            self._newest, self._newest_position = packet.timestamp, position
        return position

    def _restart(self, now: float) -> int:
        """Where a new stretch begins: at the end of the last one, plus the time in which nothing came."""
        if not self.pieces:
            return 0
        last = self.pieces[-1]
        pause = now - last.arrival - last.samples.size / RATE
        return self._end + (round(pause * RATE) if pause > RESTART_SLACK else 0)


def _signed(difference: int) -> int:
    """A difference of two 32-bit time stamps, as the shorter way around."""
    return (difference + 0x80000000) % 0x100000000 - 0x80000000
