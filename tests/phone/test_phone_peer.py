"""A phone against a peer written by hand: what another phone of ours would never do."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from types import TracebackType

import numpy as np
import pytest

from cordboard.media.rtp import RtpPacket, RtpStream, parse
from cordboard.phone.call import PhoneCall
from cordboard.phone.datagrams import DatagramSocket, address_towards
from cordboard.phone.softphone import Softphone
from cordboard.sip.message import Message, Request, Response
from cordboard.sip.parser import parse as parse_sip
from cordboard.sip.uri import Address

Run = Callable[[Coroutine[object, object, None]], None]

SOON = 5.0


class Peer:
    """One SIP port, one RTP port, and messages written out."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.sip = DatagramSocket(host, 0, self._sip_came)
        self.rtp = DatagramSocket(host, 0, self._rtp_came)
        self.stream = RtpStream(random.Random(host), 0)
        self.heard: list[RtpPacket] = []
        self._messages: asyncio.Queue[tuple[Message, Address]] = asyncio.Queue()
        self._rtp_arrived = asyncio.Event()
        self.last_source: Address = ("", 0)
        self.rtp_source: Address = ("", 0)
        self._cseq = 100

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.sip.close()
        self.rtp.close()

    @property
    def uri(self) -> str:
        return f"sip:peer@{self.sip.address[0]}:{self.sip.address[1]}"

    def _sip_came(self, data: bytes, source: Address) -> None:
        self._messages.put_nowait((parse_sip(data), source))

    def _rtp_came(self, data: bytes, source: Address) -> None:
        packet = parse(data)
        assert packet is not None
        self.heard.append(packet)
        self.rtp_source = source
        self._rtp_arrived.set()

    async def hears(self, count: int) -> None:
        """Until `count` more packets came."""
        wanted = len(self.heard) + count
        async with asyncio.timeout(SOON):
            while len(self.heard) < wanted:
                self._rtp_arrived.clear()
                await self._rtp_arrived.wait()

    async def request(self, method: str) -> Request:
        async with asyncio.timeout(SOON):
            while True:
                message, self.last_source = await self._messages.get()
                if isinstance(message, Request) and message.method == method:
                    return message

    async def response(self, method: str) -> Response:
        async with asyncio.timeout(SOON):
            while True:
                message, self.last_source = await self._messages.get()
                if isinstance(message, Response) and message.cseq.method == method and message.code >= 200:
                    return message

    def sdp(
        self, direction: str = "sendrecv", *, version: int = 1, host: str = "127.0.0.1", formats: str = "0 101"
    ) -> str:
        return (
            f"v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {self.rtp.address[1]} RTP/AVP {formats}\r\n"
            "a=rtpmap:101 telephone-event/8000\r\n"
            f"a={direction}\r\n"
        )

    def reply(self, request: Request, code: int, body: str = "") -> None:
        kept = [f"{name}: {request.headers.get(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
        lines = [f"SIP/2.0 {code} Reply", *kept, f"To: {request.headers.get('To')};tag=peer"]
        self._send(lines, body)

    def ask(self, invite: Request, method: str, body: str = "", cseq: int | None = None) -> None:
        """A request of the peer's in the dialog that the phone's INVITE made."""
        if cseq is None:
            self._cseq += 1
        number = self._cseq if cseq is None else cseq
        lines = [
            f"{method} sip:alice@{self.last_source[0]}:{self.last_source[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.sip.address[1]};branch=z9hG4bK{method}{number};rport",
            f"From: {invite.headers.get('To')};tag=peer",
            f"To: {invite.headers.get('From')}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {number} {method}",
            "Max-Forwards: 70",
        ]
        self._send(lines, body)

    def invite(self, phone: Address, body: str) -> None:
        lines = [
            f"INVITE sip:alice@{phone[0]}:{phone[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.sip.address[1]};branch=z9hG4bKfirst;rport",
            "From: <sip:peer@127.0.0.1>;tag=peer",
            f"To: <sip:alice@{phone[0]}>",
            "Call-ID: call-1",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
        ]
        self.last_source = phone
        self._send(lines, body)

    def follow(self, answer: Response, method: str, body: str = "", cseq: int = 1) -> None:
        """A request of the peer's in the dialog that its own INVITE made."""
        lines = [
            f"{method} sip:alice@{self.last_source[0]}:{self.last_source[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.sip.address[1]};branch=z9hG4bK{method}{cseq}b;rport",
            f"From: {answer.headers.get('From')}",
            f"To: {answer.headers.get('To')}",
            f"Call-ID: {answer.call_id}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
        ]
        self._send(lines, body)

    def _send(self, lines: list[str], body: str) -> None:
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Contact: <{self.uri}>", f"Content-Length: {len(body)}", "", body]
        self.sip.send("\r\n".join(lines).encode(), self.last_source)

    def speak(self, to: Address, payload: bytes = b"\x00" * 160) -> None:
        self.rtp.send(self.stream.packet(payload), to)
        self.stream.advance(160)


def media_port(message: Message) -> Address:
    line = next(line for line in message.body.decode().splitlines() if line.startswith("m=audio"))
    return "127.0.0.1", int(line.split()[1])


@pytest.mark.parametrize("form", ["sendonly", "inactive", "0.0.0.0"])
async def established(phone: Softphone, peer: Peer) -> tuple[PhoneCall, Request]:
    """A call of the phone's that the peer has answered, and the INVITE."""
    call = await phone.call(peer.uri)
    invite = await peer.request("INVITE")
    peer.reply(invite, 200, peer.sdp())
    await peer.request("ACK")
    return call, invite


@pytest.mark.parametrize("form", ["sendonly", "inactive", "0.0.0.0"])
def test_a_hold_stops_our_sound_and_its_end_resumes_it(run: Run, form: str) -> None:
    async def body() -> None:
        with Peer() as peer, Peer() as clock:
            async with Softphone(rng=random.Random(1)) as phone:
                other, other_invite = await established(phone, clock)
                call, invite = await established(phone, peer)
                await peer.hears(3)
                held = peer.sdp(version=2, host=form) if form == "0.0.0.0" else peer.sdp(form, version=2)
                peer.ask(invite, "INVITE", held)
                answer = await peer.response("INVITE")
                peer.ask(invite, "ACK", cseq=101)
                assert answer.code == 200
                versions = [int(message.body.splitlines()[1].split()[2]) for message in (invite, answer)]
                assert versions[1] == versions[0] + 1
                assert ("a=inactive" if form == "inactive" else "a=recvonly") in answer.body.decode()
                await call.wait_hold(True, SOON)
                sent = call.packets_sent
                playing = call.play(np.zeros(160, np.int16))
                await clock.hears(6)  # so much time has passed in the phone
                assert call.packets_sent == sent
                assert not playing.done()
                peer.speak(media_port(invite))
                await call.hears_audio(0.02, within=SOON)
                peer.ask(invite, "INVITE", peer.sdp(version=3))
                answer = await peer.response("INVITE")
                peer.ask(invite, "ACK", cseq=102)
                assert answer.code == 200
                await call.wait_hold(False, SOON)
                await peer.hears(2)
                assert await playing is True
                assert [packet.marker for packet in peer.heard].count(True) == 2
                assert len({packet.ssrc for packet in peer.heard}) == 1
                pause = (peer.heard[-1].timestamp - peer.heard[0].timestamp) % 2**32 // 160 + 1
                assert pause > len(peer.heard)  # time went on while nothing was sent
                for side, request in ((peer, invite), (clock, other_invite)):
                    side.ask(request, "BYE")
                    assert (await side.response("BYE")).code == 200
                for ended in (call, other):
                    await ended.wait_ended(SOON)
                    assert (ended.ended_by, ended.ended_count) == ("them", 1)

    run(body())


def test_a_new_offer_that_suits_us_not_is_refused_and_the_call_goes_on(run: Run) -> None:
    async def body() -> None:
        with Peer() as peer:
            async with Softphone(rng=random.Random(1)) as phone:
                call, invite = await established(phone, peer)
                peer.ask(invite, "INVITE", peer.sdp(version=2, formats="18"))
                assert (await peer.response("INVITE")).code == 488
                peer.ask(invite, "ACK", cseq=101)
                await peer.hears(3)
                assert call.state == "answered"
                peer.ask(invite, "INFO")
                assert (await peer.response("INFO")).code == 200
                closing = asyncio.create_task(phone.close())
                peer.reply(await peer.request("BYE"), 200)
                await closing
                assert (call.ended_by, call.ended_count) == ("us", 1)

    run(body())


def test_a_new_offer_moves_the_sound(run: Run) -> None:
    async def body() -> None:
        with Peer() as peer, Peer() as elsewhere:
            async with Softphone(rng=random.Random(1)) as phone:
                call, invite = await established(phone, peer)
                await peer.hears(1)
                peer.ask(invite, "INVITE", elsewhere.sdp(version=2))
                await peer.response("INVITE")
                peer.ask(invite, "ACK", cseq=101)
                await elsewhere.hears(2)
                elsewhere.speak(elsewhere.rtp_source)
                await call.hears_audio(0.02, within=SOON)
                peer.ask(invite, "BYE")
                await call.wait_ended(SOON)

    run(body())


@pytest.mark.parametrize("answer", ["", "v=0\r\n", "not sdp"])
def test_an_answer_that_cannot_be_used_ends_the_call_by_bye(run: Run, answer: str) -> None:
    async def body() -> None:
        with Peer() as peer:
            async with Softphone(rng=random.Random(1)) as phone:
                call = await phone.call(peer.uri)
                invite = await peer.request("INVITE")
                peer.reply(invite, 200, answer)
                await peer.request("ACK")
                peer.reply(await peer.request("BYE"), 200)
                await call.wait_ended(SOON)
                assert (call.ended_by, call.ended_count, call.final_code) == ("failed", 1, 200)
                assert "answer" in call.end_reason

    run(body())


def test_an_invite_without_an_offer_gets_ours_and_the_ack_answers_it(run: Run) -> None:
    async def body() -> None:
        with Peer() as peer:
            async with Softphone(auto_answer=0, rng=random.Random(1)) as phone:
                peer.invite(phone.address, "")
                call = await phone.incoming()
                answer = await peer.response("INVITE")
                assert b"m=audio" in answer.body
                assert call.negotiated is None
                peer.follow(answer, "ACK", peer.sdp(formats="8"))
                await peer.hears(2)
                assert {packet.payload_type for packet in peer.heard} == {8}
                peer.follow(answer, "INVITE", "", cseq=2)
                again = await peer.response("INVITE")
                assert b"m=audio" in again.body
                peer.follow(answer, "ACK", peer.sdp("sendonly", version=2, formats="8"), cseq=2)
                await call.wait_hold(True, SOON)
                peer.follow(answer, "BYE", cseq=3)
                await call.wait_ended(SOON)
                assert (call.ended_by, call.ended_count) == ("them", 1)

    run(body())


def test_an_ack_without_the_answer_that_is_due_ends_the_call(run: Run) -> None:
    async def body() -> None:
        with Peer() as peer:
            async with Softphone(auto_answer=0, rng=random.Random(1)) as phone:
                peer.invite(phone.address, "")
                call = await phone.incoming()
                peer.follow(await peer.response("INVITE"), "ACK")
                peer.reply(await peer.request("BYE"), 200)
                await call.wait_ended(SOON)
                assert (call.ended_by, call.ended_count) == ("failed", 1)
                assert call.end_reason == "the ACK has no usable answer"
                assert peer.heard == []

    run(body())


def test_the_place_that_speaks_is_answered_until_the_named_one_speaks(run: Run) -> None:
    async def body() -> None:
        with Peer() as peer, Peer("127.0.0.2") as named:
            async with Softphone(host="0.0.0.0", rng=random.Random(1)) as phone:
                call = await phone.call(peer.uri)
                invite = await peer.request("INVITE")
                ours = media_port(invite)
                peer.reply(invite, 200, named.sdp(host="127.0.0.2"))
                await peer.request("ACK")
                await named.hears(1)
                peer.speak(ours)
                await peer.hears(2)
                named.speak(ours)
                await named.hears(2)
                assert call.rtp_samples_received == 320
                peer.speak(ours)  # refused from now on
                named.rtp.send(b"no RTP at all", ours)
                named.speak(ours)
                await call.hears_audio(0.06, within=SOON)
                peer.ask(invite, "BYE")
                await call.wait_ended(SOON)
                assert len(call.packets) == 3
                assert len({packet.ssrc for packet in call.packets}) == 2

    run(body())


def test_garbage_on_both_ports_harms_nothing(run: Run) -> None:
    async def body() -> None:
        rng = random.Random(3)
        with Peer() as peer:
            async with Softphone(rng=random.Random(1)) as phone:
                call, invite = await established(phone, peer)
                ours = media_port(invite)
                for _ in range(50):
                    peer.rtp.send(rng.randbytes(rng.randrange(1, 200)), ours)
                    peer.rtp.send(bytes([0x80, 101]) + rng.randbytes(rng.randrange(10, 20)), ours)
                    peer.sip.send(rng.randbytes(rng.randrange(1, 200)), phone.address)
                before = call.rtp_samples_received
                peer.speak(ours)
                async with asyncio.timeout(SOON):
                    while call.rtp_samples_received == before:
                        peer.speak(ours)
                        await peer.hears(1)
                assert call.state == "answered"
                peer.ask(invite, "BYE")
                await call.wait_ended(SOON)
                assert call.ended_count == 1

    run(body())


def test_options_are_answered_outside_a_call(run: Run) -> None:
    async def body() -> None:
        with Peer() as peer:
            async with Softphone(rng=random.Random(1)) as phone:
                host, port = phone.address
                peer.sip.send(
                    (
                        f"OPTIONS sip:{host}:{port} SIP/2.0\r\n"
                        f"Via: SIP/2.0/UDP 127.0.0.1:{peer.sip.address[1]};branch=z9hG4bKo;rport\r\n"
                        "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n"
                        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                    ).encode(),
                    phone.address,
                )
                answer = await peer.response("OPTIONS")
                assert answer.code == 200
                assert "INVITE" in (answer.headers.get("Allow") or "")

    run(body())


def test_the_address_towards_a_peer() -> None:
    assert address_towards(("127.0.0.1", 5060)) == "127.0.0.1"
    assert address_towards(("255.255.255.255", 5060)) == "127.0.0.1"
