"""Answers the reads of a replayed event from its journal; none is performed (scenario.binding.Recorded)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cordboard.contract.journal import MASK
from cordboard.contract.records import JournalEntry

from .masks import fill, holds_token

EFFECTS: Final = frozenset({"storage.put", "storage.remove", "once"})
"""Reads in name only: they change something outside of the call."""


class RecordedReads:
    """The reads of one event, each given once, in the order of their type and arguments."""

    def __init__(self) -> None:
        self._left: list[JournalEntry] = []
        self._guess = MASK

    def load(self, entries: Iterable[JournalEntry], guess: str = MASK) -> None:
        """The reads of the next event; `guess` as in `fill`."""
        self._left = list(entries)
        self._guess = guess

    def take(self, type_: str, hash_: str, args: Mapping[str, Any]) -> JournalEntry | None:
        """See Recorded. Arguments that hold what is masked are taken for those of the next read of that type, and so
        are all where the journal names no hash."""
        open_ = holds_token(args)
        for index, entry in enumerate(self._left):
            if entry.type == type_ and (open_ or entry.hash in (hash_, "")):
                del self._left[index]
                return JournalEntry(
                    entry.id, type_, hash_, entry.status, fill(entry.result, self._guess), entry.error, entry.target
                )
        return None

    def left(self) -> list[JournalEntry]:
        """Effects outside of the call that nobody asked for again."""
        return [entry for entry in self._left if entry.type in EFFECTS]
