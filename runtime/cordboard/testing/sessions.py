"""A session as its test sees it: what its handlers did, what was recorded, why it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from cordboard.media.g711 import ulaw_encode
from cordboard.media.wav import decode_block, read_layout
from cordboard.simulator.observed import SimulatedSession
from cordboard.simulator.simulation import Simulation
from cordboard.simulator.voices import tones_in

FRAME = 160
"""Samples of a frame."""


@dataclass(frozen=True, slots=True)
class RecordingView:
    """What the edge recorded of a call so far; a block is written once a second, the rest when it stops."""

    name: str
    """As the handler named it."""
    seconds: float
    """Its length."""
    phone: Sequence[str]
    """Texts that the phone said, in order."""
    edge: Sequence[str]
    """Texts that the phone was sent, in order: of agents, prompts and other phones."""


class SessionView:
    """A session as its test sees it."""

    def __init__(self, sim: Simulation, session: SimulatedSession) -> None:
        self._sim = sim
        self._session = session

    @property
    def id(self) -> str:
        """`s_…`."""
        return self._session.id

    @property
    def state(self) -> Any:
        """session.state after the last event: its fields as attributes."""
        return SimpleNamespace(**self._session.state)

    @property
    def cause(self) -> str | None:
        """Why it ended; None while it lives."""
        return self._session.ended[0].cause if self._session.ended else None

    @property
    def commands(self) -> Sequence[str]:
        """Types of all commands that were executed, in order: `call.answer`, …"""
        return [entry.what for entry in self._session.timeline if entry.kind == "command"]

    @property
    def log(self) -> Sequence[str]:
        """What its handlers logged, and the events that are only logged."""
        return [entry.what for entry in self._session.timeline if entry.kind == "log"]

    @property
    def transcript(self) -> Sequence[str]:
        """Its transcript as the edge keeps it, a line an utterance; empty before its end."""
        return self._session.transcript

    @property
    def timeline(self) -> Sequence[str]:
        """Everything that happened in it, a line each: seconds, kind, what. SIP messages by their first line."""
        return [_line(entry.at, entry.kind, entry.what, entry.data) for entry in self._session.timeline]

    @property
    def recordings(self) -> Mapping[str, RecordingView]:
        """By name."""
        found = {}
        for path, data in self._sim.edge.files.items():
            folder, _, file = path.rpartition("/")
            if folder.endswith(f"/{self.id}"):
                name = file.removesuffix(".raw.wav")
                found[name] = self._recording(name, bytes(data))
        return found

    def _recording(self, name: str, data: bytes) -> RecordingView:
        with BytesIO(data) as file:
            layout = read_layout(file, name)
            samples = decode_block(layout, file.read())
        said = []
        for channel in range(samples.shape[1]):
            sound = ulaw_encode(samples[:, channel].copy())
            tones = tones_in(sound[at : at + FRAME] for at in range(0, len(sound), FRAME))
            voices = (self._sim.voices.of(hz) for hz, _ in tones)
            said.append([each.text for each in voices if each is not None and each.text])
        return RecordingView(name, samples.shape[0] / layout.rate, said[0], said[-1])

    def __repr__(self) -> str:
        return f"<SessionView {self.id} {self.cause or 'live'}>"


DATA = 160
"""Characters of an entry's data in a line."""


def _line(at: float, kind: str, what: str, data: Mapping[str, Any]) -> str:
    details = " ".join(f"{key}={value!r}" for key, value in data.items() if key != "text" or kind != "sip")
    return f"{at:9.3f}  {kind:8}  {what.splitlines()[0] if what else ''}  {details[:DATA]}".rstrip()
