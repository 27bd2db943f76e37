"""The jitter buffer: order, loss, lateness, and new runs without loss."""

import random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.jitter import MAX_READY, MAX_WAIT, JitterBuffer
from cordboard.media.rtp import RtpPacket


def _packet(sequence: int, timestamp: int | None = None, ssrc: int = 1) -> RtpPacket:
    moment = sequence * 160 if timestamp is None else timestamp
    return RtpPacket(0, sequence & 0xFFFF, moment & 0xFFFFFFFF, ssrc, False, b"x")


def _sequences(packets: list[RtpPacket]) -> list[int]:
    return [each.sequence for each in packets]


def _feed(buffer: JitterBuffer, *sequences: int, now: float = 0.0) -> list[int]:
    for each in sequences:
        buffer.push(_packet(each), now)
    return _sequences(buffer.pop_ready(now))


class Case(NamedTuple):
    pushed: list[int]
    ready: list[int]
    late: int = 0
    duplicates: int = 0


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case([1, 2, 3], [1, 2, 3]), id="in order"),
        pytest.param(Case([1, 3, 2, 4], [1, 2, 3, 4]), id="two swapped"),
        pytest.param(Case([1, 5, 4, 3, 2], [1, 2, 3, 4, 5]), id="reversed"),
        pytest.param(Case([1, 2, 2, 1, 3], [1, 2, 3], duplicates=2), id="duplicates of delivered ones"),
        pytest.param(Case([1, 3, 3, 2], [1, 2, 3], duplicates=1), id="duplicate of a waiting one"),
        pytest.param(Case([65534, 0, 65535, 1], [65534, 65535, 0, 1]), id="wrap"),
        pytest.param(Case([5, 4], [5], late=1), id="before the first"),
    ],
)
def test_order(case: Case) -> None:
    buffer = JitterBuffer()
    # Timestamps that wrap together with the sequence number.
    for each in case.pushed:
        buffer.push(_packet(each, (each if each > 1000 else each + 65536) * 160), 0.0)
    assert _sequences(buffer.pop_ready(0.0)) == case.ready
    assert (buffer.late, buffer.duplicates, buffer.lost, buffer.resyncs) == (case.late, case.duplicates, 0, 0)
    assert buffer.next_timer() is None


def test_a_clean_path_has_no_delay() -> None:
    buffer = JitterBuffer()
    for sequence in range(100):
        assert _feed(buffer, sequence, now=sequence * 0.02) == [sequence]


def test_a_gap_is_waited_for_and_then_given_up() -> None:
    buffer = JitterBuffer()
    _feed(buffer, 1)
    assert _feed(buffer, 4, now=1.0) == []
    assert buffer.next_timer() == pytest.approx(1.0 + MAX_WAIT)
    assert _sequences(buffer.pop_ready(1.0 + MAX_WAIT - 0.001)) == []
    assert _sequences(buffer.pop_ready(1.0 + MAX_WAIT)) == [4]
    assert buffer.lost == 2
    assert _feed(buffer, 3, 2, now=1.1) == []
    assert (buffer.lost, buffer.late, buffer.duplicates) == (2, 2, 0)
    assert _feed(buffer, 1, 4, now=1.1) == []
    assert (buffer.late, buffer.duplicates) == (2, 2)
    assert _feed(buffer, 5, now=1.1) == [5]


def test_two_gaps_have_their_own_times() -> None:
    buffer = JitterBuffer()
    _feed(buffer, 1)
    _feed(buffer, 3, now=0.00)
    _feed(buffer, 5, now=0.04)
    assert _sequences(buffer.pop_ready(0.06)) == [3]
    assert _sequences(buffer.pop_ready(0.099)) == []
    assert _sequences(buffer.pop_ready(0.10)) == [5]
    assert buffer.lost == 2


def test_depth_bounds_what_waits() -> None:
    buffer = JitterBuffer(depth=3)
    _feed(buffer, 1)
    assert _feed(buffer, 3, 4, 5) == []
    assert _feed(buffer, 6) == [3, 4, 5, 6]
    assert buffer.lost == 1


def test_a_reader_that_does_not_come_costs_the_oldest() -> None:
    buffer = JitterBuffer()
    assert _feed(buffer, *range(MAX_READY + 10)) == list(range(10, MAX_READY + 10))
    assert buffer.overflow == 10


def test_a_new_source_begins_at_once_and_drops_nothing() -> None:
    buffer = JitterBuffer()
    _feed(buffer, 10)
    buffer.push(_packet(12), 0.0)
    buffer.push(_packet(500, ssrc=2), 0.0)
    buffer.push(_packet(501, ssrc=2), 0.0)
    assert [(each.ssrc, each.sequence) for each in buffer.pop_ready(0.0)] == [(1, 12), (2, 500), (2, 501)]
    assert (buffer.resyncs, buffer.late, buffer.duplicates) == (1, 0, 0)


@pytest.mark.parametrize("start", [30000, 20000, 60000, 5100])
def test_a_restarted_sequence_drops_nothing(start: int) -> None:
    buffer = JitterBuffer()
    assert _feed(buffer, 10000, 10001) == [10000, 10001]
    assert _feed(buffer, start) == []
    assert _feed(buffer, start + 1, start + 2) == [start, start + 1, start + 2]
    assert (buffer.resyncs, buffer.lost, buffer.strays) == (1, 0, 0)


def test_a_restart_out_of_order_drops_nothing() -> None:
    buffer = JitterBuffer()
    _feed(buffer, 10000)
    assert _feed(buffer, 30001, 30000, 30002) == [30000, 30001, 30002]
    assert buffer.resyncs == 1


def test_a_restart_with_one_packet_is_believed_when_the_old_run_is_silent() -> None:
    buffer = JitterBuffer()
    _feed(buffer, 10000)
    assert _feed(buffer, 30000, now=1.0) == []
    assert buffer.next_timer() == pytest.approx(1.0 + MAX_WAIT)
    assert _sequences(buffer.pop_ready(1.0 + MAX_WAIT)) == [30000]


def test_a_stray_does_not_disturb_the_run() -> None:
    buffer = JitterBuffer()
    _feed(buffer, 10000)
    assert _feed(buffer, 30000, 10001, 10002) == [10001, 10002]
    assert (buffer.strays, buffer.resyncs) == (1, 0)
    assert _feed(buffer, 30000, 30000, 50000, 10003) == [10003]
    assert (buffer.strays, buffer.duplicates) == (3, 1)


def test_a_small_step_back_with_newer_time_is_a_restart() -> None:
    buffer = JitterBuffer()
    _feed(buffer, *range(1000, 1010))
    buffer.push(_packet(990, timestamp=2_000_000), 0.0)
    buffer.push(_packet(991, timestamp=2_000_160), 0.0)
    assert _sequences(buffer.pop_ready(0.0)) == [990, 991]
    assert (buffer.resyncs, buffer.late, buffer.duplicates) == (1, 0, 0)


def test_a_jump_of_the_timestamp_alone_changes_nothing() -> None:
    buffer = JitterBuffer()
    for sequence, timestamp in ((1, 160), (2, 4_000_000_000), (3, 50), (4, 50)):
        buffer.push(_packet(sequence, timestamp), 0.0)
    assert _sequences(buffer.pop_ready(0.0)) == [1, 2, 3, 4]


def test_depth_is_checked() -> None:
    with pytest.raises(ValueError, match="depth"):
        JitterBuffer(depth=0)


@given(seed=st.integers(0, 2**32), start=st.integers(0, 65535))
@settings(max_examples=60, deadline=None)
def test_loss_reordering_and_copies_never_break_the_order(seed: int, start: int) -> None:
    rng = random.Random(seed)
    sent = [_packet(start + i, i * 160) for i in range(120)]
    arrivals = sorted(
        (i * 0.02 + rng.uniform(0, 0.05), i)
        for i in range(120)
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2)) if i else 1)
    )
    buffer = JitterBuffer()
    out: list[RtpPacket] = []
    now = 0.0
    for now, i in arrivals:
        buffer.push(sent[i], now)
        out += buffer.pop_ready(now)
    out += buffer.pop_ready(now + 1.0)
    places = [each.timestamp // 160 for each in out]
    assert places == sorted(set(places))
    assert len(out) + buffer.late + buffer.duplicates == len(arrivals)
    assert buffer.resyncs == 0
    assert buffer.next_timer() is None


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(1, 2)), max_size=80))
@settings(max_examples=80, deadline=None)
def test_hostile_numbers_are_bounded_and_accounted_for(stream: list[tuple[int, int, int]]) -> None:
    buffer = JitterBuffer()
    out = 0
    for index, (sequence, timestamp, ssrc) in enumerate(stream):
        buffer.push(_packet(sequence, timestamp, ssrc), index * 0.005)
        out += len(buffer.pop_ready(index * 0.005))
    out += len(buffer.pop_ready(10.0))
    dropped = buffer.late + buffer.duplicates + buffer.strays + buffer.overflow
    assert out + dropped == len(stream)
    assert buffer.next_timer() is None
