"""Tones: frequency, level and cadence, measured."""

import numpy as np
import pytest

from cordboard.media.analysis import dominant_tone, longest_silence, tone_share
from cordboard.media.g711 import ulaw_decode
from cordboard.media.samples import level_dbfs
from cordboard.media.tones import RingbackStyle, ToneSource, beep, click, sine


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("level", [-40.0, -10.0, 0.0])
def test_sine_has_the_level_and_frequency_asked_for(rate: int, level: float) -> None:
    tone = sine(440.0, 0.5, rate, level)
    assert tone.size == rate // 2
    assert level_dbfs(tone) == pytest.approx(level, abs=0.05)
    assert dominant_tone(tone, rate).hz == pytest.approx(440.0, abs=1.0)


@pytest.mark.parametrize(("hz", "level"), [(1000.0, 0.1), (4000.0, -10.0), (-1.0, -10.0)])
def test_impossible_sines_are_refused(hz: float, level: float) -> None:
    with pytest.raises(ValueError):
        sine(hz, 0.1, 8000, level)


@pytest.mark.parametrize(
    ("style", "seconds", "on", "frequencies"),
    [("us", 6, 2.0, (440.0, 480.0)), ("eu", 5, 1.0, (425.0,))],
)
def test_ringback_cadence(style: RingbackStyle, seconds: int, on: float, frequencies: tuple[float, ...]) -> None:
    source = ToneSource.ringback(style)
    frames = [source.next_frame() for _ in range(seconds * 50)]
    assert {len(each) for each in frames} == {160}
    line = ulaw_decode(b"".join(frames))
    sound = line[: round(on * 8000)]
    share = sum(tone_share(sound, 8000, hz) for hz in frequencies)
    assert share > 0.99
    assert longest_silence(sound, 8000) < 0.03
    assert not line[round(on * 8000) :].any()
    assert longest_silence(line, 8000) == pytest.approx(seconds - on, abs=0.011)
    assert source.next_frame() == frames[0]


def test_the_comfort_tone_is_soft_and_never_silent_for_long() -> None:
    source = ToneSource.comfort()
    line = ulaw_decode(b"".join(source.next_frame() for _ in range(150)))
    assert tone_share(line[:1600], 8000, 400.0) > 0.98
    assert longest_silence(line, 8000) == pytest.approx(1.3, abs=0.02)
    assert abs(line).max() < 32767 / 10


def test_reset_starts_over_and_sources_are_independent() -> None:
    one, two = ToneSource.ringback("us"), ToneSource.ringback("us")
    first = one.next_frame()
    one.next_frame()
    assert two.next_frame() == first
    one.reset()
    assert one.next_frame() == first


@pytest.mark.parametrize("cycle", [b"", bytes(159), bytes(161)])
def test_cycles_of_broken_frames_are_refused(cycle: bytes) -> None:
    with pytest.raises(ValueError, match="whole number"):
        ToneSource(cycle)


def test_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="no ringback"):
        ToneSource.ringback("mars")  # type: ignore[arg-type]


def test_beep_has_soft_edges() -> None:
    sound = beep(8000)
    assert sound.size == 1600
    assert sound[0] == 0
    assert abs(int(sound[1])) < 50
    assert np.abs(sound[-2:].astype(np.int32)).max() < 50
    assert dominant_tone(sound, 8000).hz == pytest.approx(1000, abs=5)


def test_click_is_short_and_not_silent() -> None:
    assert click(16000).size == 32
    assert np.abs(click(16000)).max() > 1000


def test_beep_of_nothing_is_nothing() -> None:
    assert beep(8000, seconds=0.0).size == 0
