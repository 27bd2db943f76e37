"""The measuring tools themselves, against sounds whose answer is known."""

import numpy as np
import pytest

from cordboard.media.analysis import dominant_tone, longest_silence, tone_share
from cordboard.media.tones import sine


@pytest.mark.parametrize("hz", [200.0, 440.5, 1000.0, 3333.3])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_pure_tone_is_found(hz: float, rate: int) -> None:
    tone = dominant_tone(sine(hz, 0.5, rate), rate)
    assert tone.hz == pytest.approx(hz, abs=0.2)
    assert tone.share > 0.999


def test_the_louder_of_two_wins_and_shares_are_of_energy() -> None:
    both = sine(500.0, 1.0, 8000, -10.0) + sine(1500.0, 1.0, 8000, -13.0)
    assert dominant_tone(both, 8000).hz == pytest.approx(500.0, abs=0.5)
    assert tone_share(both, 8000, 500.0) == pytest.approx(2 / 3, abs=0.01)
    assert tone_share(both, 8000, 1500.0) == pytest.approx(1 / 3, abs=0.01)
    assert tone_share(both, 8000, 2500.0) < 0.001


def test_noise_has_no_tone() -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, 8000).astype(np.int16)
    assert dominant_tone(noise, 8000).share < 0.05


@pytest.mark.parametrize("samples", [np.empty(0, np.int16), np.zeros(15, np.int16), np.full(800, 7, np.int16)])
def test_silence_has_no_tone(samples: np.typing.NDArray[np.int16]) -> None:
    assert dominant_tone(samples, 8000) == (0.0, 0.0)
    assert tone_share(samples, 8000, 100.0) == 0.0


def test_frequencies_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="4001"):
        tone_share(sine(100.0, 0.1, 8000), 8000, 4001.0)


@pytest.mark.parametrize(
    ("parts", "seconds"),
    [
        pytest.param([(0.5, -10.0)], 0.0, id="none"),
        pytest.param([(0.5, -90.0)], 0.5, id="all"),
        pytest.param([(0.2, -90.0), (0.1, -10.0), (0.3, -90.0), (0.1, -10.0)], 0.3, id="the longer"),
        pytest.param([(0.1, -10.0), (0.25, -90.0)], 0.25, id="at the end"),
    ],
)
def test_longest_silence(parts: list[tuple[float, float]], seconds: float) -> None:
    line = np.concatenate([sine(500.0, length, 8000, level) for length, level in parts])
    assert longest_silence(line, 8000) == pytest.approx(seconds, abs=0.004)


def test_longest_silence_of_less_than_a_window() -> None:
    assert longest_silence(np.zeros(8, np.int16), 8000) == 0.001
    assert longest_silence(np.full(8, 9000, np.int16), 8000) == 0.0
    assert longest_silence(np.empty(0, np.int16), 8000) == 0.0
