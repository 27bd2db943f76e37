"""The recording: both sides at their time, nothing that was cleared, files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line import recording as module
from cordboard.line.recording import Recording
from cordboard.line.speech import FORMATS
from cordboard.media.chain import encode
from cordboard.media.samples import Samples
from cordboard.media.wav import read_wav


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def tone(form: str, value: int, seconds: float) -> bytes:
    """A constant level, by which a piece is known again."""
    return encode(np.full(round(seconds * FORMATS[form].rate), value, np.int16), FORMATS[form])


def sides(recording: Recording) -> tuple[Samples, Samples]:
    """What the finished file has, left and right."""
    recording.close()
    recording.finish()
    assert [path.name for path in recording.path.parent.iterdir()] == [recording.path.name]
    assert recording.path.stat().st_mode & 0o777 == 0o600
    wav = read_wav(recording.path)
    return wav.samples[:, 0], wav.samples[:, 1]


@pytest.mark.parametrize("form", list(FORMATS))
def test_each_side_stands_at_its_time(tmp_path: Path, form: str) -> None:
    clock, rate = Clock(), FORMATS[form].rate
    recording = Recording(tmp_path / "x.wav", form, clock)
    clock.now = 0.5
    recording.agent_said(tone(form, 4000, 0.25))
    recording.agent_said(tone(form, 4000, 0.25))  # ahead of its time, plays after the first
    clock.now = 2.0
    recording.caller_said(tone(form, 8000, 0.5))  # began at 1.5
    left, right = sides(recording)
    assert len(left) == len(right) == 2 * rate
    assert left[: rate * 3 // 2].any() == np.False_
    assert left[rate * 3 // 2 :] == pytest.approx(8000, rel=0.05)
    assert right[rate // 2 : rate] == pytest.approx(4000, rel=0.05)
    assert not right[: rate // 2].any()
    assert not right[rate:].any()


def test_what_is_cleared_or_never_played_is_not_in_the_file(tmp_path: Path) -> None:
    clock = Clock()
    recording = Recording(tmp_path / "x.wav", "pcm_16000", clock)
    recording.agent_said(tone("pcm_16000", 1000, 10.0))  # all at once
    clock.now = 1.0
    recording.cleared()
    recording.agent_said(tone("pcm_16000", 2000, 10.0))
    clock.now = 1.5
    _, right = sides(recording)
    assert (right[:16000] == 1000).all()
    assert (right[16000:] == 2000).all()
    assert len(right) == 24000


def test_a_message_may_end_inside_a_sample(tmp_path: Path) -> None:
    clock = Clock()
    recording = Recording(tmp_path / "x.wav", "pcm_16000", clock)
    audio = tone("pcm_16000", 1234, 0.1)
    for at in range(0, len(audio), 33):
        recording.agent_said(audio[at : at + 33])
    clock.now = 1.0
    _, right = sides(recording)
    assert (right == 1234).all()
    assert len(right) == 1600


PIECES = st.lists(st.tuples(st.floats(0.0, 0.4), st.integers(1, 20), st.booleans()), max_size=20)


@settings(max_examples=50)
@given(PIECES)
def test_the_agent_is_never_heard_longer_than_time_allows(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[float, int, bool]]
) -> None:
    clock = Clock()
    recording = Recording(tmp_path_factory.mktemp("r") / "x.wav", "pcm_16000", clock)
    sent = 0
    for pause, frames, clear in pieces:
        clock.now += pause
        recording.agent_said(tone("pcm_16000", 500, 0.02 * frames))
        sent += 320 * frames
        if clear:
            recording.cleared()
    clock.now += 0.1
    _, right = sides(recording)
    assert len(right) <= round(clock.now * 16000) + 1
    assert np.count_nonzero(right) <= sent


def test_a_longer_call_is_recorded_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 1)
    clock = Clock()
    recording = Recording(tmp_path / "x.wav", "mulaw_8000", clock)
    for _ in range(3):
        clock.now += 1.0
        recording.caller_said(tone("mulaw_8000", 5000, 1.0))
        recording.agent_said(tone("mulaw_8000", 5000, 1.0))
    left, right = sides(recording)
    assert (len(left), len(right)) == (8000, 8000)


def test_a_recording_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "x.wav", "mulaw_8000", Clock())
    recording.close()
    recording.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_client_plays_out_what_was_sent_when_the_service_ends_the_call(tmp_path: Path) -> None:
    clock = Clock()
    recording = Recording(tmp_path / "x.wav", "mulaw_8000", clock)
    recording.agent_said(tone("mulaw_8000", 4000, 2.0))
    clock.now = 0.5
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    recording.played()
    _, right = sides(recording)
    assert len(right) == 16000
    assert right == pytest.approx(4000, rel=0.05)
