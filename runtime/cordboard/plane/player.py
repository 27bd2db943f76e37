"""A player on this plane: a sound in memory, heard by one leg, frame by frame.

Its frames are cut out when they are due and never wait in a queue, so that a pause costs nothing and its place is what
was heard. Follows VoxEngine's Player (reference voxengine §3.3). Leaves out several listeners of one player: like an
agent it has one, the newest.
"""

from collections.abc import Callable
from typing import Protocol

from cordboard.media.chain import PCMU_8000, Format

from .cord import Cord
from .ledger import Reason

MAX_MARKERS = 100
"""Markers of one player: one a second for a long announcement."""


class Mouth(Protocol):
    """What speaks to a leg and is no leg: an agent or a player."""

    unit: str
    session: str
    cord: Cord | None
    """On its way to a leg, or waiting for its first route."""
    closed: bool
    """Nobody routes it any more; its cord's entry is kept where the route ends."""

    @property
    def form(self) -> Format:
        """Format of what it says."""

    def attach(self, sink: str, form: Format) -> Cord:
        """Give it a listener."""

    def detach(self, reason: Reason) -> None:
        """Its route is gone."""

    def over(self, now: float, since: float) -> bool:
        """Whether what it has to say is heard, as a hang-up after playout wants to know."""


class TooManyMarkers(ValueError):
    """MAX_MARKERS stand already."""


class SoundCord(Cord):
    """Audio of a player for its listener: frames of the sound, taken as they are due."""

    __slots__ = ("_player",)

    def __init__(self, player: "Player") -> None:
        super().__init__(player.unit, "", player.form)
        self._player = player

    @property
    def empty(self) -> bool:
        """Nothing will come now: it is paused, not loaded or over."""
        return not self._player.sounding

    def ready(self, now: float) -> bool:
        """A frame is there whenever it sounds."""
        return self._player.sounding

    def pull(self, now: float) -> bytes | None:
        """The next 20 ms."""
        return self.pass_through(self._player.take(), now) if self._player.sounding else None

    def drop_due(self, reason: Reason) -> None:
        """A frame that goes elsewhere than to the sink."""
        if self._player.sounding:
            self.refuse(self._player.take(), "", reason)


class Player:
    """One player of a session."""

    form: Format = PCMU_8000

    def __init__(self, unit: str, *, loop: bool, paused: bool, passed: Callable[["Player"], None]) -> None:
        """`passed` is called when a frame reaches a marker or the sound's begin or end."""
        self.unit = unit
        self.session, _, self.name = unit.partition("/")
        self.loop = loop
        self.paused = paused
        self.closed = False
        self.cord: Cord | None = None
        self.started = False
        self.heard = 0
        """Octets that were heard."""
        self.confirm: str | None = None
        """Who waits until it is loaded."""
        self._past: list[Cord] = []
        self._sound = b""
        self._place = 0
        self._marks: list[int] = []
        self._next = 0
        """Octets heard at which `passed` is called: a marker, the begin or the end."""
        self._passed = passed

    def load(self, sound: bytes) -> None:
        """µ-law at 8 kHz, whole frames and at least one. ValueError for anything else."""
        if not sound or len(sound) % self.form.bytes_per_frame:
            raise ValueError(f"{len(sound)} octets are no whole number of frames")
        self._sound = sound

    @property
    def loaded(self) -> bool:
        """Its sound is in memory."""
        return bool(self._sound)

    @property
    def finished(self) -> bool:
        """Heard to its end."""
        return bool(self._sound) and self._place >= len(self._sound)

    @property
    def sounding(self) -> bool:
        """It has a frame to give now."""
        return not self.paused and self._place < len(self._sound)

    @property
    def seconds_heard(self) -> float:
        """Seconds that left, repetitions included."""
        return self.heard / self.form.rate

    def take(self) -> bytes:
        """The next frame."""
        start = self._place
        end = self._place = start + self.form.bytes_per_frame
        self.heard += self.form.bytes_per_frame
        if end >= len(self._sound) and self.loop:
            self._place = 0
        if self.heard >= self._next:
            self._passed(self)
        return self._sound[start:end]

    def mark(self, offset: float) -> None:
        """Call `passed` when `offset` seconds (from the end below zero) were heard first; a place that is behind
        counts as reached with the next frame. Raises TooManyMarkers."""
        if len(self._marks) >= MAX_MARKERS:
            raise TooManyMarkers(f"a player may have {MAX_MARKERS} markers")
        place = round(offset * self.form.rate)
        self._marks.append(max(0, place if offset >= 0 else len(self._sound) + place))
        self._marks.sort()
        self._look_ahead()

    def marks_reached(self) -> list[float]:
        """Seconds of the markers that were reached since the last time; `passed` is due again at the next."""
        reached = [mark / self.form.rate for mark in self._marks if mark <= self.heard]
        self._marks = [mark for mark in self._marks if mark > self.heard]
        self._look_ahead()
        return reached

    def _look_ahead(self) -> None:
        ends = [] if self.loop and self.started else [len(self._sound)]
        self._next = min([*self._marks[:1], *ends], default=1 << 62) if self.started else 0

    # --- as a mouth

    def attach(self, sink: str, form: Format) -> Cord:
        """Give it a listener; it goes on from its place."""
        if self.cord is not None:
            self.detach("replaced")
        self.cord = SoundCord(self)
        self.cord.connect(sink, form)
        return self.cord

    def detach(self, reason: Reason) -> None:
        """Nobody hears it; it stays at its place."""
        if self.cord is not None:
            self._past.append(self.cord)
        self.cord = None

    def cords(self) -> list[Cord]:
        """Every cord it ever spoke into."""
        return [*self._past, *([self.cord] if self.cord is not None else [])]

    def over(self, now: float, since: float) -> bool:
        """A sound that repeats, or is paused, has no end that a hang-up could wait for."""
        return self.loop or not self.sounding
