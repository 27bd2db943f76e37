"""A call's transcript without recognition of our own (DESIGN §6): agent turns with the words that were heard, phones by
what the agent's service understood, else by energy. Nothing here comes from a script.

Utterances are kept until the end, because only then the ledger knows how much of each turn was sent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from cordboard.contract.call_record import LedgerEntry
from cordboard.contract.transcript import Mark, TranscriptEntry

from .heard import NO_SOUND, Sound, heard_of, sounds, tells_all

MAX_LINES = 2_000
"""Utterances kept: a four-hour call with one every seven seconds."""

UNDERSTOOD_LATE = 1.0
"""Seconds by which a service's turn of the caller may begin after the sound of it."""


@dataclass(slots=True)
class _Turn:
    """An agent's turn."""

    at: float
    end: float
    unit: str
    name: str
    turn: str
    text: str
    told: str
    marks: tuple[Mark, ...]
    cut: bool


@dataclass(slots=True)
class _Speech:
    """A phone's utterance: by energy without a text, or as understood."""

    at: float
    end: float
    name: str
    text: str
    seconds: float | None


class Transcript:
    """Collects a session's utterances. Moments are monotonic seconds."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._turns: list[_Turn] = []
        self._speeches: list[_Speech] = []
        self._open: dict[str, tuple[str, float]] = {}
        self._user_began: dict[str, float] = {}

    def spoke(self, name: str, seconds: float, at: float) -> None:
        """A phone made sound."""
        self._hear(_Speech(at, at + seconds, name, "", seconds))

    def user_started(self, unit: str, at: float) -> None:
        """The service of an agent heard the beginning of a turn of whoever it listens to."""
        self._user_began[unit] = at

    def user_ended(self, unit: str, name: str, text: str, at: float) -> None:
        """It understood what `name` said."""
        began = self._user_began.pop(unit, at)
        if text.strip() and name:
            self._hear(_Speech(began, at, name, text, None))

    def turn_started(self, unit: str, turn: str, at: float) -> None:
        """An agent's turn begins."""
        self._open[unit] = (turn, at)

    def turn_ended(
        self,
        unit: str,
        name: str,
        turn: str,
        *,
        text: str,
        told: str = "",
        marks: tuple[Mark, ...] = (),
        cut: bool,
        at: float,
    ) -> None:
        """An agent's turn is over; `told` and `marks` as the plane says them (link.AgentSaid)."""
        open_turn, began = self._open.pop(unit, ("", at))
        began = began if open_turn == turn else at
        if len(self._turns) < MAX_LINES:
            self._turns.append(_Turn(began, at, unit, name, turn, text, told, marks, cut))

    def entries(self, ledger: Sequence[LedgerEntry], callers: Collection[str]) -> list[TranscriptEntry]:
        """The transcript, in order of time; `callers`: names of the phones that called, the others were called."""
        found = sounds(ledger)
        entries = []
        for turn in self._turns:
            sound = found.get((turn.unit, turn.turn))
            if sound is None and ledger and tells_all(ledger, turn.unit):
                sound = NO_SOUND
            entries.append(self._agent_entry(turn, sound))
        for speech in self._merged():
            entries.append(
                TranscriptEntry(
                    at=self._seconds(speech.at),
                    end=self._seconds(speech.end),
                    role="caller" if speech.name in callers else "callee",
                    name=speech.name,
                    text=speech.text,
                    seconds=None if speech.seconds is None else round(speech.seconds, 2),
                )
            )
        return sorted(entries, key=lambda entry: entry.at)

    def _agent_entry(self, turn: _Turn, sound: Sound | None) -> TranscriptEntry:
        entry = TranscriptEntry(
            at=self._seconds(turn.at),
            end=self._seconds(turn.end),
            role="agent",
            name=turn.name,
            text=turn.text or turn.told.strip(),
            interrupted=turn.cut,
            turn=turn.turn,
        )
        if sound is None:
            return entry
        found = heard_of(entry.text, turn.told, turn.marks, sound, interrupted=turn.cut)
        return replace(
            entry,
            heard=found.heard,
            unheard=found.unheard,
            heard_seconds=round(sound.sent / sound.rate, 2),
            seconds=round(sound.received / sound.rate, 2),
            estimated=found.estimated,
        )

    def _merged(self) -> list[_Speech]:
        """What was understood takes the place of the sound of it."""
        understood = [speech for speech in self._speeches if speech.text]
        sounding = []
        for speech in self._speeches:
            if speech.text:
                continue
            for other in understood:
                if other.name == speech.name and speech.at < other.end and speech.end > other.at - UNDERSTOOD_LATE:
                    other.at = min(other.at, speech.at)
                    other.seconds = (other.seconds or 0.0) + (speech.seconds or 0.0)
                    break
            else:
                sounding.append(speech)
        return understood + sounding

    def _hear(self, speech: _Speech) -> None:
        if len(self._speeches) < MAX_LINES:
            self._speeches.append(speech)

    def _seconds(self, at: float) -> float:
        return round(max(0.0, at - self._began), 2)


def line_of(entry: TranscriptEntry) -> str:
    """An utterance for people: what was heard, what was not in brackets."""
    if entry.role != "agent":
        said = entry.text or f"[speaks {entry.seconds or 0.0:.1f} s]"
        return f"{entry.at:8.2f}  {entry.name}: {said}"
    if entry.heard is None:
        parts = [entry.text, "— interrupted" if entry.interrupted else "", "(what was heard is not known)"]
    else:
        rest = f"[{entry.unheard}]" if entry.unheard else ""
        measure = f"({entry.heard_seconds or 0.0:.1f} s of {entry.seconds or 0.0:.1f} s heard"
        measure += ", estimated)" if entry.estimated else ")"
        parts = [entry.heard, "— interrupted" if entry.interrupted else "", rest, measure]
    return f"{entry.at:8.2f}  {entry.name}: {' '.join(part for part in parts if part)}"
