"""What the demo says of a finished call's recording and transcript, from files alone."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from cordboard.demo.checks import Checks
from cordboard.demo.verdict import told
from cordboard.media.tones import sine
from cordboard.media.wav import write_pcm16


@pytest.mark.parametrize(("heard", "good"), [("Breakfast is served from seven to ten,", True), ("Breakfast", False)])
def test_a_transcript_with_fewer_words_than_the_recording_is_noticed(tmp_path: Path, heard: str, good: bool) -> None:
    silence, greeting, answer = np.zeros(16_000, np.int16), sine(300.0, 1.0, 16_000), sine(500.0, 3.0, 16_000)
    agent = np.concatenate([greeting, silence, answer, silence])
    write_pcm16(tmp_path / "recording.wav", np.stack([np.zeros_like(agent), agent], axis=1), 16_000)
    entries = [{"role": "agent", "heard": "Good evening"}, {"role": "caller"}, {"role": "agent", "heard": heard}]
    (tmp_path / "transcript.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\n")
    checks = Checks(stream=io.StringIO())
    told(checks, tmp_path)
    assert (checks.passed == 1) is good
    assert bool(checks.failed) is not good


def test_a_call_without_a_word_of_its_agent_is_noticed(tmp_path: Path) -> None:
    write_pcm16(tmp_path / "recording.wav", np.zeros((16_000, 2), np.int16), 16_000)
    (tmp_path / "transcript.jsonl").write_text("")
    checks = Checks(stream=io.StringIO())
    told(checks, tmp_path)
    assert checks.failed
