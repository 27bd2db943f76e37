"""A leg's media: what comes in is ordered, counted, recorded and told; what goes out is paced, one frame at a time.

The pacer is the only writer towards a leg. It sends only sound that a cord holds (discontinuous transmission,
RFC 3551 §4.1: marker on the first packet of a spurt, the timestamp runs on), and a frame of silence every
`KEEP_ALIVE` seconds (RFC 6263) so that middle boxes keep the path open.
"""

import random
from collections.abc import Callable

from cordboard.contract.link import LegMedia
from cordboard.media import g711
from cordboard.media.chain import PCMA_8000, PCMU_8000, Format, decode
from cordboard.media.dtmf import DtmfReceiver, DtmfSender
from cordboard.media.energy import VoiceActivity
from cordboard.media.jitter import JitterBuffer
from cordboard.media.rtcp import ReceiverStats, SenderReport, build_bye, build_rr, build_sr, ntp_time, parse_rtcp
from cordboard.media.rtp import RtpStream, parse
from cordboard.media.tones import ToneSource

from .cord import Cord
from .digits import Digits, Gathered
from .effects import Address, Packet
from .pacing import FRAME, TICK
from .recording import Recording

FORMS: dict[str, Format] = {"PCMU": PCMU_8000, "PCMA": PCMA_8000}
STATIC = {0: "PCMU", 8: "PCMA"}
"""Static payload types (RFC 3551 §6); both are always understood, whatever was negotiated."""

KEEP_ALIVE = 15.0
"""Seconds of silence on our side after which one silent frame is sent (RFC 6263 §4.1 and §6)."""

RTCP_INTERVAL = 5.0
"""Seconds between reports (RFC 3550 §6.2)."""

SILENT_PEER = 20.0
"""Seconds without RTP and RTCP, not on hold, after which control asks the peer (DESIGN §6)."""

SILENT_AGAIN = 40.0
"""Seconds after which control asks a peer that is silent still again: longer than an OPTIONS may last (32 s)."""

RELATCH = 5.0
"""Seconds of silence after which another source address may take over without a re-INVITE (RFC 7362)."""

VOICE_BATCH = 10
"""Frames measured for voice at once: numpy's price is per call, not per sample."""

VOICE_PAUSE = 0.5
"""Seconds without packets after which an utterance is over and the measure is placed anew: a peer's own pauses."""

START_FRAMES = 2
"""Frames of a phone's audio that wait before a spurt towards another phone begins: 20 ms against network jitter."""


class Leg:
    """One leg of a session on this plane."""

    def __init__(self, unit: str, port: int, rng: random.Random, now: float, wall: Callable[[float], float]) -> None:
        self.unit = unit
        self.session, _, self.name = unit.partition("/")
        self.port = port
        self.media = LegMedia(unit, port)
        self.form = PCMU_8000
        self.remote: Address | None = None
        self.remote_rtcp: Address | None = None
        self.source: Cord | None = None
        self.fallback: Cord | None = None
        self.tone: ToneSource | None = None
        self.comforted = False
        """Its tone is also heard beneath a source that is silent."""
        self.recording: Recording | None = None
        self.stats = ReceiverStats(8000)
        self.samples_sent = 0
        """Audio samples in all RTP packets sent, digits excluded."""
        self.strangers = 0
        """Packets from another address than the latched one."""
        self.unreadable = 0
        """Datagrams that are no RTP of a known payload type."""
        self.audible = False
        self.report_silence_at = now + SILENT_PEER
        """When a peer that is not heard before is reported."""
        self.last_sent = -1.0
        self._made = now
        self._wall = wall
        self._rng = rng
        self._stream = RtpStream(rng, 0)
        self._clock = now
        """When the stream's timestamp is due."""
        self._latched: Address | None = None
        self._rtp_heard = now
        self._jitter = JitterBuffer()
        self._dtmf_in = DtmfReceiver()
        self._dtmf_out: DtmfSender | None = None
        self._keys = Digits()
        self.gathered = Gathered()
        self._voice = VoiceActivity(8000)
        self._voice_from: float | None = None
        self._voice_heard = now
        self._voice_began = 0.0
        self._frames: list[bytes] = []
        self._next_rtcp = now + RTCP_INTERVAL * (0.5 + rng.random())

    # --- signalling

    def set_media(self, media: LegMedia, now: float) -> None:
        """What was negotiated; a later one is a re-INVITE and allows another source address."""
        self.media = media
        self.form = FORMS[media.codec]
        if media.remote:
            former, self.remote = self.remote, (str(media.remote[0]), int(media.remote[1]))
            if former is not None and former != self.remote:
                self._latched = None
        if media.remote_rtcp:
            self.remote_rtcp = (str(media.remote_rtcp[0]), int(media.remote_rtcp[1]))
        self._alive(now)

    @property
    def may_send(self) -> bool:
        """The peer wants to hear something and said where."""
        return self.remote is not None and self.media.direction in ("sendrecv", "sendonly") and not self.media.on_hold

    @property
    def holds(self) -> bool:
        """The peer does not want to hear anything now."""
        return self.remote is not None and not self.may_send

    @property
    def cord(self) -> Cord | None:
        """What it hears now."""
        return self.fallback if self.source is None or self.toned else self.source

    @property
    def toned(self) -> bool:
        """It hears a tone: it has no source, or is comforted while its source has nothing to say."""
        return self.tone is not None and (self.source is None or (self.comforted and self.source.empty))

    # --- in

    def rtp_in(self, data: bytes, source: Address, now: float) -> tuple[list[bytes], str | None]:
        """(audio frames in the leg's format and in order, a digit that became known)."""
        packet = parse(data)
        if packet is None:
            self.unreadable += 1
            return [], None
        if not self._accept(source, now):
            return [], None
        self._alive(now)
        kind = packet.payload_type
        digit = None
        if kind == self.media.dtmf_receive:
            digit = self._dtmf_in.receive(packet.payload, packet.timestamp, now)
            if digit is not None and not self._keys.fresh(digit, "rtp", now):
                digit = None
        elif kind in STATIC:
            self.stats.receive(packet, now)
        else:
            self.unreadable += 1
        self._jitter.push(packet, now)  # digits too: they share the sequence numbers
        return self.frames_ready(now), digit

    def frames_ready(self, now: float) -> list[bytes]:
        """Audio that the jitter buffer gives up now."""
        frames: list[bytes] = []
        for packet in self._jitter.pop_ready(now):
            payload = packet.payload
            name = STATIC.get(packet.payload_type)
            if name is None:
                continue
            if name != self.media.codec:
                payload = g711.alaw_to_ulaw(payload) if name == "PCMA" else g711.ulaw_to_alaw(payload)
            if payload:
                frames.append(payload)
                if self.recording is not None:
                    self.recording.heard_from_peer(self._as_ulaw(payload), packet.timestamp, now)
        return frames

    def jitter_timer(self) -> float | None:
        """When the jitter buffer gives up a gap."""
        return self._jitter.next_timer()

    def info_digit(self, digit: str, now: float) -> bool:
        """A digit by SIP INFO; False if RFC 4733 told it already."""
        return self._keys.fresh(digit, "info", now)

    def rtcp_in(self, data: bytes, source: Address, now: float) -> None:
        """Reports of the peer keep it alive."""
        if self.remote is not None and source[0] not in (self.remote[0], self._latched[0] if self._latched else ""):
            self.strangers += 1
            return
        for report in parse_rtcp(data):
            self._alive(now)
            if isinstance(report, SenderReport):
                self.stats.receive_sr(report, now)

    def voice(self, frames: list[bytes], now: float) -> tuple[float, float] | None:
        """(begin, seconds) of an utterance that just ended, by energy."""
        done = None
        if self._voice_from is None or now - self._voice_heard > VOICE_PAUSE:
            done = self.end_voice()
            self._voice = VoiceActivity(8000)
            self._voice_from = now
        self._voice_heard = now
        self._frames.extend(frames)
        if len(self._frames) < VOICE_BATCH:
            return done
        data = b"".join(self._frames)
        self._frames.clear()
        return self._measure(data) or done

    def _measure(self, data: bytes) -> tuple[float, float] | None:
        done = None
        start = self._voice_from or 0.0
        for event in self._voice.process(decode(data, self.form)):
            at = start + event.sample / 8000
            if event.kind == "started":
                self._voice_began = at
            else:
                done = (self._voice_began, at - self._voice_began)
        return done

    def end_voice(self) -> tuple[float, float] | None:
        """The utterance that the end of the leg cut off."""
        done = None
        if self._frames and self._voice_from is not None:
            data = b"".join(self._frames)
            self._frames.clear()
            done = self._measure(data)
        for event in self._voice.finish():
            done = (self._voice_began, (self._voice_from or 0.0) + event.sample / 8000 - self._voice_began)
        return done

    # --- out

    def send_digits(self, digits: str) -> None:
        """Queue RFC 4733 digits. Raises InvalidDigit."""
        if self._dtmf_out is None or self._dtmf_out.done:
            self._dtmf_out = DtmfSender(digits)
        else:
            self._dtmf_out.append(digits)

    @property
    def dialling(self) -> bool:
        """Digits are being sent."""
        return self._dtmf_out is not None and not self._dtmf_out.done

    def wants_tick(self, now: float) -> bool:
        """Something is due in the coming frame."""
        if self.dialling or self.toned:
            return True
        return self.cord is not None and not self.cord.empty

    def may_start(self, now: float) -> bool:
        """Whether a spurt may begin now: enough is there, and the last frame is over."""
        cord = self.cord
        if self.dialling or self.toned:
            return now >= self._clock - 1e-6
        if cord is None or not cord.ready(now):
            return False
        patient = cord.live and cord.seconds < START_FRAMES * FRAME and now - cord.last_push < 2 * FRAME
        return not patient and now >= self._clock - 1e-6

    @property
    def next_due(self) -> float:
        """When the next frame is due."""
        return self._clock

    def tick(self, now: float, packets: list[Packet]) -> bool:
        """Send what is due; False when there was nothing (the spurt is over)."""
        if now < self._clock - TICK - 1e-6:
            return True  # a tick made up for, older than the spurt
        cord = self.cord
        if not self.may_send:
            if cord is not None and self.remote is not None:
                cord.discard("hold")
            return False
        if self.dialling:
            if cord is not None and not cord.empty:
                cord.drop_due("dtmf")
            self._send_digit_packet(now, packets)
            return True
        if self.toned and self.tone is not None and self.fallback is not None:
            frame = self.tone.next_frame()
            self.fallback.push(frame, now)
        if cord is None:
            return False
        sound = cord.pull(now)
        if sound is None:
            return False
        self._send(sound, now, packets)
        return True

    def _catch_up(self, now: float) -> bool:
        """Move the timestamp over a pause; True when this packet begins a spurt."""
        samples = round((now - self._clock) * 8000)
        if samples <= 0:  # within a spurt the clock is up to a tick ahead
            return self.samples_sent == 0
        self._stream.advance(samples)
        self._clock += samples / 8000
        return True

    def _send(self, sound: bytes, now: float, packets: list[Packet]) -> None:
        marker = self._catch_up(now)
        assert self.remote is not None
        data = self._stream.packet(sound, marker=marker, payload_type=self.media.send_payload_type)
        packets.append((self.port, data, self._latched or self.remote))
        if self.recording is not None:
            self.recording.sent_to_peer(self._as_ulaw(sound), self._clock)
        self._stream.advance(len(sound))
        self._clock += FRAME
        self.last_sent = now
        self.samples_sent += len(sound)

    def _send_digit_packet(self, now: float, packets: list[Packet]) -> None:
        assert self._dtmf_out is not None
        assert self.remote is not None
        self._catch_up(now)
        packet = self._dtmf_out.next_packet()
        if packet is not None and self.media.dtmf_send is not None:
            data = self._stream.packet(
                packet.payload,
                marker=packet.marker,
                payload_type=self.media.dtmf_send,
                timestamp=self._stream.timestamp - packet.elapsed,
            )
            packets.append((self.port, data, self._latched or self.remote))
        self._stream.advance(160)
        self._clock += FRAME
        self.last_sent = now

    def upkeep(self, now: float, packets: list[Packet], keep_alive: Cord) -> None:
        """Each 100 ms: keep-alive and reports."""
        if self.may_send and now - max(self.last_sent, self._made) >= KEEP_ALIVE and self.media.answered:
            keep_alive.push(self.form.silence, now)
            sound = keep_alive.pull(now)
            if sound is not None:
                self._send(sound, now, packets)
        if now >= self._next_rtcp and self.remote_rtcp is not None:
            self._next_rtcp = now + RTCP_INTERVAL
            packets.append((self.port + 1, self._report(now), self.remote_rtcp))

    def farewell(self, packets: list[Packet]) -> None:
        """RTCP BYE (RFC 3550 §6.6)."""
        if self.remote_rtcp is not None:
            packets.append((self.port + 1, build_bye(self._stream.ssrc, "", self._cname()), self.remote_rtcp))

    @property
    def ssrc(self) -> int:
        """Our synchronisation source."""
        return self._stream.ssrc

    @property
    def lost(self) -> int:
        """Packets given up by the jitter buffer."""
        return self._jitter.lost

    def _report(self, now: float) -> bytes:
        block = self.stats.report(now)
        blocks = (block,) if block is not None else ()
        stream = self._stream
        if stream.packets == 0:
            return build_rr(stream.ssrc, blocks, self._cname())
        timestamp = (stream.timestamp + round((now - self._clock) * 8000)) & 0xFFFFFFFF
        return build_sr(
            stream.ssrc, ntp_time(self._wall(now)), timestamp, stream.packets, stream.octets, blocks, self._cname()
        )

    def _cname(self) -> str:
        return f"{self._stream.ssrc:08x}@cordboard"

    def _alive(self, now: float) -> None:
        self.report_silence_at = now + SILENT_PEER

    def _accept(self, source: Address, now: float) -> bool:
        if self._latched is None or source == self.remote or now - self._rtp_heard > RELATCH:
            self._latched = source  # the address that was signalled always may
        elif source != self._latched:
            self.strangers += 1
            return False
        self._rtp_heard = now
        return True

    def _as_ulaw(self, data: bytes) -> bytes:
        return data if self.form is PCMU_8000 else g711.alaw_to_ulaw(data)
