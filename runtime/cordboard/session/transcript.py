"""A call's transcript without recognition (DESIGN §6): agent turns with the seconds that were heard, the caller by
energy. Nothing here comes from a script: texts are the service's own, seconds the ledger's.

Lines are kept until the end, because only then the ledger knows how much of each turn was sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cordboard.contract.records import LedgerEntry

MAX_LINES = 2_000
"""Lines kept: a four-hour call with a turn every seven seconds."""


@dataclass(slots=True)
class Line:
    """One utterance."""

    at: float
    """Monotonic seconds of its begin."""
    name: str
    text: str
    unit: str = ""
    """The agent's unit; empty for a phone."""
    turn: str = ""
    cut: bool = False


class Transcript:
    """Collects a session's utterances."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._lines: list[Line] = []
        self._open: dict[str, tuple[str, float]] = {}

    def spoke(self, name: str, seconds: float, at: float) -> None:
        """A phone made sound."""
        self._add(Line(at, name, f"[speaks {seconds:.1f} s]"))

    def turn_started(self, unit: str, turn: str, at: float) -> None:
        """An agent's turn begins."""
        self._open[unit] = (turn, at)

    def turn_ended(self, unit: str, name: str, turn: str, text: str, cut: bool, at: float) -> None:
        """An agent's turn is over; it is dated by its begin."""
        open_turn, began = self._open.pop(unit, ("", at))
        self._add(Line(began if open_turn == turn else at, name, text, unit, turn, cut))

    def lines(self, ledger: Iterable[LedgerEntry]) -> list[str]:
        """The transcript, in order of time."""
        heard: dict[tuple[str, str], float] = {}
        for entry in ledger:
            for turn in entry.turns:
                key = entry.source, str(turn["id"])
                heard[key] = heard.get(key, 0.0) + turn["sent"] / entry.rate
        return [self._text(line, heard) for line in sorted(self._lines, key=lambda line: line.at)]

    def _text(self, line: Line, heard: dict[tuple[str, str], float]) -> str:
        seconds = heard.get((line.unit, line.turn))
        told = f" [{seconds:.1f} s heard]" if seconds is not None else " [not heard]" if line.unit else ""
        cut = " [interrupted]" if line.cut else ""
        return f"{max(0.0, line.at - self._began):8.2f}  {line.name}: {line.text}{cut}{told}"

    def _add(self, line: Line) -> None:
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)
