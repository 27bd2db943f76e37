"""The text of an agent's open turn, and where in its audio each piece of it was said.

The service tells what it says by `turn_output_text_delta`, "about a word at a time, as spoken" (reference
cartesia-protocols §1.3, §2.3). A mark is kept per delta, never per packet: how many characters were told before it,
how many samples of the turn had come, and where the service's own playback stood, had it played what it sent without
pause. Which of the two places a word is decided once the turn is over: playback, where text keeps pace with speech
(audio may come ahead of it, all at once even); arrival, where text is interleaved with audio that comes faster than
speech. Where text came in one lump neither tells anything, and no marks are given. Leaves out which words were heard:
session/heard.py knows the ledger.
"""

from itertools import pairwise
from typing import Final, NamedTuple

from cordboard.contract.transcript import Mark

MAX_TEXT: Final = 4096
"""Characters kept of a turn's text: five minutes of speech."""

MAX_MARKS: Final = 1000
"""Marks kept of a turn: a word each in those characters; later pieces count by their length."""

MAX_PACE: Final = 100.0
"""Characters a second that speech cannot reach (a fast speaker: 25): text that came faster came in a lump."""

MIN_PACE: Final = 5.0
"""Characters a second below which nobody speaks (a slow speaker: 10): so much audio came ahead of its text."""

MAX_DRIFT: Final = 0.5
"""Seconds by which audio may get further ahead of playback within a turn whose text keeps pace with speech."""


class _Place(NamedTuple):
    chars: int
    came: int
    """Samples of the turn that had arrived."""
    played: float
    """Samples that the service would have played."""


class Spoken:
    """One agent's open turn; samples are those of its own format."""

    __slots__ = ("_at", "_came", "_places", "_played", "_rate", "is_open", "text")

    def __init__(self) -> None:
        self.text = ""
        """What the service says it has spoken."""
        self.is_open = False
        """The turn was begun and not ended."""
        self._places: list[_Place] = []
        self._rate = 0
        self._came = 0
        self._played = 0.0
        self._at = 0.0

    def begin(self, *, is_open: bool) -> None:
        """Another turn begins, or the last is over."""
        self.is_open = is_open
        self.text = ""
        self._places.clear()
        self._came = 0
        self._played = 0.0

    def audio(self, samples: int, rate: int, now: float) -> None:
        """Audio of the turn came."""
        self._play(now)
        self._rate = rate
        self._came += samples

    def delta(self, text: str, now: float) -> None:
        """More of its text came."""
        room = MAX_TEXT - len(self.text)
        if room > 0 and text:
            self._play(now)
            if len(self._places) < MAX_MARKS:
                self._places.append(_Place(len(self.text), self._came, self._played))
            self.text += text[:room]

    def marks(self) -> tuple[Mark, ...]:
        """Where in the turn's audio each piece of `text` begins; empty where that is not known."""
        if len(self._places) < 2 or not self._rate:
            return ()
        first, last = self._places[0], self._places[-1]
        least = (last.chars - first.chars) / MAX_PACE * self._rate
        drift = (last.came - last.played) - (first.came - first.played)
        in_pace = last.played - first.played >= least
        if in_pace and (drift <= MAX_DRIFT * self._rate or not self._interleaved()):
            return tuple(Mark(place.chars, round(place.played)) for place in self._places)
        if last.came - first.came >= least and self._interleaved():
            return tuple(Mark(place.chars, place.came) for place in self._places)
        return ()

    def _interleaved(self) -> bool:
        """Audio came between most pieces of text, and no more of it than their length takes."""
        first, last = self._places[0], self._places[-1]
        steps = sum(after.came > before.came for before, after in pairwise(self._places))
        most = (last.chars - first.chars) / MIN_PACE * self._rate
        return 2 * steps >= len(self._places) - 1 and last.came - first.came <= most

    def _play(self, now: float) -> None:
        self._played = min(float(self._came), self._played + max(0.0, now - self._at) * self._rate)
        self._at = now
