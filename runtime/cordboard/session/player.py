"""What control knows of one player."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.contract.records import ObjectRecord

from .timers import Timer

Ended = Literal["finished", "stopped", "failed"]
"""How a player ends."""

Then = Callable[[Ended, str, float], None]
"""(how, why, now) of an ended prompt."""


@dataclass(slots=True, eq=False)
class Player:
    """One player."""

    name: str
    """As the handler knows it; empty for the edge's own prompts."""
    unit: str
    loop: bool = False
    paused: bool = False
    over: str = ""
    """Unit of the leg that hears it in place of its source; empty: it is routed."""
    then: Then | None = None
    """Who is told of the end of the edge's own prompt."""
    announces: bool = False
    """It is heard out: what else its leg shall hear comes after it."""
    state: Literal["PREPARING", "LOADING", "READY", "PLAYING", "PAUSED", "ENDED"] = "PREPARING"
    wanted: str = ""
    """Unit of the leg that shall hear it once it is ready."""
    order: int = 0
    """Grows with the commands that let legs hear players."""
    sink: str = ""
    """Unit of the leg that hears it."""
    closing: bool = False
    """The plane was told to end it."""
    realtime: bool = False
    """Sonic's socket feeds it."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """realtime: fields of every request."""
    marks: list[float] = field(default_factory=list)
    marked: int = 0
    limit: Timer | None = None

    @property
    def live(self) -> bool:
        """Not over."""
        return self.state != "ENDED"

    @property
    def ready(self) -> bool:
        """The plane can play it."""
        return self.state in ("READY", "PLAYING", "PAUSED")

    def record(self) -> ObjectRecord:
        """What a handler sees."""
        kind: Literal["player", "realtime_player"] = "realtime_player" if self.realtime else "player"
        return ObjectRecord(name=self.name, kind=kind, id=self.unit, state=self.state)


class Prompt:
    """A sound of the edge's own on its way to a leg."""

    def __init__(self, unit: str, play: Callable[[float], None], end: Callable[[float], None]) -> None:
        self.unit = unit
        """Of its player."""
        self._play = play
        self._end = end

    def play(self, now: float) -> None:
        """Let one that was held back be heard, at once or when it is ready. Call it before `then` was told."""
        self._play(now)

    def stop(self, now: float) -> None:
        """End it; `then` is told `stopped`. Idempotent."""
        self._end(now)
