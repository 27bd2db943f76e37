"""The recordings of a plane: link messages in, blocks out.

A recording is silent while control has paused it, and while a secret gather keeps its leg's peer from being heard.
"""

from collections.abc import Callable
from typing import Any

from cordboard.contract import link

from .board import Board
from .leg import Leg
from .recording import Recording

HANDLER, GATHER = "handler", "gather"
"""Who pauses a recording."""


class Recordings:
    """Which leg is being recorded."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._live: dict[str, tuple[Recording, str]] = {}
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            link.RecordBegin: self._begin,
            link.RecordPause: self._pause,
            link.RecordResume: self._resume,
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
        """Each 100 ms: a block if one is due, and the end of what a secret gather kept silent."""
        recording = leg.recording
        if recording is None:
            return
        if GATHER in recording.paused_by and not leg.gathered.withheld(now):
            recording.resume(GATHER, now)
            self._tell(recording, "recording goes on", "the secret gather is over", now)
        if (block := recording.upkeep(now)) is not None:
            self._board.effect(block)

    def withhold(self, leg: Leg, now: float) -> None:
        """A leg's peer may not be heard any more: its recording is silent from this moment on."""
        if leg.recording is not None and GATHER not in leg.recording.paused_by:
            leg.recording.pause(GATHER, now)
            self._tell(leg.recording, "recording paused", "secret gather", now)

    def _begin(self, message: link.RecordBegin, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is None or leg.recording is not None:
            why = "the leg is over" if leg is None else "the leg is being recorded"
            self._board.send(link.RecordOver(message.recording, 0.0, why))
            return
        leg.recording = Recording(message.recording, message.path, now)
        self._live[message.recording] = (leg.recording, leg.unit)
        if leg.gathered.withheld(now):
            self.withhold(leg, now)

    def _pause(self, message: link.RecordPause, now: float) -> None:
        recording, _ = self._live.get(message.recording, (None, ""))
        if recording is not None and HANDLER not in recording.paused_by:
            recording.pause(HANDLER, now)
            self._tell(recording, "recording paused", message.reason, now)

    def _resume(self, message: link.RecordResume, now: float) -> None:
        recording, _ = self._live.get(message.recording, (None, ""))
        if recording is not None and HANDLER in recording.paused_by:
            recording.resume(HANDLER, now)
            self._tell(recording, "recording goes on", "", now)

    def _tell(self, recording: Recording, what: str, reason: str, now: float) -> None:
        session, _, name = recording.unit.partition("/")
        facts = {
            "recording": name,
            "reason": reason,
            "position": round(recording.position(now) / 8000, 3),
            "paused_by": sorted(recording.paused_by),
        }
        self._board.note(session, "media", what, facts, now)
