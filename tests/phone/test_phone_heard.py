import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.dtmf import DtmfSender
from cordboard.media.g711 import alaw_encode, ulaw_decode, ulaw_encode
from cordboard.media.rtp import RtpPacket, parse
from cordboard.media.samples import Samples
from cordboard.phone import heard as heard_module
from cordboard.phone.heard import Heard

FRAME = 160


def tagged(number: int) -> Samples:
    """A frame that tells itself from others: a constant that µ-law keeps exactly."""
    return np.full(FRAME, ulaw_decode(bytes([number]))[0], np.int16)


def packet(timestamp: int, number: int = 1, *, ssrc: int = 7, kind: int = 0) -> RtpPacket:
    return RtpPacket(kind, timestamp // FRAME & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, False, bytes([number]) * FRAME)


def layout(samples: Samples) -> list[int]:
    """µ-law codes of each whole frame of a time line, 0 for silence."""
    return [0 if not frame.any() else ulaw_encode(frame)[0] for frame in samples.reshape(-1, FRAME)]


START = 0xFFFFFF00  # two frames before the time stamps turn over

PLACING: list[tuple[str, list[tuple[float, int, int, int]], list[int]]] = [
    # name, packets as (arrival, time stamp, content, ssrc), frames expected
    ("in order, over the turn of the time stamps", [(0.00, 0, 1, 7), (0.02, 160, 2, 7), (0.04, 320, 3, 7)], [1, 2, 3]),
    ("jitter of arrival changes nothing", [(0.0, 0, 1, 7), (0.5, 160, 2, 7), (0.5, 320, 3, 7)], [1, 2, 3]),
    ("a gap is silence", [(0.0, 0, 1, 7), (0.06, 480, 2, 7)], [1, 0, 0, 2]),
    ("overtaken", [(0.0, 0, 1, 7), (0.02, 320, 3, 7), (0.03, 160, 2, 7), (0.06, 480, 4, 7)], [1, 2, 3, 4]),
    ("the first one overtaken", [(0.0, 160, 2, 7), (0.01, 0, 1, 7), (0.04, 320, 3, 7)], [1, 2, 3]),
    ("a repeated packet stands once", [(0.0, 0, 1, 7), (0.0, 0, 1, 7), (0.02, 160, 2, 7)], [1, 2]),
    ("a new SSRC follows at once", [(0.0, 0, 1, 7), (0.02, 99_999, 2, 8), (0.04, 100_159, 3, 8)], [1, 2, 3]),
    ("a new SSRC after a pause", [(0.0, 0, 1, 7), (0.10, 5_000_000, 2, 8)], [1, 0, 0, 0, 0, 2]),
    ("a leap of the time stamps", [(0.0, 0, 1, 7), (0.02, 800_000, 2, 7), (0.04, 800_160, 3, 7)], [1, 2, 3]),
    ("a reset of the time stamps", [(0.0, 800_000, 1, 7), (0.02, 0, 2, 7), (0.04, 160, 3, 7)], [1, 2, 3]),
    ("time stamps that stood still in a pause", [(0.0, 0, 1, 7), (5.0, 160, 2, 7)], [1, 2]),
]


@pytest.mark.parametrize(("name", "packets", "frames"), PLACING, ids=[case[0] for case in PLACING])
def test_sound_is_placed_by_time_stamps(
    name: str, packets: list[tuple[float, int, int, int]], frames: list[int]
) -> None:
    heard = Heard()
    for arrival, timestamp, content, ssrc in packets:
        assert heard.receive(packet(START + timestamp, content, ssrc=ssrc), 100 + arrival) is not None
    assert layout(heard.samples()) == frames
    assert heard.samples_received == FRAME * len(packets)
    assert [kept.arrival for kept in heard.packets] == [100 + arrival for arrival, *_ in packets]


def test_heard_since_begins_with_the_first_sample_that_arrived_since() -> None:
    heard = Heard()
    for index in range(5):
        heard.receive(packet(index * FRAME, index + 1), index * 0.02)
    assert layout(heard.samples(0.06)) == [4, 5]
    assert heard.samples(9.0).size == 0


def test_both_laws_are_heard_and_other_payloads_are_kept_without_sound() -> None:
    heard = Heard()
    sound = tagged(33)
    heard.receive(RtpPacket(0, 0, 0, 1, True, ulaw_encode(sound)), 0.0)
    heard.receive(RtpPacket(8, 1, 160, 1, False, alaw_encode(sound)), 0.02)
    heard.receive(RtpPacket(13, 2, 320, 1, False, b"\x40"), 0.04)
    heard.receive(RtpPacket(97, 3, 320, 1, False, b"x" * 20), 0.04)
    heard.receive(RtpPacket(0, 4, 320, 1, False, b""), 0.04)
    assert heard.samples_received == 320
    assert len(heard.packets) == 5
    assert heard.packets[0].marker
    assert heard.samples().size == 320
    np.testing.assert_allclose(heard.samples()[160:], sound, rtol=0.04)


def test_a_payload_type_of_its_own_is_heard_as_negotiated() -> None:
    heard = Heard()
    heard.negotiated(96, "PCMA", None)
    heard.receive(RtpPacket(96, 0, 0, 1, False, b"\x55" * FRAME), 0.0)
    assert heard.samples_received == FRAME


def test_digits_are_heard_once_and_are_no_audio() -> None:
    heard = Heard()
    heard.negotiated(0, "PCMU", 101)
    sender, timestamp, sequence = DtmfSender("1#1"), 4_000, 0
    while not sender.done:
        event = sender.next_packet()
        if event is not None:
            heard.receive(RtpPacket(101, sequence, timestamp - event.elapsed, 1, event.marker, event.payload), 0.0)
            sequence += 1
        timestamp += FRAME
    assert heard.digits == "1#1"
    assert heard.samples_received == 0
    assert len(heard.packets) == sequence


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(12)), lost=st.sets(st.integers(1, 10), max_size=4))
def test_any_order_of_arrival_gives_the_same_sound(order: list[int], lost: set[int]) -> None:
    heard = Heard()
    for index in order:
        if index not in lost:
            heard.receive(packet(index * FRAME, index + 1), 50.0)
    assert layout(heard.samples()) == [0 if index in lost else index + 1 for index in range(12)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_hostile_packets_are_bounded(seed: int) -> None:
    rng = random.Random(seed)
    heard = Heard()
    heard.negotiated(0, "PCMU", 101)
    now = 0.0
    for _ in range(60):
        now += rng.choice((0.0, 0.02, 5.0, 100.0))
        data = (
            bytes([0x80, rng.choice((0, 8, 13, 101, 0x80, 127))])
            + rng.randbytes(10)
            + rng.randbytes(rng.choice((0, 4, 160)))
        )
        found = parse(data)
        assert found is not None
        heard.receive(found, now)
    assert heard.samples().size <= heard_module.HEARD_LIMIT + heard_module.RATE
    assert len(heard.packets) == 60
    for earlier, later in pairwise(heard.pieces):
        assert earlier.arrival <= later.arrival


def test_what_goes_beyond_the_limits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_module, "PACKET_LIMIT", 2)
    heard = Heard()
    for index in range(4):
        heard.receive(packet(index * FRAME), index * 0.02)
    assert len(heard.packets) == len(heard.pieces) == 2
    assert heard.samples_received == 4 * FRAME
    assert heard.forgotten == 4  # two packets, and their sound


def test_a_time_line_beyond_its_limit_is_not_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_module, "HEARD_LIMIT", 2 * FRAME)
    heard = Heard()
    for index in range(4):
        heard.receive(packet(index * FRAME), index * 0.02)
    assert heard.samples().size == 2 * FRAME
    assert heard.forgotten == 2
