"""Telephone events: each key once, whatever the network does; and keys pressed as RFC 4733 wants them."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.dtmf import DIGITS, MAX_DIGITS, DtmfPacket, DtmfReceiver, DtmfSender, InvalidDigit


def _event(code: int, duration: int, end: bool = False) -> bytes:
    return struct.pack("!BBH", code, 0x80 | 10 if end else 10, duration)


def _timeline(sender: DtmfSender) -> list[DtmfPacket | None]:
    line = []
    while not sender.done:
        line.append(sender.next_packet())
    return line


def _heard(packets: list[tuple[float, bytes, int]]) -> str:
    receiver = DtmfReceiver()
    return "".join(receiver.receive(payload, timestamp, now) or "" for now, payload, timestamp in packets)


def _on_the_wire(digits: str, start: int = 1000) -> list[tuple[float, bytes, int]]:
    """(time, payload, RTP timestamp) of what a sender sends."""
    line = _timeline(DtmfSender(digits))
    return [
        (i * 0.02, each.payload, (start + i * 160 - each.elapsed) & 0xFFFFFFFF)
        for i, each in enumerate(line)
        if each is not None
    ]


def test_every_key_is_heard_at_its_first_packet() -> None:
    receiver = DtmfReceiver()
    for code, digit in enumerate(DIGITS):
        assert receiver.receive(_event(code, 160), code * 5000, code * 0.5) == digit
        assert receiver.receive(_event(code, 320), code * 5000, code * 0.5) is None
        assert receiver.receive(_event(code, 480, end=True), code * 5000, code * 0.5) is None


def test_the_same_key_twice_is_two_digits() -> None:
    assert _heard(_on_the_wire("55")) == "55"


@pytest.mark.parametrize("kept", [0, 3, 7, 8, 9])
def test_one_packet_of_an_event_suffices(kept: int) -> None:
    assert _heard([_on_the_wire("7")[kept]]) == "7"


def test_all_end_packets_may_be_lost() -> None:
    packets = [each for each in _on_the_wire("112") if not each[1][1] & 0x80]
    assert _heard(packets) == "112"


def test_reordered_packets_of_an_earlier_event_count_no_second_time() -> None:
    packets = _on_the_wire("12")
    assert _heard([*packets, packets[5], packets[9], packets[0]]) == "12"


def test_a_long_event_in_segments_is_one_digit() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(_event(5, 160), 1000, 0.0) == "5"
    assert receiver.receive(_event(5, 0xFFFF), 1000, 8.19) is None
    assert receiver.receive(_event(5, 160), 1000 + 0xFFFF, 8.21) is None
    assert receiver.receive(_event(5, 0xFFFF), 1000 + 0xFFFF, 16.38) is None
    assert receiver.receive(_event(5, 400, end=True), 1000 + 2 * 0xFFFF, 16.42) is None
    assert receiver.receive(_event(5, 160), 1000 + 2 * 0xFFFF + 400, 16.44) == "5"


def test_a_segment_that_lost_its_last_packet_is_found_all_the_same() -> None:
    receiver = DtmfReceiver()
    receiver.receive(_event(5, 0xFF00), 1000, 8.15)
    assert receiver.receive(_event(5, 160), 1000 + 0xFFFF, 8.21) is None


def test_segments_shorter_than_the_longest_are_joined_too() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(_event(5, 160), 1000, 0.0) == "5"
    assert receiver.receive(_event(5, 8000), 1000, 0.98) is None
    assert receiver.receive(_event(5, 160), 9000, 1.0) is None


def test_after_an_end_the_same_arithmetic_is_a_new_digit() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(_event(5, 160), 1000, 0.0) == "5"
    assert receiver.receive(_event(5, 480, end=True), 1000, 0.04) is None
    assert receiver.receive(_event(5, 160), 1480, 0.06) == "5"


def test_after_silence_the_same_arithmetic_is_a_new_digit() -> None:
    receiver = DtmfReceiver()
    receiver.receive(_event(5, 480), 1000, 0.0)
    assert receiver.receive(_event(5, 160), 1480, 2.0) == "5"


def test_another_key_at_the_end_of_the_last_is_a_new_digit() -> None:
    receiver = DtmfReceiver()
    receiver.receive(_event(5, 480), 1000, 0.0)
    assert receiver.receive(_event(6, 160), 1480, 0.06) == "6"


def test_a_timestamp_that_goes_back_still_gives_digits() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(_event(1, 160, end=True), 4_000_000_000, 0.0) == "1"
    assert receiver.receive(_event(1, 160, end=True), 50, 1.0) == "1"


def test_reset_lets_the_same_timestamp_count_again() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(_event(1, 160), 1000, 0.0) == "1"
    receiver.reset()
    assert receiver.receive(_event(1, 160), 1000, 0.0) == "1"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x0a\x00", _event(16, 160), _event(255, 160)])
def test_what_is_no_key_is_ignored(payload: bytes) -> None:
    assert DtmfReceiver().receive(payload, 0, 0.0) is None


def test_octets_beyond_the_event_are_ignored() -> None:
    assert DtmfReceiver().receive(_event(11, 160) + b"more", 0, 0.0) == "#"


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 2**32 - 1)), max_size=40))
@settings(max_examples=80, deadline=None)
def test_no_input_raises(stream: list[tuple[bytes, int]]) -> None:
    receiver = DtmfReceiver()
    for index, (payload, timestamp) in enumerate(stream):
        assert receiver.receive(payload, timestamp, index * 0.02) in (None, *DIGITS)


@given(
    digits=st.text(alphabet=DIGITS, min_size=1, max_size=12),
    start=st.integers(0, 2**32 - 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_what_is_sent_is_heard_through_loss_copies_and_reordering(digits: str, start: int, seed: int) -> None:
    rng = random.Random(seed)
    by_event: dict[int, list[tuple[float, bytes, int]]] = {}
    for each in _on_the_wire(digits, start):
        by_event.setdefault(each[2], []).append(each)
    # Any packets of an event but one may be lost; delays stay below the gap between tones.
    kept = [each for event in by_event.values() for each in rng.choices(event, k=rng.randint(1, 12))]
    assert _heard(sorted(kept, key=lambda each: each[0] + rng.uniform(0, 0.03))) == digits


def test_the_timeline_of_one_digit() -> None:
    line = _timeline(DtmfSender("#"))
    assert len(line) == 11
    sent = [each for each in line if each is not None]
    assert line[10] is None
    assert [each.marker for each in sent] == [True] + [False] * 9
    assert [each.elapsed for each in sent] == [160 * i for i in range(10)]
    assert [each.payload for each in sent] == [
        *(_event(11, 160 * i) for i in range(1, 8)),
        *[_event(11, 1280, end=True)] * 3,
    ]


def test_tones_and_gaps_are_long_enough() -> None:
    wire = _on_the_wire("12")
    first, second = sorted({each[2] for each in wire})
    duration = max(struct.unpack("!BBH", each[1])[2] for each in wire)
    assert duration == 1280
    assert second - first - duration >= 50 * 8


@pytest.mark.parametrize(
    ("tone_ms", "gap_ms", "frames"), [(160, 60, 11), (40, 0, 4), (20, 0, 3), (150, 50, 11), (100, 100, 10)]
)
def test_times_are_rounded_up_to_frames(tone_ms: int, gap_ms: int, frames: int) -> None:
    line = _timeline(DtmfSender("1", tone_ms=tone_ms, gap_ms=gap_ms))
    assert len(line) == frames
    assert sum(1 for each in line if each is not None and each.payload[1] & 0x80) == 3


def test_the_clock_of_a_wideband_leg() -> None:
    line = _timeline(DtmfSender("1", rate=16000))
    assert line[9] == DtmfPacket(_event(1, 2560, end=True), False, 9 * 320)


def test_append_goes_on_after_what_waits() -> None:
    sender = DtmfSender("1")
    sender.next_packet()
    sender.append("2b")
    codes = [each.payload[0] for each in _timeline(sender) if each is not None and each.marker]
    assert codes == [2, 13]
    assert sender.done
    assert sender.next_packet() is None
    sender.append("3")
    first = sender.next_packet()
    assert first is not None
    assert first.marker


def test_nothing_to_send() -> None:
    assert DtmfSender("").done


@pytest.mark.parametrize("digits", ["12x4", "1 2", "²", "1" * (MAX_DIGITS + 1)])
def test_no_keys_are_refused_and_not_repeated_in_the_error(digits: str) -> None:
    sender = DtmfSender("9")
    with pytest.raises(InvalidDigit) as caught:
        sender.append(digits)
    assert digits not in str(caught.value)
    assert [each.payload[0] for each in _timeline(sender) if each is not None and each.marker] == [9]


def test_a_tone_beyond_one_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="segment"):
        DtmfSender("1", tone_ms=10_000)
