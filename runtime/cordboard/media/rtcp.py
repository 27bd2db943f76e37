"""RTCP: what a receiver counts, and the reports that carry it.

Follows RFC 3550 section 6.4 (SR, RR), 6.6 (BYE), appendix A.1 (validity of sequence numbers), A.3 (loss) and A.8
(jitter). A leg has one source at a time, so a change of SSRC starts the count anew.

Left out: SDES and APP contents, extended reports, feedback, the timing rules of section 6.2 (the plane sends a report
every five seconds), reduced-size packets (RFC 5506). Probation of appendix A.1 is left out too: a leg takes packets
only from the address that it negotiated, and dropping the first word of a caller would cost more than it guards.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cordboard.media.rtp import RtpPacket

MAX_DROPOUT = 3000
"""Largest forward step of the sequence number that counts as loss: one minute at 50 packets a second (RFC 3550 A.1)."""

MAX_MISORDER = 100
"""Largest backward step that counts as reordering: two seconds at 50 packets a second (RFC 3550 A.1)."""

MAX_PACKETS_PER_COMPOUND = 32
"""RTCP packets read from one datagram. A two-party call sends two or three; 32 leaves room."""

MAX_DATAGRAM = 2048
"""Octets of an RTCP datagram that is looked at: above any MTU that carries voice."""

_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_VERSION_2 = 0x80
_NTP_EPOCH = 2208988800
"""Seconds from 1900 to 1970 (RFC 5905)."""

_BLOCK = struct.Struct("!IB3sIIII")
_SENDER = struct.Struct("!IIIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one side received from one source (RFC 3550 section 6.4.1)."""

    ssrc: int
    """The source reported on."""
    fraction_lost: int
    """Loss since the previous report, in 1/256."""
    cumulative_lost: int
    """Packets lost since the start, signed 24 bits; duplicates make it smaller."""
    highest_sequence: int
    """Extended highest sequence number received."""
    jitter: int
    """Interarrival jitter in ticks of the RTP clock."""
    last_sr: int
    """Middle 32 bits of the NTP time in the last sender report, 0 if none."""
    delay_since_last_sr: int
    """Time since then in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A sender's clock and counts."""

    ssrc: int
    """The sender."""
    ntp: int
    """NTP time, 64 bits with 32 of fraction."""
    rtp_timestamp: int
    """The same instant in the RTP clock."""
    packets: int
    """Packets sent so far."""
    octets: int
    """Payload octets sent so far."""
    reports: tuple[ReportBlock, ...]
    """What the sender received."""


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a side that sends nothing received."""

    ssrc: int
    """The reporter."""
    reports: tuple[ReportBlock, ...]
    """One block per source."""


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that leave."""

    ssrcs: tuple[int, ...]
    """The sources."""
    reason: str
    """Free text, at most 255 octets; empty if none."""


RtcpPacket = SenderReport | ReceiverReport | Bye


class ReceiverStats:
    """Counts over one incoming stream. A new SSRC or a restarted sequence number starts over, the totals go on."""

    def __init__(self, clock_rate: int) -> None:
        """`clock_rate` is that of the RTP timestamps, in Hz."""
        self._clock_rate = clock_rate
        self.ssrc: int | None = None
        """Source that is counted; None before the first packet."""
        self.received = 0
        """Packets received over all sources, duplicates included."""
        self.resyncs = 0
        """How often the source or its numbering changed."""
        self._lost_before = 0
        self._expected_prior = 0
        self._received_prior = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._last_sr = 0
        self._last_sr_at = 0.0
        self._start(0)

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Counts a packet that arrived at `now`. Callers leave packets of another clock (telephone-event at
        another rate, comfort noise) out."""
        self.received += 1
        if packet.ssrc != self.ssrc:
            if self.ssrc is not None:
                self._resync()
            self.ssrc = packet.ssrc
            self._start(packet.sequence)
        elif not self._place(packet.sequence):
            return
        self._received += 1
        self._measure(packet.timestamp, now)

    def receive_sr(self, report: SenderReport, now: float) -> None:
        """Remembers the time of a sender report for the answer's LSR and DLSR."""
        if report.ssrc == self.ssrc:
            self._last_sr = report.ntp >> 16 & 0xFFFFFFFF
            self._last_sr_at = now

    @property
    def lost(self) -> int:
        """Packets expected and not received, over all sources; duplicates make it smaller, never below 0."""
        return max(0, self._lost_before + self._expected() - self._received)

    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds (RFC 3550 A.8)."""
        return self._jitter / self._clock_rate

    @property
    def highest_sequence(self) -> int:
        """Extended highest sequence number of the current source."""
        return (self._cycles + self._highest) & 0xFFFFFFFF

    def report(self, now: float) -> ReportBlock | None:
        """The block for the next report, None before the first packet. Starts a new interval for fraction_lost."""
        if self.ssrc is None:
            return None
        expected = self._expected()
        expected_now = expected - self._expected_prior
        lost_now = expected_now - (self._received - self._received_prior)
        self._expected_prior, self._received_prior = expected, self._received
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0
        lost = max(-0x800000, min(0x7FFFFF, expected - self._received))
        delay = min(0xFFFFFFFF, int((now - self._last_sr_at) * 65536)) if self._last_sr else 0
        jitter = min(0xFFFFFFFF, int(self._jitter))
        return ReportBlock(self.ssrc, fraction, lost, self.highest_sequence, jitter, self._last_sr, max(0, delay))

    def _start(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._cycles = 0
        self._received = 0
        self._expected_prior = self._received_prior = 0
        self._suspect: int | None = None
        self._transit = None

    def _resync(self) -> None:
        self._lost_before = self.lost
        self.resyncs += 1
        self._last_sr = 0

    def _expected(self) -> int:
        return 0 if self.ssrc is None else self._cycles + self._highest - self._base + 1

    def _place(self, sequence: int) -> bool:
        """RFC 3550 A.1: whether the packet belongs to the run; two in a row after a jump begin a new one."""
        step = (sequence - self._highest) & 0xFFFF
        if step < MAX_DROPOUT:
            if sequence < self._highest:
                self._cycles += 0x10000
            self._highest = sequence
            self._suspect = None
        elif step <= 0x10000 - MAX_MISORDER:
            if sequence != self._suspect:
                self._suspect = (sequence + 1) & 0xFFFF
                return False
            self._resync()
            self._start(sequence)
        return True

    def _measure(self, timestamp: int, now: float) -> None:
        """RFC 3550 A.8, with the wrap of the timestamp taken out of the difference."""
        transit = now * self._clock_rate - timestamp
        if self._transit is not None:
            change = (transit - self._transit) % 4294967296.0
            distance = min(change, 4294967296.0 - change)
            # A jump of more than a second is a new origin of the clock (transfer, hold), not jitter.
            if distance < self._clock_rate:
                self._jitter += (distance - self._jitter) / 16
        self._transit = transit


def ntp_time(unix: float) -> int:
    """64-bit NTP time of a Unix time in seconds."""
    return int((unix + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def _blocks(reports: Sequence[ReportBlock]) -> bytes:
    if len(reports) > 31:
        raise ValueError(f"{len(reports)} report blocks; a report holds 31")
    return b"".join(
        _BLOCK.pack(
            each.ssrc,
            each.fraction_lost,
            (each.cumulative_lost & 0xFFFFFF).to_bytes(3, "big"),
            each.highest_sequence,
            each.jitter,
            each.last_sr,
            each.delay_since_last_sr,
        )
        for each in reports
    )


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", _VERSION_2 | count, kind, len(body) // 4) + body


def _sdes(ssrc: int, cname: str) -> bytes:
    name = cname.encode()
    if len(name) > 255:
        raise ValueError("a CNAME holds 255 octets")
    item = struct.pack("!IBB", ssrc, 1, len(name)) + name
    return _packet(1, _SDES, item + bytes(4 - len(item) % 4))


def build_sr(
    ssrc: int,
    ntp: int,
    rtp_timestamp: int,
    packets: int,
    octets: int,
    reports: Sequence[ReportBlock] = (),
    cname: str = "",
) -> bytes:
    """A compound of SR and SDES CNAME (RFC 3550 section 6.1 wants both). Counts wrap at 32 bits."""
    head = struct.pack("!I", ssrc) + _SENDER.pack(
        ntp >> 32, ntp & 0xFFFFFFFF, rtp_timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    )
    return _packet(len(reports), _SR, head + _blocks(reports)) + _sdes(ssrc, cname)


def build_rr(ssrc: int, reports: Sequence[ReportBlock] = (), cname: str = "") -> bytes:
    """A compound of RR and SDES CNAME."""
    return _packet(len(reports), _RR, struct.pack("!I", ssrc) + _blocks(reports)) + _sdes(ssrc, cname)


def build_bye(ssrc: int, reason: str = "", cname: str = "") -> bytes:
    """A compound of empty RR, SDES CNAME and BYE. ValueError for a reason above 255 octets."""
    body = struct.pack("!I", ssrc)
    if reason:
        text = reason.encode()
        if len(text) > 255:
            raise ValueError("a BYE reason holds 255 octets")
        body += bytes([len(text)]) + text
        body += bytes(-len(body) % 4)
    return build_rr(ssrc, (), cname) + _packet(1, _BYE, body)


def parse_rtcp(data: bytes) -> list[RtcpPacket]:
    """The SR, RR and BYE packets of a compound, in order; other kinds are passed over. Reading stops at the first
    octet that is no RTCP, and an oversized datagram gives nothing: no input raises."""
    found: list[RtcpPacket] = []
    if len(data) > MAX_DATAGRAM:
        return found
    start = 0
    for _ in range(MAX_PACKETS_PER_COMPOUND):
        if start + 4 > len(data):
            break
        first, kind, words = struct.unpack_from("!BBH", data, start)
        end = start + 4 + 4 * words
        if first & 0xC0 != _VERSION_2 or not 192 <= kind <= 223 or end > len(data):
            break
        body = data[start + 4 : end]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                break
            body = body[: -body[-1]]
        packet = _read(first & 0x1F, kind, body)
        if packet is not None:
            found.append(packet)
        start = end
    return found


def _read(count: int, kind: int, body: bytes) -> RtcpPacket | None:
    if kind == _SR and len(body) >= 24 + 24 * count:
        high, low, rtp_timestamp, packets, octets = _SENDER.unpack_from(body, 4)
        ssrc = int.from_bytes(body[:4], "big")
        return SenderReport(ssrc, high << 32 | low, rtp_timestamp, packets, octets, _read_blocks(count, body, 24))
    if kind == _RR and len(body) >= 4 + 24 * count:
        return ReceiverReport(int.from_bytes(body[:4], "big"), _read_blocks(count, body, 4))
    if kind == _BYE and len(body) >= 4 * count:
        ssrcs = tuple(int.from_bytes(body[4 * i : 4 * i + 4], "big") for i in range(count))
        rest = body[4 * count :]
        text = rest[1 : 1 + rest[0]] if rest else b""
        return Bye(ssrcs, text.decode("utf-8", "replace"))
    return None


def _read_blocks(count: int, body: bytes, start: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for place in range(start, start + 24 * count, 24):
        ssrc, fraction, lost, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, place)
        cumulative = int.from_bytes(lost, "big", signed=True)
        blocks.append(ReportBlock(ssrc, fraction, cumulative, highest, jitter, last_sr, delay))
    return tuple(blocks)
