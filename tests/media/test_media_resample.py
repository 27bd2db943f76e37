"""The half-band filters: level, purity, delay, and independence of how a stream is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.analysis import dominant_tone, tone_share
from cordboard.media.resample import Down2, Up2
from cordboard.media.samples import Samples, level_dbfs
from cordboard.media.tones import sine

NOISE = np.random.default_rng(20).integers(-32768, 32768, 700).astype(np.int16)


@pytest.mark.parametrize("hz", [50, 300, 1000, 2000, 3000, 3400])
def test_up_keeps_frequency_and_level(hz: int) -> None:
    out = Up2().process(sine(hz, 1.0, 8000, -6.0))[400:14800]
    tone = dominant_tone(out, 16000)
    assert tone.hz == pytest.approx(hz, abs=1)
    assert tone.share > 0.9999
    assert level_dbfs(out) == pytest.approx(-6.0, abs=0.01)


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_up_leaves_images_70_db_down(hz: int) -> None:
    out = Up2().process(sine(hz, 1.0, 8000, -6.0))[400:15600]
    assert tone_share(out, 16000, 8000 - hz) < 1e-7


@pytest.mark.parametrize("hz", [50, 300, 1000, 2000, 3000, 3400])
def test_down_keeps_frequency_and_level(hz: int) -> None:
    out = Down2().process(sine(hz, 1.0, 16000, -6.0))[200:7400]
    assert dominant_tone(out, 8000).hz == pytest.approx(hz, abs=1)
    assert level_dbfs(out) == pytest.approx(-6.0, abs=0.01)


@pytest.mark.parametrize("hz", [4600, 5000, 5500, 6000, 7000, 7900])
def test_down_rejects_aliases_by_70_db(hz: int) -> None:
    assert level_dbfs(Down2().process(sine(hz, 1.0, 16000, -6.0))[200:]) < -6.0 - 70.0


def test_band_edge_is_half_amplitude() -> None:
    # The sine of 4 kHz falls on samples of one phase as it will; 3 990 Hz beats through all of them.
    assert level_dbfs(Down2().process(sine(3990, 1.0, 16000, -6.0))[200:]) == pytest.approx(-12.0, abs=0.5)


def _impulse(size: int) -> Samples:
    line = np.zeros(size, np.int16)
    line[0] = 20000
    return line


def test_delays_are_as_told() -> None:
    up = Up2().process(_impulse(100))
    assert int(np.argmax(up)) == Up2.delay_samples == 31
    wide = np.zeros(200, np.int16)
    wide[0:2] = 20000  # down-sampling centres a pair between its samples
    down = Down2().process(wide)
    assert int(np.argmax(down)) == Down2.delay_samples == 15


def test_direct_current_passes_unchanged() -> None:
    level = np.full(300, 12345, np.int16)
    assert set(Up2().process(level)[100:].tolist()) == {12345}
    assert set(Down2().process(level)[50:].tolist()) == {12345}


@pytest.mark.parametrize("make", [Up2, Down2])
@given(cuts=st.lists(st.integers(0, 700), max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_split_gives_the_same_bits(make: type[Up2] | type[Down2], cuts: list[int]) -> None:
    whole = make().process(NOISE)
    places = [0, *sorted(cuts), NOISE.size]
    each = make()
    parts = [each.process(NOISE[a:b]) for a, b in pairwise(places)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("make", [Up2, Down2])
def test_reset_clears_the_tail(make: type[Up2] | type[Down2]) -> None:
    each = make()
    each.process(NOISE[:333])
    each.reset()
    assert not each.process(np.zeros(200, np.int16)).any()
    each.reset()
    assert np.array_equal(each.process(NOISE), make().process(NOISE))


@pytest.mark.parametrize("make", [Up2, Down2])
def test_full_scale_steps_are_limited_and_do_not_wrap(make: type[Up2] | type[Down2]) -> None:
    square = np.repeat(np.array([32767, -32768] * 10, np.int16), 40)
    out = make().process(square)
    delay = make.delay_samples
    assert out[delay + 5] > 0
    assert int(out.max()) == 32767
    assert int(out.min()) == -32768
    # A wrapped value would stand alone with the wrong sign inside a half wave.
    signs = np.sign(out[delay + 4 :].astype(np.int32))
    assert np.count_nonzero(np.diff(signs)) <= 2 * 20


def test_lengths() -> None:
    assert Up2().process(NOISE[:0]).size == 0
    assert Up2().process(NOISE[:160]).size == 320
    down = Down2()
    assert [down.process(NOISE[:n]).size for n in (1, 0, 1, 3, 1, 320)] == [0, 0, 1, 1, 1, 160]
