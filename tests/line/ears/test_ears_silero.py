"""Turns by silero-vad: what it makes of probabilities, and the model itself.

Where onnxruntime can be imported and `SILERO_MODEL` names silero_vad.onnx, the last test hears real speech by it;
elsewhere a stand-in for the runtime takes only what the model takes, and knows speech by its loudness.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.ears import silero
from cordboard.line.ears.silero import SileroActivity, SileroTurns, load
from cordboard.line.ears.turns import END_OF_SPEECH_MS
from cordboard.line.tables import ScriptError
from cordboard.media.prompt import change_rate
from cordboard.media.samples import Samples

from .speech import spoken

WINDOW = {8000: 256, 16000: 512}
CONTEXT = {8000: 32, 16000: 64}


class LoudnessRuntime:
    """Takes what silero_vad.onnx takes, and nothing else."""

    def __init__(self) -> None:
        self.windows: list[np.ndarray[Any, Any]] = []

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
        """One window."""
        assert outputs is None
        assert set(inputs) == {"input", "state", "sr"}
        line, state, rate = inputs["input"], inputs["state"], inputs["sr"]
        assert (rate.shape, rate.dtype) == ((), np.int64)
        assert (line.shape, line.dtype) == ((1, WINDOW[int(rate)] + CONTEXT[int(rate)]), np.float32)
        assert (state.shape, state.dtype) == ((2, 1, 128), np.float32)
        assert np.abs(line).max() <= 1.0
        assert (state == len(self.windows)).all(), "the memory is handed on"
        self.windows.append(line[0])
        probability = min(1.0, float(np.sqrt(np.mean(line**2))) * 10)
        return [np.array([[probability]], np.float32), state + 1]


class Probabilities:
    """Says what it was told to."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
        """One window."""
        return [np.array([[self.values.pop(0)]], np.float32), inputs["state"]]


RELEASE = -(-END_OF_SPEECH_MS // 32)
TURN = [0.9] * 2 + [0.1] * RELEASE


@pytest.mark.parametrize(
    ("values", "events"),
    [
        ([0.9], []),
        ([0.49] * 9, []),
        ([0.9, 0.1, 0.9], []),
        ([0.0, 0.5, 0.5], [("started", 1)]),
        ([0.9] * 3 + [0.1] * (RELEASE - 1), [("started", 0)]),
        ([0.9] * 3 + [0.1] * RELEASE, [("started", 0), ("stopped", 3)]),
        ([0.9] * 3 + [0.4] * RELEASE, [("started", 0)]),
        ([0.9] * 3 + [0.1] + [0.4] * (RELEASE - 1), [("started", 0), ("stopped", 3)]),
        ([0.9] * 3 + [0.1] * (RELEASE - 1) + [0.6] + [0.1] * RELEASE, [("started", 0), ("stopped", RELEASE + 3)]),
        (TURN * 2, [("started", 0), ("stopped", 2), ("started", RELEASE + 2), ("stopped", RELEASE + 4)]),
    ],
)  # fmt: skip
def test_probabilities_become_turns(values: list[float], events: list[tuple[str, int]]) -> None:
    activity = SileroActivity(Probabilities(*values), 8000)
    found = activity.process(np.zeros(256 * len(values), np.int16))
    assert found == [(kind, 256 * window) for kind, window in events]
    assert activity.speaking is bool(events and events[-1][0] == "started")


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, 5000), max_size=8), rate=st.sampled_from([8000, 16000]))
def test_no_split_of_the_stream_changes_anything(cuts: list[int], rate: int) -> None:
    sound = np.random.default_rng(7).integers(-9000, 9000, 5000).astype(np.int16)
    whole, parts = LoudnessRuntime(), LoudnessRuntime()
    expected = SileroActivity(whole, rate).process(sound)
    activity = SileroActivity(parts, rate)
    assert [e for part in np.split(sound, sorted(cuts)) for e in activity.process(part)] == expected
    assert np.array_equal(np.array(whole.windows), np.array(parts.windows))


def test_each_window_brings_the_end_of_the_last() -> None:
    runtime = LoudnessRuntime()
    sound = np.arange(1024, dtype=np.int16)
    SileroActivity(runtime, 8000).process(sound)
    assert len(runtime.windows) == 4
    assert (runtime.windows[0][:32] == 0).all()
    assert (runtime.windows[1] * 32768 == sound[224:512]).all()


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_a_sentence_is_one_turn_at_every_rate_of_the_wire(rate: int) -> None:
    assert turn_seconds(SileroTurns(LoudnessRuntime()), rate) == [("started", True), ("stopped", True)]


def turn_seconds(turns: SileroTurns, rate: int) -> list[tuple[str, bool]]:
    """The events of a second of silence, a sentence and two seconds of silence, and whether each came where it was."""
    sentence = spoken("flite-slt", "when is breakfast")
    sound = np.concatenate((np.zeros(8000, np.int16), sentence, np.zeros(16000, np.int16)))
    loud = np.flatnonzero(np.abs(sound) > 300)
    truth = {"started": loud[0] / 8000, "stopped": loud[-1] / 8000}
    detector = turns(rate, -40.0)
    events = detector.process(change_rate(sound, 8000, rate))
    return [(event.kind, abs(event.sample / rate - truth[event.kind]) < 0.2) for event in events]


def test_without_onnxruntime_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "find_spec", lambda name: None)
    with pytest.raises(ScriptError, match="onnxruntime is not installed: pip install"):
        load(tmp_path / "silero_vad.onnx")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a stand-in in the place of onnxruntime, whose models are files that say `loud`."""

    class Session(LoudnessRuntime):
        def __init__(self, path: str, options: Any, providers: list[str]) -> None:
            super().__init__()
            assert options.intra_op_num_threads == options.inter_op_num_threads == 1
            assert providers == ["CPUExecutionProvider"]
            if Path(path).read_text() != "loud":
                raise RuntimeError("INVALID_PROTOBUF")

        def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
            self.windows = [] if not inputs["state"].any() else self.windows  # each call begins anew
            return super().run(outputs, inputs)

    stand_in = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)
    monkeypatch.setattr(silero, "find_spec", lambda name: object())
    monkeypatch.setattr(silero, "import_module", lambda name: stand_in)


@pytest.mark.usefixtures("runtime")
def test_a_model_that_is_missing_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"no\.onnx: no such model"):
        load(tmp_path / "no.onnx")
    (tmp_path / "bad.onnx").write_text("x")
    with pytest.raises(ScriptError, match=r"bad\.onnx: onnxruntime cannot run it .*INVALID_PROTOBUF"):
        load(tmp_path / "bad.onnx")


def test_a_models_turns(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    real = find_spec("onnxruntime") is not None and "SILERO_MODEL" in os.environ
    model = Path(os.environ["SILERO_MODEL"]) if real else tmp_path / "loud.onnx"
    if not real:
        request.getfixturevalue("runtime")
        model.write_text("loud")
    turns = load(model)
    for rate in (8000, 16000, 44100):
        assert turn_seconds(turns, rate) == [("started", True), ("stopped", True)]
    noise: Samples = np.random.default_rng(3).normal(0, 4000, 16000).astype(np.int16)
    assert bool(turns(8000, -40.0).process(noise)) is not real, "the model knows noise from speech; loudness does not"
