"""RTP packets: reading what a hostile network sends, and forming what a leg sends.

Follows RFC 3550 section 5.1 (fixed header), 5.3.1 (extension) and RFC 5761 section 4 (telling RTCP from RTP on one
port). Reads CSRC lists, header extensions and padding, and drops them: an audio leg uses none.

Left out: SRTP, RED and FEC payloads, the content of header extensions.
"""

import random
import struct
from dataclasses import dataclass

HEADER_SIZE = 12
"""Octets of the fixed RTP header (RFC 3550 section 5.1)."""

MAX_PACKET = 4096
"""Octets of a datagram that is looked at. 200 ms of 16-bit audio at 8 kHz, the longest packet time that the audio
profile asks receivers to accept (RFC 3551 section 4.2), is 3 200 octets of payload."""

_HEADER = struct.Struct("!BBHII")
_VERSION_2 = 0x80
_PADDING = 0x20
_EXTENSION = 0x10
_CSRC_COUNT = 0x0F
_MARKER = 0x80


@dataclass(slots=True)
class RtpPacket:
    """One received RTP packet. Not frozen: freezing makes each, fifty a second and call, several times dearer."""

    payload_type: int
    """Payload type, 0 … 127."""
    sequence: int
    """Sequence number, 16 bits."""
    timestamp: int
    """Timestamp in the clock of the payload type, 32 bits."""
    ssrc: int
    """Synchronisation source, 32 bits."""
    marker: bool
    """Marker bit: first packet after silence for audio, first packet of an event for telephone-event."""
    payload: bytes
    """What follows the header and extension, without padding. May be empty."""


def parse(data: bytes) -> RtpPacket | None:
    """The packet in `data`, or None for what is no RTP: RTCP (second octet 192 … 223), STUN, noise."""
    size = len(data)
    if not HEADER_SIZE <= size <= MAX_PACKET:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first & 0xC0 != _VERSION_2 or 192 <= second <= 223:
        return None
    start, end = HEADER_SIZE, size
    if first != _VERSION_2:
        start += 4 * (first & _CSRC_COUNT)
        if first & _EXTENSION:
            if start + 4 > size:
                return None
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if first & _PADDING:
            padding = data[-1]
            if padding == 0:
                return None
            end -= padding
        if start > end:
            return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, second >= _MARKER, data[start:end])


class RtpStream:
    """What one leg sends: one SSRC, a sequence number that counts packets, a timestamp that counts samples.

    The timestamp moves only by `advance`, which the pacer calls for every frame period whether a packet was sent or
    not, so that silence shows as a gap in time (RFC 3550 section 5.1). SSRC and both starting points are random.
    """

    __slots__ = ("_payload_type", "octets", "packets", "sequence", "ssrc", "timestamp")

    def __init__(self, rng: random.Random, payload_type: int) -> None:
        """`payload_type` 0 … 127 is that of the audio; ValueError otherwise."""
        if not 0 <= payload_type <= 127:
            raise ValueError(f"payload type {payload_type} is not in 0 … 127")
        self._payload_type = payload_type
        self.ssrc: int = rng.getrandbits(32)
        """Synchronisation source, fixed for the life of the stream."""
        self.sequence: int = rng.getrandbits(16)
        """Sequence number of the next packet."""
        self.timestamp: int = rng.getrandbits(32)
        """Timestamp of the current frame period."""
        self.packets: int = 0
        """Packets formed so far, for sender reports."""
        self.octets: int = 0
        """Payload octets formed so far, for sender reports."""

    @property
    def payload_type(self) -> int:
        """Payload type of the audio."""
        return self._payload_type

    def packet(
        self, payload: bytes, *, marker: bool = False, payload_type: int | None = None, timestamp: int | None = None
    ) -> bytes:
        """The next packet. `timestamp` (any integer, taken modulo 2^32) and `payload_type` override the stream's own,
        as telephone-event packets need."""
        kind = self._payload_type if payload_type is None else payload_type
        moment = self.timestamp if timestamp is None else timestamp & 0xFFFFFFFF
        header = _HEADER.pack(_VERSION_2, kind | _MARKER if marker else kind, self.sequence, moment, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return header + payload

    def advance(self, samples: int) -> None:
        """Moves the timestamp by `samples` ticks of the RTP clock."""
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF
