"""The sound of one call: an RTP socket, a sender that keeps its pace, and the recording at the end.

Follows RFC 3550 for packets and RFC 4961 (symmetric RTP: sent from the port that receives). Frames leave every 20 ms
by absolute deadlines, so lateness of one does not move the next. When packets come from another place than the SDP
names, and none from there, that place is answered (latching, RFC 7362 section 4).

Left out: RTCP, SRTP, other packet times than 20 ms, encodings other than G.711.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cordboard.media.g711 import alaw_encode, ulaw_encode
from cordboard.media.rtp import RtpStream, parse
from cordboard.media.samples import FRAME_MS, Samples
from cordboard.media.wav import write_pcm16
from cordboard.phone.datagrams import DatagramSocket
from cordboard.phone.heard import HEARD_LIMIT, RATE, Heard, Piece, join
from cordboard.phone.saying import FRAME, Saying
from cordboard.sip.offer import Negotiated
from cordboard.sip.uri import Address

PERIOD = FRAME_MS / 1000
"""Seconds of a frame."""

LATE_LIMIT = 0.5
"""Seconds by which the sender may be late and still send all: beyond, as after a machine's sleep, frames are skipped
because a burst would overflow the other side's jitter buffer."""

_ENCODERS: dict[str, Callable[[Samples], bytes]] = {"PCMU": ulaw_encode, "PCMA": alaw_encode}


class PhoneMedia:
    """Sound of one call from its first offer to its end."""

    def __init__(self, host: str, rng: random.Random, changed: Callable[[], None]) -> None:
        """Opens a port on `host`. `changed` is called after every packet that was taken. OSError as `bind` has it."""
        self._loop = asyncio.get_running_loop()
        self._socket = DatagramSocket(host, 0, self._receive)
        self._stream = RtpStream(rng, 0)
        self._changed = changed
        self._negotiated: Negotiated | None = None
        self._peer: Address | None = None
        self._named_peer_spoke = False
        self._timer: asyncio.TimerHandle | None = None
        self._started = 0.0
        self._deadline = 0.0
        self._spurt = False
        self.stopped = False
        """Whether sending has ended for good."""
        self._said: list[Piece] = []
        self._place = 0
        self.heard = Heard()
        """What came in."""
        self.saying = Saying()
        """What is to go out."""
        self.last_packet_at: float | None = None
        """Monotonic arrival of the last packet."""
        self.refused = 0
        """Datagrams that were no RTP or came from elsewhere."""
        self.packets_sent = 0
        """RTP packets sent."""

    @property
    def port(self) -> int:
        """Port of the RTP socket."""
        return self._socket.address[1]

    @property
    def sending(self) -> bool:
        """Whether frames go out now."""
        wanted = self._negotiated is not None and self._negotiated.direction in ("sendrecv", "sendonly")
        return self._timer is not None and wanted

    def negotiated(self, outcome: Negotiated) -> None:
        """Takes the outcome of an offer and its answer."""
        before = self._negotiated
        self._negotiated = outcome
        self.heard.negotiated(outcome.receive_payload_type, outcome.codec, outcome.dtmf_receive)
        if before is None or before.remote != outcome.remote:
            # 0.0.0.0, the hold of RFC 2543, is no place, but then the direction lets nothing out.
            self._peer = outcome.remote
            self._named_peer_spoke = False
        if not self.sending:
            self._spurt = False

    def start(self) -> None:
        """Begins to send; a second start, or one after `stop`, changes nothing."""
        if self._timer is None and not self.stopped:
            self._started = self._deadline = self._loop.time()
            self._timer = self._loop.call_at(self._deadline, self._tick)

    def stop(self) -> None:
        """Ends sending for good; what waits is dropped."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.saying.stop()

    def close(self) -> None:
        """Takes what has already arrived, then ends all."""
        self.stop()
        self._socket.drain()
        self._socket.close()

    def write(self, path: Path, stereo: bool) -> None:
        """Writes what was heard as 16-bit PCM; with `stereo`, what was said on the left and what was heard on the
        right, in the time of the phone. OSError as `open` has it."""
        if not stereo:
            write_pcm16(path, self.heard.samples(), RATE)
            return
        first = self.heard.pieces[0].arrival if self.heard.pieces else self._started
        start = min(first, self._started) if self._said else first
        left = join(self._said, -round((self._started - start) * RATE)) if self._said else np.zeros(0, np.int16)
        right = join(self.heard.pieces, -round((first - start) * RATE))
        both = np.zeros((max(left.size, right.size), 2), np.int16)
        both[: left.size, 0] = left
        both[: right.size, 1] = right
        write_pcm16(path, both, RATE)

    def _receive(self, data: bytes, source: Address) -> None:
        packet = parse(data)
        if packet is None or not self._accepts(source):
            self.refused += 1
            return
        now = self._loop.time()
        self.last_packet_at = now
        self.heard.receive(packet, now)
        self._changed()

    def _accepts(self, source: Address) -> bool:
        """From the host that the SDP names; from another one only as long as that is silent."""
        if self._negotiated is None:
            return True
        named = self._negotiated.remote
        if source[0] == named[0]:
            self._named_peer_spoke = True
            self._peer = named
            return True
        if self._named_peer_spoke:
            return False
        self._peer = source
        return True

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._deadline > LATE_LIMIT:
            missed = int((now - self._deadline) / PERIOD)
            self._skip(missed)
        if self.sending:
            self._send_frame(now)
        else:
            self._spurt = False
        self._skip(1)
        self._timer = self._loop.call_at(self._deadline, self._tick)

    def _skip(self, frames: int) -> None:
        self._deadline += frames * PERIOD
        self._place += frames * FRAME
        self._stream.advance(frames * FRAME)

    def _send_frame(self, now: float) -> None:
        assert self._negotiated is not None
        assert self._peer is not None
        samples, digit = self.saying.next_frame()
        if samples is not None:
            payload = _ENCODERS[self._negotiated.codec](samples)
            kind = self._negotiated.send_payload_type
            data = self._stream.packet(payload, marker=not self._spurt, payload_type=kind)
            if self._place < HEARD_LIMIT:
                self._said.append(Piece(now, self._place, samples))
        elif digit is not None and self._negotiated.dtmf_send is not None:
            moment = self._stream.timestamp - digit.elapsed
            kind = self._negotiated.dtmf_send
            data = self._stream.packet(digit.payload, marker=digit.marker, payload_type=kind, timestamp=moment)
        else:
            self._spurt = False
            return
        self._spurt = samples is not None
        self._socket.send(data, self._peer)
        self.packets_sent += 1
