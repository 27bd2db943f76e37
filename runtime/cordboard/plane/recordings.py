"""The recordings of a plane: link messages in, blocks out."""

from collections.abc import Callable
from typing import Any

from cordboard.contract import link

from .board import Board
from .leg import Leg
from .recording import Recording


class Recordings:
    """Which leg is being recorded."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._live: dict[str, tuple[Recording, str]] = {}
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            link.RecordBegin: self._begin,
            link.RecordEnd: lambda message, now: self.stop(message.recording, now),
        }

    def file_failed(self, unit: str, reason: str, now: float) -> None:
        """A recording's file cannot be written; the call goes on."""
        held = self._live.get(unit)
        if held is not None and not held[0].failed:
            held[0].failed = reason
            self._board.note(unit.split("/", 1)[0], "media", "recording failed", {"reason": reason}, now)

    def stop(self, unit: str, now: float) -> None:
        """Write the last block and say so; an unknown recording is over already."""
        held = self._live.pop(unit, None)
        if held is None:
            return
        recording, leg_unit = held
        for effect in recording.finish(now):
            self._board.effect(effect)
        leg = self._board.legs.get(leg_unit)
        if leg is not None:
            leg.recording = None
        self._board.send(link.RecordOver(unit, round(recording.seconds(), 3), recording.failed))

    def upkeep(self, leg: Leg, now: float) -> None:
        """A block if one is due."""
        if leg.recording is not None and (block := leg.recording.upkeep(now)) is not None:
            self._board.effect(block)

    def _begin(self, message: link.RecordBegin, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is None or leg.recording is not None:
            why = "the leg is over" if leg is None else "the leg is being recorded"
            self._board.send(link.RecordOver(message.recording, 0.0, why))
            return
        leg.recording = Recording(message.recording, message.path, now)
        self._live[message.recording] = (leg.recording, leg.unit)
