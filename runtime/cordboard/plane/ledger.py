"""The heard ledger: what became of every sample that a source gave a sink (DESIGN §5).

One ledger per cord, in samples of the source. The pacer writes to it and nobody else; hang-up after playout,
transcripts, recordings and barge-in times read it. The identity is

    received == sent + cleared + discarded{unbridged, replaced, hold, dtmf, overflow, ended} + queued

where `queued` is measured from the queue, never derived, so that a lost sample shows.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from cordboard.contract.call_record import LedgerEntry

Reason = Literal["unbridged", "replaced", "hold", "dtmf", "overflow", "ended"]
REASONS: tuple[Reason, ...] = get_args(Reason)

MAX_TURNS = 500
"""Turns kept per cord: a turn every 4 s for half an hour; later ones are counted in the totals only."""

MAX_GAPS = 32
"""Pieces of a turn that were dropped, kept with their place; digits and holds make one each, a clear makes one."""


class LedgerError(AssertionError):
    """The identity does not hold: a defect of this program."""


@dataclass(slots=True)
class Turn:
    """One agent turn in the ledger, in samples."""

    id: str
    received: int = 0
    sent: int = 0
    cleared: int = 0
    discarded: int = 0
    lost: int = 0
    """Of the discarded, what was dropped as it came, behind what waits."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """(place in the turn, samples) of what was dropped from the front of the queue."""
    lost_gaps: list[tuple[int, int]] = field(default_factory=list)
    """The same of what was dropped as it came."""

    def drop_first(self, samples: int) -> None:
        """What waits first is dropped; call it before it is counted."""
        place = self.sent + self.cleared + self.discarded - self.lost
        for at, size in self.lost_gaps:
            if at <= place:
                place += size
        _add_gap(self.gaps, place, samples)

    def drop_newest(self, samples: int) -> None:
        """What came last is dropped; call it before it is counted as discarded."""
        _add_gap(self.lost_gaps, self.received - samples, samples)
        self.lost += samples


def _add_gap(gaps: list[tuple[int, int]], place: int, samples: int) -> None:
    if gaps and sum(gaps[-1]) == place:
        gaps[-1] = gaps[-1][0], gaps[-1][1] + samples
    elif len(gaps) < MAX_GAPS:
        gaps.append((place, samples))


class Ledger:
    """Counters of one cord."""

    __slots__ = ("cleared", "discarded", "padded", "rate", "received", "sent", "sink", "source", "turns")

    def __init__(self, source: str, sink: str, rate: int) -> None:
        self.source = source
        self.sink = sink
        self.rate = rate
        self.received = 0
        self.sent = 0
        self.cleared = 0
        self.padded = 0
        self.discarded: dict[str, int] = {}
        self.turns: list[Turn] = []

    def turn(self, turn_id: str) -> Turn:
        """The turn to which samples now belong."""
        if len(self.turns) > MAX_TURNS:
            turn_id = ""
        if not self.turns or self.turns[-1].id != turn_id:
            self.turns.append(Turn(turn_id if len(self.turns) < MAX_TURNS else ""))
        return self.turns[-1]

    def receive(self, samples: int, turn: Turn) -> None:
        """Samples came from the source."""
        self.received += samples
        turn.received += samples

    def send(self, samples: int, turn: Turn) -> None:
        """Samples left towards the sink."""
        self.sent += samples
        turn.sent += samples

    def clear(self, samples: int, turn: Turn) -> None:
        """Samples that waited first were dropped by clear."""
        turn.drop_first(samples)
        self.cleared += samples
        turn.cleared += samples

    def discard(self, samples: int, turn: Turn, reason: Reason, *, newest: bool = False) -> None:
        """Samples were dropped for another reason: those that waited first, or the `newest` as they came."""
        if samples:
            if newest:
                turn.drop_newest(samples)
            else:
                turn.drop_first(samples)
            self.discarded[reason] = self.discarded.get(reason, 0) + samples
            turn.discarded += samples

    def entry(self, queued: int) -> LedgerEntry:
        """The record; `queued` as measured. Raises LedgerError if the identity does not hold."""
        entry = LedgerEntry(
            source=self.source,
            sink=self.sink,
            rate=self.rate,
            received=self.received,
            sent=self.sent,
            cleared=self.cleared,
            discarded=dict(self.discarded),
            queued=queued,
            padded=self.padded,
            turns=tuple(
                {
                    "id": t.id,
                    "received": t.received,
                    "sent": t.sent,
                    "cleared": t.cleared,
                    **({"gaps": [list(gap) for gap in gaps]} if (gaps := sorted(t.gaps + t.lost_gaps)) else {}),
                }
                for t in self.turns
                if t.id and t.received
            ),
        )
        if not entry.balanced():
            raise LedgerError(f"ledger {self.source} → {self.sink} does not balance: {entry}")
        return entry
