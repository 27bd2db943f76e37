"""The heard ledger: what became of every sample that a source gave a sink (DESIGN §5).

One ledger per cord, in samples of the source. The pacer writes to it and nobody else; hang-up after playout,
transcripts, recordings and barge-in times read it. The identity is

    received == sent + cleared + discarded{unbridged, replaced, hold, dtmf, overflow, ended} + queued

where `queued` is measured from the queue, never derived, so that a lost sample shows.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from cordboard.contract.records import LedgerEntry

Reason = Literal["unbridged", "replaced", "hold", "dtmf", "overflow", "ended"]
REASONS: tuple[Reason, ...] = get_args(Reason)

MAX_TURNS = 500
"""Turns kept per cord: a turn every 4 s for half an hour; later ones are counted in the totals only."""


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
        if not self.turns or (self.turns[-1].id != turn_id and len(self.turns) < MAX_TURNS):
            self.turns.append(Turn(turn_id))
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
        """Samples were dropped by clear."""
        self.cleared += samples
        turn.cleared += samples

    def discard(self, samples: int, turn: Turn, reason: Reason) -> None:
        """Samples were dropped for another reason."""
        if samples:
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
                {"id": t.id, "received": t.received, "sent": t.sent, "cleared": t.cleared}
                for t in self.turns
                if t.id and t.received
            ),
        )
        if not entry.balanced():
            raise LedgerError(f"ledger {self.source} → {self.sink} does not balance: {entry}")
        return entry
