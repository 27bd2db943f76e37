"""A simulated telephone: one call, its signalling as the exchange's user agent tells it, its sound on ports of its own.

Follows RFC 3264, 3550, 4733 as far as a telephone needs. Leaves out: 3xx, authentication, packet times but 20 ms.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from cordboard.media.chain import PCMA_8000, PCMU_8000, build_chain
from cordboard.media.dtmf import DtmfReceiver, DtmfSender
from cordboard.media.rtcp import build_rr, parse_rtcp
from cordboard.media.rtp import RtpStream, parse
from cordboard.sip import events as sip
from cordboard.sip.info import parse_info_digit
from cordboard.sip.leg import LegState
from cordboard.sip.offer import Direction, LocalMedia, Negotiated, accept_answer, answer, offer

from .network import Address
from .voices import Utterance, tone_ulaw, tones_in
from .world import Alarm

if TYPE_CHECKING:
    from .exchange import Exchange

FRAME = 0.02
"""Seconds of a frame."""
RTCP_INTERVAL = 5.0
"""Seconds between receiver reports (RFC 3550 §6.2): what keeps a silent phone from being taken for dead."""
SILENCE = b"\xff" * 160


class Phone:
    """One telephone in one call."""

    def __init__(self, exchange: "Exchange", number: str, port: int, rng: random.Random, codecs: Sequence[str]) -> None:
        self._exchange = exchange
        self._world = exchange.world
        self.number = number
        """Its own number."""
        self.other = ""
        """The number at the other end, as told."""
        self.leg = ""
        """The user agent's id."""
        self.call_id = ""
        """SIP Call-ID."""
        self.state: str = "calling"
        """calling, ringing, answered, ended."""
        self.invite: sip.IncomingInvite | None = None
        """What called it, when it was called."""
        self.code: int | None = None
        """Final SIP status of the INVITE."""
        self.ended_by: Literal["", "them", "us"] = ""
        """Who ended the call."""
        self.ends = 0
        """How often the user agent reported the end: once."""
        self.on_hold_asked = False
        """It holds the edge."""
        self.early = False
        """Early media came or went."""
        self.responses: list[int] = []
        """Status codes that came to its INVITE, or that it gave."""
        self.port = port
        self._local = LocalMedia(exchange.host, port, port, 1, tuple(codecs))
        self._agreed: Negotiated | None = None
        self._stream = RtpStream(rng, 0)
        self._phase = rng.random() * FRAME
        self._say: list[bytes] = []
        self._digits: DtmfSender | None = None
        self._alarm = Alarm(self._world, self._tick)
        self._due = 0.0
        self._report = Alarm(self._world, self._send_report)
        self._dtmf_in = DtmfReceiver()
        self._seen: set[int] = set()
        self.silent = exchange.elided
        """Sends nothing where it has nothing to say; False: frames of silence, as most phones do."""
        self.dead = False
        """Its network is gone: nothing leaves and nothing is answered."""
        self.frames: list[tuple[float, bytes]] = []
        """(moment, µ-law) of every audio packet received once."""
        self.samples = 0
        """Audio samples received, duplicates not counted."""
        self.pressed = ""
        """Digits received."""
        self.reports = 0
        """RTCP packets received."""
        exchange.network.bind((exchange.host, port), self._rtp_in)
        exchange.network.bind((exchange.host, port + 1), self._rtcp_in)

    # --- what a person does

    def ring(self, *, early: bool = False) -> None:
        """180, or with `early` 183 with a description."""
        self._respond(183 if early else 180, self._answer() if early else None)
        self.early = early
        if early:
            self._begin()

    def answer(self) -> None:
        """200."""
        self._respond(200, self._answer())
        self.code = 200
        self.state = "answered"
        self._begin()

    def refuse(self, code: int = 486) -> None:
        """A final refusal."""
        self._respond(code, None)
        self.code = code

    def hangup(self) -> None:
        """CANCEL, BYE or 480, whatever the state asks."""
        if self.state != "ended":
            self._stop()
            self._exchange.ua.hangup(self.leg, self._world.now)
            self._exchange.flush()

    def hold(self, direction: Direction = "sendonly") -> None:
        """Offer a direction by UPDATE: sendonly or inactive holds the edge, sendrecv ends it."""
        ua = self._exchange.ua
        self.on_hold_asked = direction != "sendrecv"
        self._local = replace(self._local, version=self._local.version + 1)
        found, request = ua._ask(self.leg, "UPDATE", self._world.now)
        request.headers.add("Content-Type", "application/sdp")
        body = offer(self._local, direction)
        ua._core.ask(found, replace(request, body=body), self.responses.append, self._world.now)
        self._exchange.flush()

    def press(self, digits: str) -> None:
        """Keys, by RFC 4733."""
        if self._digits is None or self._digits.done:
            self._digits = DtmfSender(digits)
        else:
            self._digits.append(digits)
        self._wake()

    def press_info(self, digit: str) -> None:
        """A key, by SIP INFO."""
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        self._exchange.ua.info(self.leg, "application/dtmf-relay", body, self._world.now)
        self._exchange.flush()

    def say(self, text: str, seconds: float = 1.0) -> Utterance:
        """Speak. RuntimeError where there is no media to carry it yet, or no more."""
        if not self.can_speak:
            raise RuntimeError(f"{self.number} cannot speak: the call is {self.state}")
        said = self._exchange.voices.utterance(self.number, text, seconds)
        sound = tone_ulaw(said.hz, seconds)
        self._say += [sound[at : at + 160].ljust(160, b"\xff") for at in range(0, len(sound), 160)]
        self._wake()
        return said

    @property
    def can_speak(self) -> bool:
        """The call carries sound."""
        return self._due > 0 and self.state != "ended"

    def heard(self, since: float = 0.0) -> list[tuple[int, float]]:
        """(tone, seconds) of what it heard since a moment."""
        return tones_in(payload for moment, payload in self.frames if moment >= since)

    @property
    def on_hold(self) -> bool:
        """The other side holds it."""
        return self._agreed is not None and self._agreed.on_hold

    # --- signalling

    def start(self, to: str, headers: Sequence[tuple[str, str]]) -> None:
        """Call the edge. For Exchange alone."""
        exchange, self.other = self._exchange, to
        edge = exchange.edge
        self.leg = exchange.ua.invite(
            to=f"sip:{to}@{edge[0]}:{edge[1]}",
            from_=f"sip:{self.number}@{exchange.host}",
            sdp=offer(self._local),
            now=self._world.now,
            destination=edge,
            headers=headers,
        )
        dialog = exchange.ua.dialog(self.leg)
        assert dialog is not None
        self.call_id = dialog.call_id

    def called(self, event: sip.IncomingInvite) -> None:
        """The edge calls. For Exchange alone."""
        self.invite, self.leg, self.other, self.call_id = event, event.leg, event.caller, event.request.call_id
        self.state = "ringing"

    def told(self, event: sip.Event) -> None:
        """What the user agent reports of its leg. For Exchange alone."""
        match event:
            case sip.Provisional():
                self.responses.append(event.code)
                self.state = "ringing" if self.state == "calling" else self.state
                if event.sdp is not None:
                    self.early = True
                    self._agreed = accept_answer(event.sdp, self._local)
                    self._begin()
            case sip.Answered():
                self.responses.append(event.response.code)
                self.code = event.response.code
                self.state = "answered"
                if event.sdp is not None:
                    self._agreed = accept_answer(event.sdp, self._local)
                self._begin()
            case sip.Acked():
                if event.sdp is not None:
                    self._agreed = accept_answer(event.sdp, self._local)
            case sip.Offered():
                self._offered(event)
            case sip.InfoReceived():
                digit = parse_info_digit(event.content_type, event.body)
                self.pressed += digit.digit if digit is not None else ""
            case sip.Failed():
                self.responses.append(event.code)
                self._over("them", event.code)
            case sip.Ended():
                self._over("them", 487 if event.by == "cancel" else 200)
            case sip.HungUp():
                self._over("us", event.code)
            case _:
                pass

    def _offered(self, event: sip.Offered) -> None:
        self._local = replace(self._local, version=self._local.version + 1)
        if event.sdp is None:
            body = offer(self._local)
        else:
            body, self._agreed = answer(event.sdp, self._local)
        self._exchange.ua.answer_offer(self.leg, sdp=body, now=self._world.now)

    def _answer(self) -> bytes:
        assert self.invite is not None, "only a call that came in is answered"
        if self.invite.sdp is None:
            return offer(self._local)
        if self._body is None:
            self._body, self._agreed = answer(self.invite.sdp, self._local)
        return self._body

    _body: bytes | None = None

    def _respond(self, code: int, sdp: bytes | None) -> None:
        try:
            self._exchange.ua.respond(self.leg, code, sdp=sdp, now=self._world.now)
        except LegState as error:
            raise RuntimeError(f"{self.number} cannot answer {code}: {error}") from None
        self.responses.append(code)
        self._exchange.flush()

    def _over(self, by: Literal["them", "us"], code: int) -> None:
        self.ends += 1
        self.ended_by = self.ended_by or by
        self.code = self.code if self.code is not None else code
        self.state = "ended"
        self._stop()

    def _stop(self) -> None:
        self._alarm.set(None)
        self._report.set(None)
        self._say.clear()
        self._digits = None

    # --- sound

    def _begin(self) -> None:
        now = self._world.now
        if self._due == 0.0:
            self._due = now + self._phase
            self._report.set(now + RTCP_INTERVAL)
            if self._agreed is not None:
                self._stream = _with_type(self._stream, self._agreed.send_payload_type)
        self._wake()

    def _wake(self) -> None:
        if self._due and self.state != "ended" and (self._say or self._digits is not None or not self.silent):
            now = self._world.now
            if self._due < now:
                periods = int((now - self._due) / FRAME) + 1
                self._stream.advance(160 * periods)
                self._due += FRAME * periods
            self._alarm.set(self._due)

    def _tick(self) -> None:
        agreed = self._agreed
        if agreed is None or self.state == "ended":
            return
        if self._digits is not None:
            packet = self._digits.next_packet()
            if packet is not None and agreed.dtmf_send is not None:
                stamp = self._stream.timestamp - packet.elapsed
                kind = agreed.dtmf_send
                self._send(
                    self._stream.packet(packet.payload, marker=packet.marker, payload_type=kind, timestamp=stamp)
                )
            if self._digits.done:
                self._digits = None
        elif self._say or not self.silent:
            sound = self._say.pop(0) if self._say else SILENCE
            if agreed.codec == "PCMA":
                sound = build_chain(PCMU_8000, PCMA_8000).process(sound)
            if agreed.direction in ("sendrecv", "sendonly"):
                self._send(self._stream.packet(sound))
        self._stream.advance(160)
        self._due += FRAME
        if self._say or self._digits is not None or not self.silent:
            self._alarm.set(self._due)

    def _send(self, data: bytes) -> None:
        assert self._agreed is not None
        if not self.dead:
            self._exchange.network.send(data, (self._exchange.host, self.port), self._agreed.remote)

    def _send_report(self) -> None:
        self._report.set(self._world.now + RTCP_INTERVAL)
        if self._agreed is not None and not self.dead:
            data = build_rr(self._stream.ssrc, (), "phone")
            self._exchange.network.send(data, (self._exchange.host, self.port + 1), self._agreed.remote_rtcp)

    def _rtp_in(self, data: bytes, source: Address) -> None:
        packet = parse(data)
        if packet is None:
            return
        agreed = self._agreed
        if agreed is not None and packet.payload_type == agreed.dtmf_receive:
            digit = self._dtmf_in.receive(packet.payload, packet.timestamp, self._world.now)
            self.pressed += digit or ""
            return
        if packet.payload_type not in (0, 8) or packet.timestamp in self._seen:
            return
        self._seen.add(packet.timestamp)
        payload = packet.payload
        if packet.payload_type == 8:
            payload = build_chain(PCMA_8000, PCMU_8000).process(payload)
        self.samples += len(payload)
        self.frames.append((self._world.now, payload))

    def _rtcp_in(self, data: bytes, source: Address) -> None:
        self.reports += len(parse_rtcp(data))


def _with_type(stream: RtpStream, payload_type: int) -> RtpStream:
    """The same stream for another payload type."""
    fresh = RtpStream(random.Random(0), payload_type)
    fresh.ssrc, fresh.sequence, fresh.timestamp = stream.ssrc, stream.sequence, stream.timestamp
    return fresh
