"""DTMF as named telephone events in RTP, received and sent.

Follows RFC 4733: section 2.3 (payload), 2.5.1.3 (long events in segments), 2.5.1.4 and 2.5.2 (retransmission, lost
packets), 3.2 (events 0 to 15).

The receiver reports a digit with the first packet of its event that arrives, whichever that is. A report at the end
bit would come 100 ms or more later and would need a timer for lost ends; nothing that a scenario does depends on how
long a key is held.

Left out: events other than the sixteen keys (flash, fax and line tones are ignored), redundancy (RFC 2198), tones in
the audio.
"""

import struct
from collections import deque
from typing import NamedTuple

from cordboard.media.samples import FRAME_MS

DIGITS = "0123456789*#ABCD"
"""Keys by event code (RFC 4733 section 3.2)."""

TONE_MS = 160
"""Default length of a sent tone. Receivers must take 40 ms; menus that listen for keys under speech want more."""

GAP_MS = 60
"""Default pause between sent tones, in whole frames: some RTP peers that turn events into tones need 50 ms."""

END_PACKETS = 3
"""How often the end of an event is sent (RFC 4733 section 2.5.1.4)."""

MAX_DIGITS = 64
"""Digits that may wait to be sent: 14 s of tones; a card number and its PIN are below 30."""

SEGMENT_GUARD = 0.5
"""Seconds without a packet after which an event is over: ten times the 50 ms at which RFC 4733 section 2.5.1.2 wants
updates. A later packet is then no further segment of it."""

_MAX_DURATION = 0xFFFF
_END = 0x80
_VOLUME = 10
"""Level of sent events, -10 dBm0 (RFC 4733 section 2.3.3), the usual level of a telephone set."""
_REMEMBERED = 8
"""Events remembered, so that reordered packets of earlier ones count no second time."""
_EVENT = struct.Struct("!BBH")


class InvalidDigit(ValueError):
    """Something that is no key, or too many of them."""


class DtmfReceiver:
    """Turns telephone-event packets of one source into digits, each once."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._event = -1
        self._start = 0
        self._duration = 0
        self._ended = True
        self._seen = 0.0

    def receive(self, payload: bytes, timestamp: int, now: float) -> str | None:
        """The digit that this packet makes known, None if it is known already or no key. Never raises."""
        if len(payload) < _EVENT.size:
            return None
        event, flags, duration = _EVENT.unpack_from(payload)
        if event >= len(DIGITS):
            return None
        key = (timestamp, event)
        if key in self._recent:
            if timestamp == self._start and event == self._event:
                self._seen = now
                self._duration = max(self._duration, duration)
                self._ended = self._ended or bool(flags & _END)
            return None
        continues = self._continues(event, timestamp, now)
        self._recent.append(key)
        self._event, self._start, self._duration = event, timestamp, duration
        self._ended, self._seen = bool(flags & _END), now
        return None if continues else DIGITS[event]

    def reset(self) -> None:
        """Forgets all events, as after a change of SSRC."""
        self._recent.clear()
        self._event, self._ended = -1, True

    def _continues(self, event: int, timestamp: int, now: float) -> bool:
        """Whether the packet begins a further segment of the running event: each starts where the last one ended."""
        if self._ended or event != self._event or now - self._seen > SEGMENT_GUARD:
            return False
        return (timestamp - self._start) & 0xFFFFFFFF in (self._duration, _MAX_DURATION)


class DtmfPacket(NamedTuple):
    """What to send in one 20 ms period in place of audio."""

    payload: bytes
    """Payload of the telephone-event packet, 4 octets."""
    marker: bool
    """Marker bit: first packet of an event."""
    elapsed: int
    """Ticks since the event began: the packet's timestamp is that of the stream minus this."""


class DtmfSender:
    """Plays digits, one call of `next_packet` per 20 ms frame period until `done`.

    While it is not done the leg sends no audio, and its timestamp goes on:

        packet = sender.next_packet()
        if packet is not None:
            send(stream.packet(packet.payload, marker=packet.marker, payload_type=101,
                               timestamp=stream.timestamp - packet.elapsed))
        stream.advance(160)
    """

    def __init__(self, digits: str, rate: int = 8000, tone_ms: int = TONE_MS, gap_ms: int = GAP_MS) -> None:
        """`rate` is the clock of telephone-event in Hz; times are rounded up to whole frames. InvalidDigit for other
        characters than 0-9 * # A-D (or a-d) and for more than MAX_DIGITS; ValueError for a tone that does not fit."""
        self._ticks_per_frame = rate * FRAME_MS // 1000
        self._tone = max(1, -(-tone_ms // FRAME_MS))
        if self._tone * self._ticks_per_frame > _MAX_DURATION:
            raise ValueError(f"a tone of {tone_ms} ms at {rate} Hz needs more than one segment")
        # The next event begins after the last end packet at the earliest.
        self._period = self._tone + max(-(-gap_ms // FRAME_MS), END_PACKETS - 1)
        self._waiting: deque[int] = deque()
        self._frame = 0
        self.append(digits)

    def append(self, digits: str) -> None:
        """More digits after those that wait; all or, with InvalidDigit, none."""
        events = [DIGITS.find(each) for each in digits.upper()]
        if -1 in events:
            # The digits may be a PIN: the error names the place, not the text.
            raise InvalidDigit(f"character {events.index(-1) + 1} is no DTMF key")
        if len(self._waiting) + len(events) > MAX_DIGITS:
            raise InvalidDigit(f"more than {MAX_DIGITS} digits wait")
        self._waiting.extend(events)

    @property
    def done(self) -> bool:
        """Whether everything, the gap after the last digit included, is over."""
        return not self._waiting

    def next_packet(self) -> DtmfPacket | None:
        """What to send in this frame period; None for nothing (gap, or done)."""
        if not self._waiting:
            return None
        frame = self._frame
        packet = self._packet(self._waiting[0], frame) if frame < self._tone - 1 + END_PACKETS else None
        self._frame += 1
        if self._frame == self._period:
            self._frame = 0
            self._waiting.popleft()
        return packet

    def _packet(self, event: int, frame: int) -> DtmfPacket:
        last = frame >= self._tone - 1
        duration = min(frame + 1, self._tone) * self._ticks_per_frame
        payload = _EVENT.pack(event, _VOLUME | (_END if last else 0), duration)
        return DtmfPacket(payload, frame == 0, frame * self._ticks_per_frame)
