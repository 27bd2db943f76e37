"""RTCP: receiver statistics against the appendices of RFC 3550, reports as octets, hostile input."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.rtcp import (
    MAX_DATAGRAM,
    MAX_DROPOUT,
    MAX_MISORDER,
    MAX_PACKETS_PER_COMPOUND,
    Bye,
    ReceiverReport,
    ReceiverStats,
    ReportBlock,
    SenderReport,
    build_bye,
    build_rr,
    build_sr,
    ntp_time,
    parse_rtcp,
)
from cordboard.media.rtp import RtpPacket

BLOCK = ReportBlock(0x01020304, 64, -2, 0x10005, 33, 0xAABBCCDD, 0x8000)


def _packet(sequence: int, timestamp: int = 0, ssrc: int = 7) -> RtpPacket:
    return RtpPacket(0, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, False, b"")


def _stats(*sequences: int) -> ReceiverStats:
    stats = ReceiverStats(8000)
    for each in sequences:
        stats.receive(_packet(each, each * 160), each * 0.02)
    return stats


def _report(stats: ReceiverStats, now: float = 0.0) -> ReportBlock:
    report = stats.report(now)
    assert report is not None
    return report


def test_nothing_received_nothing_reported() -> None:
    stats = ReceiverStats(8000)
    assert stats.report(0.0) is None
    assert (stats.received, stats.lost, stats.jitter) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("sequences", "lost"),
    [
        pytest.param([1, 2, 3, 4], 0, id="all"),
        pytest.param([1, 2, 5], 2, id="two missing"),
        pytest.param([1, 3, 2, 4], 0, id="reordered"),
        pytest.param([1, 2, 2, 4], 0, id="a copy hides a loss, as RFC 3550 A.3 has it"),
        pytest.param([1, 1, 1], 0, id="copies never make it negative"),
    ],
)
def test_loss(sequences: list[int], lost: int) -> None:
    stats = _stats(*sequences)
    assert (stats.lost, stats.received) == (lost, len(sequences))


def test_wrap_counts_a_cycle() -> None:
    stats = _stats(65534, 65535, 65536, 65538)
    assert stats.highest_sequence == 0x10002
    assert stats.lost == 1


def test_fraction_is_that_of_the_interval() -> None:
    stats = _stats(1, 2, 3, 5)
    assert (_report(stats).fraction_lost, _report(stats).fraction_lost) == (51, 0)
    stats.receive(_packet(6), 0.1)
    stats.receive(_packet(8), 0.1)
    report = _report(stats)
    assert (report.fraction_lost, report.cumulative_lost) == (256 // 3, 2)


def test_one_stray_is_not_counted_and_two_in_a_row_begin_anew() -> None:
    stats = _stats(1, 2, 3)
    stats.receive(_packet(30000), 0.1)
    assert (stats.lost, stats.resyncs, stats.highest_sequence) == (0, 0, 3)
    stats.receive(_packet(30001), 0.12)
    assert (stats.lost, stats.resyncs, stats.highest_sequence) == (0, 1, 30001)


@pytest.mark.parametrize(
    ("step", "lost", "highest"),
    [(MAX_DROPOUT - 1, MAX_DROPOUT - 2, MAX_DROPOUT), (MAX_DROPOUT, 0, 1), (-MAX_MISORDER, 0, 1), (-101, 0, 1)],
)
def test_limits_of_a_run(step: int, lost: int, highest: int) -> None:
    stats = _stats(1)
    stats.receive(_packet(1 + step), 0.1)
    assert (stats.lost, stats.highest_sequence) == (lost, highest)
    counted = step in (MAX_DROPOUT - 1, -MAX_MISORDER)
    stats.receive(_packet(2 + step), 0.12)
    assert stats.resyncs == (0 if counted else 1)


def test_a_new_source_keeps_the_totals() -> None:
    stats = _stats(1, 2, 5)
    stats.receive(_packet(40000, ssrc=8), 1.0)
    stats.receive(_packet(40002, ssrc=8), 1.1)
    assert (stats.ssrc, stats.lost, stats.received, stats.resyncs) == (8, 3, 5, 1)
    assert _report(stats).cumulative_lost == 1


def test_jitter_follows_appendix_a8() -> None:
    stats = ReceiverStats(8000)
    expected = 0.0
    previous = None
    for i, delay in enumerate([0.0, 0.010, 0.0, 0.005, 0.005, 0.020]):
        stats.receive(_packet(i, i * 160), i * 0.02 + delay)
        if previous is not None:
            expected += (abs(delay - previous) * 8000 - expected) / 16
        previous = delay
    assert stats.jitter == pytest.approx(expected / 8000)
    assert _report(stats).jitter == int(expected)


def test_an_even_stream_has_no_jitter_even_when_the_timestamp_wraps() -> None:
    stats = ReceiverStats(8000)
    for i in range(100):
        stats.receive(_packet(i, 0xFFFFFF00 + i * 160), i * 0.02)
    assert stats.jitter == pytest.approx(0.0, abs=1e-9)


def test_a_jump_of_the_timestamp_is_no_jitter() -> None:
    stats = ReceiverStats(8000)
    for i in range(50):
        stats.receive(_packet(i, i * 160 + (1_000_000_000 if i > 25 else 0)), i * 0.02)
    assert stats.jitter == pytest.approx(0.0, abs=1e-9)


def test_last_sender_report_comes_back_with_its_age() -> None:
    stats = _stats(1)
    assert (_report(stats).last_sr, _report(stats).delay_since_last_sr) == (0, 0)
    stats.receive_sr(SenderReport(99, 1 << 40, 0, 0, 0, ()), 1.0)
    assert _report(stats, 2.0).last_sr == 0
    stats.receive_sr(SenderReport(7, 0x0123456789ABCDEF, 0, 0, 0, ()), 1.0)
    report = _report(stats, 1.5)
    assert (report.last_sr, report.delay_since_last_sr) == (0x456789AB, 0x8000)


def test_sender_report_octets() -> None:
    # By hand from the figures in RFC 3550 sections 6.4.1 and 6.5.
    data = build_sr(0x11223344, 0x0102030405060708, 160, 2, 320, [BLOCK], "me")
    assert data.hex() == (
        "81c8000c" "11223344" "0102030405060708" "000000a0" "00000002" "00000140"
        "01020304" "40fffffe" "00010005" "00000021" "aabbccdd" "00008000"
        "81ca0003" "11223344" "01026d65" "00000000"
    )  # fmt: skip
    assert parse_rtcp(data) == [SenderReport(0x11223344, 0x0102030405060708, 160, 2, 320, (BLOCK,))]


@pytest.mark.parametrize("cname", ["", "a", "ab", "abc", "abcd", "x" * 255])
def test_receiver_report_and_bye_are_read_back(cname: str) -> None:
    assert parse_rtcp(build_rr(5, [BLOCK, BLOCK], cname)) == [ReceiverReport(5, (BLOCK, BLOCK))]
    assert parse_rtcp(build_bye(5, "over", cname)) == [ReceiverReport(5, ()), Bye((5,), "over")]
    assert parse_rtcp(build_bye(5, "", cname))[1:] == [Bye((5,), "")]
    assert len(build_bye(5, "reason", cname)) % 4 == 0


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="31"):
        build_rr(5, [BLOCK] * 32)
    with pytest.raises(ValueError, match="255"):
        build_bye(5, "x" * 256)
    with pytest.raises(ValueError, match="CNAME"):
        build_rr(5, cname="x" * 256)


def test_ntp_time_of_the_unix_epoch() -> None:
    assert ntp_time(0.5) == 2208988800 << 32 | 1 << 31


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80\xc9\x00", id="cut header"),
        pytest.param(b"\x80\xc9\x00\x05" + bytes(4), id="claims more than there is"),
        pytest.param(b"\x81\xc9\x00\x01" + bytes(4), id="block missing"),
        pytest.param(b"\x80\xc8\x00\x01" + bytes(4), id="sender info missing"),
        pytest.param(b"\x9f\xcb\x00\x01" + bytes(4), id="sources missing"),
        pytest.param(b"\x40\xc9\x00\x01" + bytes(4), id="version 1"),
        pytest.param(b"\x80\x00" + bytes(20), id="RTP"),
        pytest.param(b"\xa0\xc9\x00\x01\0\0\0\0", id="padding of nothing"),
        pytest.param(b"\xa0\xc9\x00\x01\0\0\0\x09", id="padding too long"),
        pytest.param(build_rr(5) + bytes(MAX_DATAGRAM), id="too long"),
    ],
)
def test_broken_input_gives_nothing(data: bytes) -> None:
    assert parse_rtcp(data) == []


def test_good_packets_before_broken_ones_are_kept() -> None:
    assert parse_rtcp(build_rr(5) + b"\x80\xc9\xff\xff") == [ReceiverReport(5, ())]


def test_packets_of_a_compound_are_bounded() -> None:
    empty_app = struct.pack("!BBH", 0x80, 204, 0)
    assert parse_rtcp(empty_app * (MAX_PACKETS_PER_COMPOUND - 2) + build_rr(5)) == [ReceiverReport(5, ())]
    assert parse_rtcp(empty_app * MAX_PACKETS_PER_COMPOUND + build_rr(5)) == []


@given(st.binary(max_size=120))
@settings(max_examples=150, deadline=None)
def test_no_input_raises(data: bytes) -> None:
    assert isinstance(parse_rtcp(data), list)


@given(first=st.integers(0x80, 0xBF), kind=st.integers(200, 204), body=st.binary(max_size=80))
@settings(max_examples=150, deadline=None)
def test_no_well_framed_body_raises(first: int, kind: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    assert len(parse_rtcp(struct.pack("!BBH", first, kind, len(body) // 4) + body)) <= 1


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(1, 3)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_hostile_streams_always_give_a_report_that_packs(stream: list[tuple[int, int, int]]) -> None:
    stats = ReceiverStats(8000)
    for index, (sequence, timestamp, ssrc) in enumerate(stream):
        stats.receive(_packet(sequence, timestamp, ssrc), index * 0.01)
        report = stats.report(index * 0.01)
        assert report is not None
        assert parse_rtcp(build_rr(1, [report])) == [ReceiverReport(1, (report,))]
    assert stats.received == len(stream)
    assert stats.lost >= 0
