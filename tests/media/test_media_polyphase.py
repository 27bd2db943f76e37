"""The general change of rate: level, purity, delay, and independence of how a stream is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.analysis import dominant_tone, tone_share
from cordboard.media.polyphase import Polyphase
from cordboard.media.samples import level_dbfs
from cordboard.media.tones import sine

NOISE = np.random.default_rng(44).integers(-32768, 32768, 1500).astype(np.int16)
PAIRS = [
    (8000, 24000),
    (24000, 8000),
    (16000, 24000),
    (24000, 16000),
    (8000, 44100),
    (44100, 8000),
    (16000, 44100),
    (44100, 16000),
    (24000, 44100),
    (44100, 24000),
]


@pytest.mark.parametrize(("source", "sink"), PAIRS)
@pytest.mark.parametrize("hz", [100, 1000, 3300])
def test_tones_keep_frequency_level_and_purity(source: int, sink: int, hz: int) -> None:
    out = Polyphase(source, sink).process(sine(hz, 1.0, source, -6.0))[sink // 10 : sink * 9 // 10]
    assert out.size == sink * 9 // 10 - sink // 10
    tone = dominant_tone(out, sink)
    assert tone.hz == pytest.approx(hz, abs=0.5)
    assert tone.share > 0.9999
    assert level_dbfs(out) == pytest.approx(-6.0, abs=0.02)


@pytest.mark.parametrize(("source", "sink"), [(24000, 8000), (44100, 8000), (44100, 16000)])
@pytest.mark.parametrize("part", [0.6, 0.8, 1.1])
def test_aliases_are_65_db_down(source: int, sink: int, part: float) -> None:
    out = Polyphase(source, sink).process(sine(part * sink, 1.0, source, -6.0))
    assert level_dbfs(out[sink // 10 : sink * 9 // 10]) < -6.0 - 65.0


@pytest.mark.parametrize(("source", "sink"), [(8000, 24000), (8000, 44100), (16000, 44100)])
def test_images_are_65_db_down(source: int, sink: int) -> None:
    hz = 0.4 * source
    out = Polyphase(source, sink).process(sine(hz, 1.0, source, -6.0))[sink // 10 : sink * 9 // 10]
    assert tone_share(out, sink, source - hz) < 10**-6.5
    assert dominant_tone(out, sink).share > 0.9999


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_delay_is_as_told(source: int, sink: int) -> None:
    change = Polyphase(source, sink)
    pulse = np.zeros(source // 50, np.int16)
    pulse[0] = 20000
    assert int(np.argmax(change.process(pulse))) == change.delay_samples
    assert change.delay_samples / sink <= 0.0021


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_twenty_milliseconds_in_twenty_out(source: int, sink: int) -> None:
    change = Polyphase(source, sink)
    frame = np.zeros(source // 50, np.int16)
    assert [change.process(frame).size for _ in range(5)] == [sink // 50] * 5


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_direct_current_passes_unchanged(source: int, sink: int) -> None:
    out = Polyphase(source, sink).process(np.full(source // 10, -12345, np.int16))
    assert set(out[sink // 20 :].tolist()) == {-12345}


@pytest.mark.parametrize(("source", "sink"), [(8000, 44100), (44100, 8000), (24000, 16000)])
@given(cuts=st.lists(st.integers(0, 1500), max_size=8))
@settings(max_examples=25, deadline=None)
def test_any_split_gives_the_same_bits(source: int, sink: int, cuts: list[int]) -> None:
    change = Polyphase(source, sink)
    parts = [change.process(NOISE[a:b]) for a, b in pairwise([0, *sorted(cuts), NOISE.size])]
    assert np.array_equal(np.concatenate(parts), Polyphase(source, sink).process(NOISE))


def test_single_samples_give_the_same_bits() -> None:
    change = Polyphase(44100, 8000)
    parts = [change.process(NOISE[i : i + 1]) for i in range(NOISE.size)]
    assert np.array_equal(np.concatenate(parts), Polyphase(44100, 8000).process(NOISE))


def test_reset_clears_the_tail_and_the_phase() -> None:
    change = Polyphase(44100, 8000)
    change.process(NOISE[:1001])
    change.reset()
    assert np.array_equal(change.process(NOISE), Polyphase(44100, 8000).process(NOISE))


def test_full_scale_steps_are_limited() -> None:
    out = Polyphase(8000, 24000).process(np.repeat(np.array([32767, -32768] * 4, np.int16), 60))
    assert (int(out.min()), int(out.max())) == (-32768, 32767)


@pytest.mark.parametrize(("source", "sink"), [(8000, 44101), (0, 8000), (8000, -1)])
def test_impossible_ratios_are_refused(source: int, sink: int) -> None:
    with pytest.raises(ValueError):
        Polyphase(source, sink)
