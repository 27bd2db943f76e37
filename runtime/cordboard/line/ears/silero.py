"""Turns by silero-vad: a small network that knows speech from other sound, run by onnxruntime from a model file.

Follows the calling convention of `silero_vad.onnx` as silero-vad 5 and 6 ship it (`utils_vad.py`: `OnnxWrapper` and
`VADIterator`, same thresholds): windows of 32 ms, each with the last 4 ms before it. Measured with release 6.2 on one
core: 0.13 ms a window at 8 kHz, 0.22 ms at 16 kHz, so it runs where the audio arrives. Leaves out the 16-kHz-only
models of the same package.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cordboard.line.ears.turns import END_OF_SPEECH_MS, TurnDetector
from cordboard.line.tables import ScriptError
from cordboard.media.chain import Chain, Format, build_chain
from cordboard.media.energy import VoiceEvent
from cordboard.media.samples import Samples

WINDOW_MS = 32
"""The only length of a window that the model takes."""

CONTEXT_MS = 4
"""Of the sound before a window, given with it."""

STATE = (2, 1, 128)
"""Shape of the network's memory."""

UPPER = 0.5
"""Probability of speech from which a window is speech."""

LOWER = 0.35
"""Probability below which a window is silence; between both nothing changes."""

ATTACK_WINDOWS = 2
"""Windows of speech in a row that begin a turn: a click is shorter than 64 ms."""

INSTALL = 'pip install "cordboard[vad]"'
"""What brings onnxruntime."""

Window = npt.NDArray[np.float32]


class Runtime(Protocol):
    """onnxruntime's `InferenceSession`, as far as it is used."""

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
        """Run the network once."""


def load(path: Path) -> SileroTurns:
    """Return the detectors of a model file; raise `ScriptError` when there is none or it cannot be run."""
    if find_spec("onnxruntime") is None:
        raise ScriptError(f"--vad silero: onnxruntime is not installed: {INSTALL}")
    if not path.is_file():
        raise ScriptError(f"{path}: no such model; silero_vad.onnx stands in the package silero-vad")
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a window is too small to share
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        turns = SileroTurns(session)
        turns(8000, 0.0).process(np.zeros(8000 * WINDOW_MS // 1000, np.int16))
    except Exception as exc:  # onnxruntime's classes share no other parent
        raise ScriptError(f"{path}: onnxruntime cannot run it as silero_vad.onnx: {str(exc)[:200]}") from exc
    return turns


class SileroTurns:
    """Makes detectors that share one model."""

    def __init__(self, session: Runtime) -> None:
        self._session = session

    def __call__(self, rate: int, threshold_dbfs: float) -> TurnDetector:
        """See `Turns`; the level does not matter."""
        return SileroActivity(self._session, rate)


class SileroActivity:
    """Detector over one stream of samples; chunks may have any length, the result does not depend on them."""

    def __init__(self, session: Runtime, rate: int) -> None:
        """`rate` in Hz; the model itself hears 8 or 16 kHz."""
        self._session = session
        self._rate = rate
        self._heard_rate = rate if rate in (8000, 16000) else 16000
        self._chain: Chain | None = None
        if rate != self._heard_rate:
            self._chain = build_chain(Format("L16", rate), Format("L16", self._heard_rate))
        self._size = self._heard_rate * WINDOW_MS // 1000
        self._context: Window = np.zeros(self._heard_rate * CONTEXT_MS // 1000, np.float32)
        self._state: npt.NDArray[np.float32] = np.zeros(STATE, np.float32)
        self._rest: Samples = np.empty(0, np.int16)
        self._release = -(-END_OF_SPEECH_MS // WINDOW_MS)
        self._windows = 0
        self._run = 0
        self._speaking = False

    @property
    def speaking(self) -> bool:
        """Whether the last event was "started"."""
        return self._speaking

    def process(self, samples: Samples) -> list[VoiceEvent]:
        """Take the next samples; return the changes that they settle, in order."""
        if self._chain is not None:
            samples = np.frombuffer(self._chain.process(samples.astype("<i2").tobytes()), "<i2")
        samples = np.concatenate((self._rest, samples))
        count = samples.size // self._size
        self._rest = samples[count * self._size :].copy()
        events: list[VoiceEvent] = []
        for at in range(count):
            window = samples[at * self._size : (at + 1) * self._size].astype(np.float32) / 32768.0
            self._take(self._probability(window), events)
        return events

    def _probability(self, window: Window) -> float:
        line = np.concatenate((self._context, window))
        self._context = line[self._size :]
        inputs = {"input": line[None, :], "state": self._state, "sr": np.array(self._heard_rate, np.int64)}
        output, self._state = self._session.run(None, inputs)
        return float(output[0, 0])

    def _take(self, probability: float, events: list[VoiceEvent]) -> None:
        """One window. `_run` counts the windows of speech of a candidate, or those of silence while speaking."""
        self._windows += 1
        if self._speaking:
            # as in silero's own iterator, silence goes on until a window is speech again
            self._run = 0 if probability >= UPPER else self._run + (self._run > 0 or probability < LOWER)
        else:
            self._run = self._run + 1 if probability >= UPPER else 0
        if self._run < (self._release if self._speaking else ATTACK_WINDOWS):
            return
        self._speaking = not self._speaking
        sample = (self._windows - self._run) * self._size * self._rate // self._heard_rate
        events.append(VoiceEvent("started" if self._speaking else "stopped", sample))
        self._run = 0
