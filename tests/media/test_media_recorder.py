"""Recordings: the time line of two channels, files cut anywhere, and their PCM form."""

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.media.chain import L16_16000, PCMA_8000, PCMU_8000, Format, UnsupportedConversion
from cordboard.media.g711 import ulaw_decode
from cordboard.media.recorder import MAX_PENDING, StereoTrack, header, repair, to_pcm16
from cordboard.media.wav import WavError, form_header, read_wav


def _channels(block: bytes) -> tuple[bytes, bytes]:
    return block[0::2], block[1::2]


def test_channels_are_interleaved_and_gaps_are_silence() -> None:
    track = StereoTrack()
    track.left(b"abc", 0)
    track.right(b"xy", 4)
    left, right = _channels(track.flush(8))
    assert left == b"abc" + b"\xff" * 5
    assert right == b"\xff" * 4 + b"xy" + b"\xff" * 2
    assert track.flushed == 8


def test_frames_may_reach_over_the_edge_of_a_flush_and_lie_beyond_it() -> None:
    track = StereoTrack()
    track.left(b"abcdef", 2)
    track.left(b"zz", 20)
    assert _channels(track.flush(4))[0] == b"\xff\xffab"
    assert _channels(track.flush(10))[0] == b"cdef\xff\xff"
    assert _channels(track.flush(22))[0] == b"\xff" * 10 + b"zz"
    assert track.late == 0


def test_a_late_frame_loses_what_has_been_given_out() -> None:
    track = StereoTrack()
    track.flush(10)
    track.right(b"abcd", 8)
    track.right(b"old", 0)
    assert _channels(track.flush(12))[1] == b"cd"
    assert track.late == 5


def test_the_later_of_two_overlapping_frames_is_kept() -> None:
    track = StereoTrack()
    track.left(b"aaaa", 0)
    track.left(b"bb", 2)
    assert _channels(track.flush(4))[0] == b"aabb"


def test_flushing_backwards_gives_nothing() -> None:
    track = StereoTrack()
    track.flush(10)
    assert track.flush(10) == b""
    assert track.flush(5) == b""
    assert track.flushed == 10


def test_waiting_frames_are_bounded() -> None:
    track = StereoTrack()
    for i in range(MAX_PENDING + 5):
        track.left(b"x", i)
    assert track.overflow == 5
    assert _channels(track.flush(MAX_PENDING + 1))[0] == b"x" * MAX_PENDING + b"\xff"
    track.left(b"y", MAX_PENDING + 1)
    assert _channels(track.flush(MAX_PENDING + 2))[0] == b"y"


def test_high_definition_tracks_hold_16_bits() -> None:
    track = StereoTrack(L16_16000)
    track.left(np.array([1, 2], "<i2").tobytes(), 1)
    track.right(np.array([-1], "<i2").tobytes() + b"\x7f", 0)
    assert np.frombuffer(track.flush(3), "<i2").tolist() == [0, -1, 1, 0, 2, 0]


def test_other_encodings_are_refused() -> None:
    with pytest.raises(UnsupportedConversion):
        StereoTrack(PCMA_8000)
    with pytest.raises(ValueError, match="PCMA"):
        header(encoding="PCMA")


@given(
    frames=st.lists(st.tuples(st.booleans(), st.integers(0, 300), st.binary(min_size=1, max_size=40)), max_size=20),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
@settings(max_examples=80, deadline=None)
def test_how_often_is_flushed_does_not_matter(frames: list[tuple[bool, int, bytes]], cuts: list[int]) -> None:
    whole, parts = StereoTrack(), StereoTrack()
    for track in (whole, parts):
        for is_left, at_sample, payload in frames:
            (track.left if is_left else track.right)(payload, at_sample)
    assert b"".join(parts.flush(each) for each in [*sorted(cuts), 400]) == whole.flush(400)


@pytest.mark.parametrize("form", [PCMU_8000, L16_16000, Format("L16", 8000)])
def test_an_unfinished_file_is_read_and_repaired(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "call.wav"
    track = StereoTrack(form)
    track.left(bytes(range(100)), 0)
    path.write_bytes(header(2, form.rate, form.encoding) + track.flush(200))
    before = read_wav(path)
    assert before.samples.shape == (200, 2)
    assert repair(path, form) == 200
    repaired = path.read_bytes()
    assert repaired[4:8] == (len(repaired) - 8).to_bytes(4, "little")
    after = read_wav(path)
    assert after.rate == form.rate
    assert np.array_equal(before.samples, after.samples)
    assert repair(path, form) == 200
    assert path.read_bytes() == repaired


@pytest.mark.parametrize("form", [PCMU_8000, L16_16000])
def test_a_file_cut_at_any_octet_is_repaired_and_plays(tmp_path: Path, form: Format) -> None:
    path, plain = tmp_path / "call.wav", tmp_path / "plain.wav"
    track = StereoTrack(form)
    track.left(bytes(range(1, 61)), 0)
    track.right(bytes(range(61, 121)), 0)
    start = header(2, form.rate, form.encoding)
    whole = start + track.flush(20)
    block = 2 * form.bytes_per_sample
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        samples = max(0, cut - len(start)) // block
        assert repair(path, form) == samples
        sound = read_wav(path)
        assert (sound.rate, sound.channels, sound.samples.shape[0]) == (form.rate, 2, samples)
        assert path.read_bytes()[len(start) :] == whole[len(start) : len(start) + samples * block]
        repaired = path.read_bytes()
        assert repair(path, form) == samples
        assert path.read_bytes() == repaired
        to_pcm16(path, plain)
        with wave.open(str(plain)) as other:
            assert other.getparams()[:4] == (2, 2, form.rate, samples)


@given(size=st.integers(0, 200), noise=st.binary(max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_foreign_files_are_left_as_they_are(tmp_path: Path, size: int, noise: bytes) -> None:
    path = tmp_path / "foreign.wav"
    data = b"RIFX" + noise + bytes(size)
    path.write_bytes(data)
    with pytest.raises(WavError):
        repair(path)
    assert path.read_bytes() == data


def test_a_wav_with_other_chunks_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "foreign.wav"
    start = header()
    data = start[:12] + b"LIST\x04\0\0\0abcd" + start[12:] + b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(WavError, match="no recording of ours"):
        repair(path)
    assert path.read_bytes() == data


def test_one_channel_of_odd_length_gets_its_padding(tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    path.write_bytes(header(1, 8000) + b"abc")
    assert repair(path, channels=1) == 3
    assert path.read_bytes()[-4:] == b"abc\0"
    assert repair(path, channels=1) == 3
    assert read_wav(path).mono().tolist() == ulaw_decode(b"abc").tolist()


def test_pcm_form_holds_the_same_sound(tmp_path: Path) -> None:
    path, plain = tmp_path / "call.wav", tmp_path / "plain.wav"
    octets = np.random.default_rng(3).integers(0, 256, 2 * 70_000).astype(np.uint8).tobytes()
    path.write_bytes(header() + octets)
    to_pcm16(path, plain)
    assert np.array_equal(read_wav(plain).samples.reshape(-1), ulaw_decode(octets))
    assert list(tmp_path.glob("*.part")) == []


def test_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"noise")
    with pytest.raises(WavError):
        to_pcm16(path, tmp_path / "plain.wav")
    path.write_bytes(header() + b"abcd")
    (tmp_path / "plain.wav").mkdir()
    with pytest.raises(OSError):
        to_pcm16(path, tmp_path / "plain.wav")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["call.wav", "plain.wav"]


def test_header_octets() -> None:
    # By hand from the RIFF specification and WAVEFORMATEX.
    assert header().hex() == (
        "52494646ffffffff57415645"
        "666d742012000000" "0700" "0200" "401f0000" "803e0000" "0200" "0800" "0000"
        "6661637404000000ffffffff"
        "64617461ffffffff"
    )  # fmt: skip
    assert header(2, 16000, "L16") == form_header(1, 2, 16000, 2)
    assert len(header(2, 16000, "L16")) == 44


def test_a_muted_track_is_silent_from_sample_to_sample_on_both_sides_however_it_is_flushed() -> None:
    track = StereoTrack()
    for at in range(0, 1600, 160):
        track.left(b"\x11" * 160, at)
        track.right(b"\x22" * 160, at)
    track.mute(203)
    track.mute(500)  # it is mute already
    first = track.flush(640)
    track.unmute(901)
    track.unmute(950)  # and heard again already
    track.mute(1000)
    track.unmute(1001)
    data = first + track.flush(1600)
    for side, sound in ((data[0::2], b"\x11"), (data[1::2], b"\x22")):
        assert side == sound * 203 + b"\xff" * 698 + sound * 99 + b"\xff" + sound * 599
    assert not track.muted
