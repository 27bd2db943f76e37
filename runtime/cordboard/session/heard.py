"""Which words of an agent's turn were heard: the service's text laid over the ledger (DESIGN §5, §7.1).

A word counts as heard when its sound had begun to be sent. Where it begins is told by the marks that the plane took
(plane/spoken.py); between two marks, and where there are none, by its share of the letters, which is an estimate.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from cordboard.contract.call_record import LedgerEntry
from cordboard.contract.transcript import Mark

GAP: Final = "…"
"""Stands for words in the middle that nobody heard."""

_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Sound:
    """What became of a turn's audio, over all cords of its agent, in samples."""

    rate: int
    """Samples a second."""
    received: int
    """Came from the service."""
    sent: int
    """Left towards a listener."""
    runs: tuple[tuple[int, int], ...]
    """Begin and end, in the turn, of what was sent, in order."""
    exact: bool
    """The runs are all that is to know."""

    def holds(self, sample: float) -> bool:
        """Whether the sample there was sent."""
        found = bisect_right(self.runs, sample, key=lambda run: run[0]) - 1
        return found >= 0 and sample < self.runs[found][1]


NO_SOUND: Final = Sound(8000, 0, 0, (), True)
"""Of a turn that its agent only wrote."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The words."""

    heard: str
    unheard: str
    estimated: bool


def sounds(ledger: Sequence[LedgerEntry]) -> dict[tuple[str, str], Sound]:
    """(agent's unit, turn id) → what became of its audio. Cords of one agent follow each other in the ledger."""
    found: dict[tuple[str, str], Sound] = {}
    for entry in ledger:
        for turn in entry.turns:
            key = entry.source, str(turn["id"])
            before = found.get(key)
            after = _sound(turn, entry.rate, 0 if before is None else before.received)
            found[key] = after if before is None or before.rate != after.rate else _joined(before, after)
    return found


def tells_all(ledger: Sequence[LedgerEntry], unit: str) -> bool:
    """Whether the ledger lists every turn of an agent that had a sound: else there were too many for it."""
    entries = [entry for entry in ledger if entry.source == unit]
    listed = sum(int(turn.get("received", 0)) for entry in entries for turn in entry.turns)
    return listed == sum(entry.received for entry in entries)


def _sound(turn: Mapping[str, Any], rate: int, base: int) -> Sound:
    received, sent = int(turn.get("received", 0)), int(turn.get("sent", 0))
    gaps = sorted((int(at), int(size)) for at, size in turn.get("gaps", ()))
    runs, place = [], 0
    for at, size in gaps:
        if at > place:
            runs.append((base + place, base + at))
        place = max(place, at + size)
    if received > place:
        runs.append((base + place, base + received))
    return Sound(rate, received, sent, tuple(runs), sum(end - begin for begin, end in runs) == sent)


def _joined(before: Sound, after: Sound) -> Sound:
    return Sound(
        before.rate,
        before.received + after.received,
        before.sent + after.sent,
        before.runs + after.runs,
        before.exact and after.exact,
    )


def heard_of(text: str, told: str, marks: Sequence[Mark], sound: Sound, *, interrupted: bool) -> Heard:
    """The heard words of a turn.

    `text` is what the service says of the whole turn, `told` what it told piece by piece, on which `marks` count.
    """
    planned = text if _continues(text, told) else told
    words = [(found.start(), found.group()) for found in _WORD.finditer(planned)]
    if sound.received and sound.sent == sound.received and not interrupted:
        return Heard(" ".join(word for _, word in words), "", False)
    begins = _by_marks(words, planned, told, marks, sound, interrupted=interrupted) if sound.exact else None
    estimated = begins is None and bool(words) and sound.received > 0
    if begins is None:
        letters = max(1, len(planned))
        begins = [sound.received * at / letters for at, _ in words]
        if not sound.exact:
            sound = Sound(sound.rate, sound.received, sound.sent, ((0, sound.sent),), True)
    return _split([word for _, word in words], [sound.holds(begin) for begin in begins], estimated)


def _continues(text: str, told: str) -> bool:
    """Whether `text` is what was told, spaces apart, perhaps with more behind it; nothing told: it is all there is."""
    return "".join(text.split()).startswith("".join(told.split())) if text else False


def _by_marks(
    words: Sequence[tuple[int, str]],
    planned: str,
    told: str,
    marks: Sequence[Mark],
    sound: Sound,
    *,
    interrupted: bool,
) -> list[float] | None:
    """Where each word's sound begins; None without marks. What was never told of a cut turn has no sound."""
    if len(marks) < 2:
        return None
    of_told, of_planned = _letters(told), _letters(planned)
    chars = [of_told[min(mark.chars, len(told))] for mark in marks]
    samples = [float(mark.sample) for mark in marks]
    if interrupted:
        pace = (samples[-1] - samples[0]) / max(1, chars[-1] - chars[0])
        samples.append(samples[-1] + pace * (of_told[-1] - chars[-1]))
        chars.append(of_told[-1])
    else:
        samples.append(max(float(sound.received), samples[-1]))
        chars.append(max(of_told[-1], of_planned[-1]))
    begins = []
    for at, _ in words:
        letters = of_planned[at]
        if interrupted and letters >= of_told[-1]:
            begins.append(math.inf)
            continue
        place = min(bisect_right(chars, letters), len(chars) - 1)
        low, high = chars[place - 1], chars[place]
        share = (letters - low) / (high - low) if high > low else 0.0
        begins.append(samples[place - 1] + share * (samples[place] - samples[place - 1]))
    return begins


def _letters(text: str) -> list[int]:
    """For each place in a text the characters before it that are no space: services differ in spaces between what they
    tell and what they sum up."""
    return list(accumulate((not char.isspace() for char in text), initial=0))


def _split(words: Sequence[str], heard: Sequence[bool], estimated: bool) -> Heard:
    if not any(heard):
        return Heard("", " ".join(words), estimated)
    last = max(index for index, was in enumerate(heard) if was)
    said: list[str] = []
    for word, was in zip(words[: last + 1], heard, strict=False):
        if was:
            said.append(word)
        elif not said or said[-1] != GAP:
            said.append(GAP)
    return Heard(" ".join(said), " ".join(words[last + 1 :]), estimated)
