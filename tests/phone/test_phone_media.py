import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cordboard.media.rtp import RtpPacket, RtpStream, parse
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav
from cordboard.phone.datagrams import BATCH, DatagramSocket
from cordboard.phone.heard import RATE
from cordboard.phone.media import PhoneMedia
from cordboard.sip.offer import Negotiated
from cordboard.sip.uri import Address

Run = Callable[[Coroutine[object, object, None]], None]


def agreed(remote: Address, *, dtmf: int | None = 101) -> Negotiated:
    return Negotiated("PCMU", 0, 0, dtmf, dtmf, remote, (remote[0], remote[1] + 1), "sendrecv", 20, False)


class Ear:
    """A socket that keeps the packets which come to it."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.socket = DatagramSocket("127.0.0.1", 0, self._came)
        self._arrived = asyncio.Event()

    def _came(self, data: bytes, source: Address) -> None:
        packet = parse(data)
        assert packet is not None
        self.packets.append(packet)
        self._arrived.set()

    async def hears(self, count: int) -> None:
        while len(self.packets) < count:
            self._arrived.clear()
            await self._arrived.wait()


def test_frames_leave_in_order_with_one_marker(run: Run) -> None:
    async def body() -> None:
        ear = Ear()
        media = PhoneMedia("127.0.0.1", random.Random(1), lambda: None)
        media.start()  # before anything is agreed: time goes on, nothing is sent
        media.negotiated(agreed(ear.socket.address))
        media.start()
        await ear.hears(6)
        media.close()
        ear.socket.close()
        first = ear.packets[0]
        for index, packet in enumerate(ear.packets):
            assert packet.timestamp == (first.timestamp + 160 * index) % 2**32
            assert packet.sequence == (first.sequence + index) % 2**16
            assert packet.marker is (index == 0)
        assert media.packets_sent == len(ear.packets)

    run(body())


def test_sound_after_a_hold_of_no_time_is_marked_too(run: Run) -> None:
    async def body() -> None:
        ear = Ear()
        media = PhoneMedia("127.0.0.1", random.Random(1), lambda: None)
        outcome = agreed(ear.socket.address)
        media.negotiated(outcome)
        media.start()
        await ear.hears(2)
        media.negotiated(replace(outcome, direction="recvonly", on_hold=True))
        assert not media.sending
        media.negotiated(outcome)
        await ear.hears(4)
        media.close()
        ear.socket.close()
        assert [packet.marker for packet in ear.packets[:4]] == [True, False, True, False]

    run(body())


def test_a_sender_that_was_stopped_by_its_machine_skips_instead_of_bursting(run: Run) -> None:
    async def body() -> None:
        ear = Ear()
        media = PhoneMedia("127.0.0.1", random.Random(1), lambda: None)
        media.negotiated(agreed(ear.socket.address))
        media.start()
        await ear.hears(1)
        before = media.packets_sent
        media._deadline -= 60.0  # as if a minute had gone by
        await ear.hears(before + 3)
        media.close()
        ear.socket.close()
        ahead = (ear.packets[before + 2].timestamp - ear.packets[before - 1].timestamp) % 2**32
        assert ahead >= 59 * RATE

    run(body())


def test_what_has_arrived_is_heard_at_the_close(run: Run) -> None:
    async def body() -> None:
        media = PhoneMedia("127.0.0.1", random.Random(1), lambda: None)
        mouth = DatagramSocket("127.0.0.1", 0, lambda data, source: None)
        stream = RtpStream(random.Random(2), 0)
        for _ in range(10):
            mouth.send(stream.packet(b"\xff" * 160), ("127.0.0.1", media.port))
            stream.advance(160)
        mouth.send(b"\x80\xc8" + bytes(26), ("127.0.0.1", media.port))  # RTCP
        assert media.heard.samples_received == 0
        media.close()
        assert media.heard.samples_received == 1600
        assert media.refused == 1
        mouth.close()
        mouth.close()
        mouth.send(b"late", ("127.0.0.1", media.port))

    run(body())


def test_one_read_takes_a_batch_at_most_and_the_rest_comes_later(run: Run) -> None:
    async def body() -> None:
        taken: list[bytes] = []
        full = asyncio.Event()

        def take(data: bytes, source: Address) -> None:
            taken.append(data)
            if len(taken) == BATCH + 5:
                full.set()

        socket = DatagramSocket("127.0.0.1", 0, take)
        for index in range(BATCH + 5):
            socket.send(bytes([index]), socket.address)
        socket.drain()
        assert len(taken) == BATCH
        await full.wait()
        assert taken == [bytes([index]) for index in range(BATCH + 5)]
        socket.send(bytes(70_000), socket.address)  # more than a datagram holds
        assert socket.unsent == 1
        socket.close()

    run(body())


def test_a_socket_that_is_closed_while_it_reads_stops(run: Run) -> None:
    async def body() -> None:
        taken: list[bytes] = []

        def take(data: bytes, source: Address) -> None:
            taken.append(data)
            socket.close()

        socket = DatagramSocket("127.0.0.1", 0, take)
        number = socket._socket.fileno()
        for _ in range(3):
            socket.send(b"x", socket.address)
        socket.drain()
        assert taken == [b"x"]
        assert asyncio.get_running_loop().remove_reader(number) is False

    run(body())


def test_both_sides_of_a_stereo_recording_keep_their_time(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        ear = Ear()
        media = PhoneMedia("127.0.0.1", random.Random(1), lambda: None)
        media.negotiated(agreed(ear.socket.address))
        stream = RtpStream(random.Random(2), 0)
        media.saying.play(sine(500, 1, RATE))
        media.start()
        await ear.hears(5)
        # What the other side says begins about 100 ms later.
        for _ in range(5):
            ear.socket.send(stream.packet(b"\x00" * 160), ("127.0.0.1", media.port))
            stream.advance(160)
        await ear.hears(7)
        media.close()
        ear.socket.close()
        path = tmp_path / "both.wav"
        media.write(path, True)
        both = read_wav(path).samples
        said, heard = both[:, 0], both[:, 1]
        np.testing.assert_array_equal(said[:400], sine(500, 1, RATE)[:400])
        start = int(np.flatnonzero(heard)[0])
        late = round((media.heard.pieces[0].arrival - media._started) * RATE)
        assert start == late
        assert late >= 3 * 160
        assert np.count_nonzero(heard) == 5 * 160
        media.write(path, False)
        assert read_wav(path).samples.size == 5 * 160

    run(body())


@pytest.mark.parametrize("stereo", [True, False])
def test_a_call_without_a_sound_leaves_an_empty_recording(run: Run, tmp_path: Path, stereo: bool) -> None:
    async def body() -> None:
        media = PhoneMedia("127.0.0.1", random.Random(1), lambda: None)
        media.close()
        media.write(tmp_path / "none.wav", stereo)
        assert read_wav(tmp_path / "none.wav").samples.size == 0

    run(body())
