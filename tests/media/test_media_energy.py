"""Voice activity: when sound starts and stops."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.energy import VoiceActivity
from cordboard.media.samples import FULL_SCALE, SILENCE_DBFS, Samples, level_dbfs, samples_per_frame
from cordboard.media.tones import sine


def _line(*parts: tuple[float, float]) -> Samples:
    """Stretches of (seconds, level in dBFS) at 8 kHz."""
    return np.concatenate([sine(500.0, seconds, 8000, level) for seconds, level in parts])


def test_a_burst_starts_and_stops_where_it_sounds() -> None:
    voice = VoiceActivity(8000)
    line = _line((0.5, -90.0), (1.0, -20.0), (0.5, -90.0))
    assert voice.process(line) == [("started", 4000), ("stopped", 12000)]
    assert not voice.speaking


def test_events_come_once_attack_and_release_are_over() -> None:
    voice = VoiceActivity(8000, attack_ms=40, release_ms=100)
    assert voice.process(_line((0.03, -20.0))) == []
    assert voice.process(_line((0.01, -20.0))) == [("started", 0)]
    assert voice.speaking
    assert voice.process(_line((0.09, -90.0))) == []
    assert voice.process(_line((0.01, -90.0))) == [("stopped", 320)]


def test_clicks_and_pauses_within_speech_make_no_events() -> None:
    voice = VoiceActivity(8000, attack_ms=40, release_ms=300)
    assert voice.process(_line((0.02, -10.0), (0.5, -90.0))) == []
    line = _line((0.5, -20.0), (0.25, -90.0), (0.5, -20.0))
    assert [each.kind for each in voice.process(line)] == ["started"]


def test_hysteresis_holds_between_the_thresholds() -> None:
    voice = VoiceActivity(8000, threshold_dbfs=-40.0)
    assert voice.process(_line((1.0, -43.0))) == []
    assert [each.kind for each in voice.process(_line((0.2, -35.0), (2.0, -43.0)))] == ["started"]
    assert [each.kind for each in voice.process(_line((1.0, -50.0)))] == ["stopped"]


def test_finish_closes_running_speech_once() -> None:
    voice = VoiceActivity(8000)
    voice.process(_line((0.5, -20.0), (0.1, -90.0)))
    assert voice.finish() == [("stopped", 4000)]
    assert voice.finish() == []


def test_reset_forgets() -> None:
    voice = VoiceActivity(8000)
    voice.process(_line((0.505, -20.0)))
    voice.reset()
    assert not voice.speaking
    assert voice.process(_line((0.1, -20.0))) == [("started", 0)]


@given(cuts=st.lists(st.integers(0, 16000), max_size=8))
@settings(max_examples=30, deadline=None)
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    line = _line((0.3, -90.0), (0.5, -20.0), (0.4, -90.0), (0.3, -30.0), (0.5, -90.0))
    places = [0, *sorted(cuts), line.size]
    voice = VoiceActivity(8000)
    events = [each for a, b in pairwise(places) for each in voice.process(line[a:b])]
    assert events == VoiceActivity(8000).process(line)
    assert len(events) == 4


def test_other_rates_count_their_own_samples() -> None:
    line = np.concatenate((np.zeros(1600, np.int16), sine(500.0, 0.5, 16000, -20.0)))
    assert VoiceActivity(16000).process(line) == [("started", 1600)]
    with pytest.raises(ValueError, match="whole number"):
        VoiceActivity(11025)


def test_levels_follow_aes17() -> None:
    assert level_dbfs(sine(1000.0, 1.0, 8000, 0.0)) == pytest.approx(0.0, abs=0.01)
    assert level_dbfs(np.full(100, -int(FULL_SCALE), np.int16)) == pytest.approx(3.01, abs=0.01)
    assert level_dbfs(np.zeros(10, np.int16)) == level_dbfs(np.empty(0, np.int16)) == SILENCE_DBFS


def test_frames_hold_whole_samples() -> None:
    assert [samples_per_frame(rate) for rate in (8000, 16000, 44100)] == [160, 320, 882]
    with pytest.raises(ValueError, match="11025"):
        samples_per_frame(11025)
