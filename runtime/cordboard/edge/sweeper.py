"""Erases what [retention] no longer keeps: at start and each hour; what is not kept at all, each minute.

Runs in the finisher's process, behind everything that a caller waits for. A call that has no record lives, or will get
one, and is left alone. A sweep that dies in its middle is taken up by the next one, which finds what is still there.
Sound that waits for its copy in S3 stays until it is there, for it would be lost; a log line says so each day.
"""

import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cordboard.config.kept import Retention
from cordboard.edge import erasure
from cordboard.edge.call_index import RECORDINGS, TIMELINES, TRANSCRIPTS, CallIndex
from cordboard.edge.data_dir import DataDir
from cordboard.storage.interface import StorageUnavailable

HOURLY: Final = 3_600.0  # seconds between two sweeps (HANDLERS §2.2)
MINUTELY: Final = 60.0  # seconds between two looks for what is not kept at all, and for calls that are new
DAILY: Final = 86_400.0  # seconds between two lines about calls that are kept for their copies
TOLD: Final = 5  # calls that such a line names
PROGRESS: Final = 1_000  # calls between two lines in the log

log = logging.getLogger(__name__)

Erase = Callable[[DataDir, str, datetime], None]
_KINDS: Final[tuple[tuple[str, int, Erase], ...]] = (
    ("records", 0, erasure.erase_call),
    ("recordings", RECORDINGS, erasure.erase_recordings),
    ("timelines", TIMELINES, erasure.erase_timeline),
    ("transcripts", TRANSCRIPTS, erasure.erase_transcript),
)


class Sweeper:
    """Sweeps one data folder. `turn` is called as often as one likes; `stop` says between two calls to leave it."""

    def __init__(
        self, data: DataDir, kept: Retention, stop: Callable[[], bool] = lambda: False, *, copies: bool = False
    ) -> None:
        """`copies`: recordings are copied to S3, and stay until they are there."""
        self._data = data
        self._kept = kept
        self._stop = stop
        self._copies = copies
        self._next_day = float("-inf")
        self._next_hour = self._next_minute = float("-inf")

    def turn(self, now: float) -> Counter[str]:
        """Sweep what is due at a Unix time; how many calls lost what. Failures are logged, and tried again."""
        swept: Counter[str] = Counter()
        if now < self._next_minute:
            return swept
        whole = now >= self._next_hour
        try:
            with CallIndex(self._data) as index:
                index.sync()
                if index.rebuilt:
                    log.warning("the list of calls was made anew: %s", index.rebuilt)
                for problem in index.problems:
                    log.warning("%s", problem)
                self._sweep(index, now, whole, swept)
        except (StorageUnavailable, OSError) as error:
            log.error("calls cannot be swept: %s", error)
        self._next_minute = now + MINUTELY
        if whole:
            self._next_hour = now + HOURLY
        if swept:
            log.info("swept: %s", ", ".join(f"{kind} of {count} calls" for kind, count in sorted(swept.items())))
        return swept

    def _sweep(self, index: CallIndex, now: float, whole: bool, swept: Counter[str]) -> None:
        at = datetime.fromtimestamp(now, UTC)
        postponed: set[str] = set()
        for kind, bit, erase in _KINDS:
            age: float | None = getattr(self._kept, kind)
            if age is None or not (whole or age == 0.0):
                continue
            holds_sound = self._copies and kind in ("records", "recordings")
            if holds_sound:
                age = max(age, MINUTELY)  # a call that has just ended may not have queued its recordings yet
            due = index.due(bit, now - age)
            waiting = _waiting(self._data) if holds_sound else frozenset()
            for call in due:
                if self._stop():
                    return
                if call.id in waiting:
                    postponed.add(call.id)
                    continue
                if not (self._data.calls / call.id / erasure.RECORD).exists():
                    continue  # gone since, or a half-erased folder that counts as one of a call that lives
                try:
                    erase(self._data, call.id, at)
                except OSError as error:
                    log.error("%s of call %s cannot be erased yet: %s", kind, call.id, error)
                    continue
                if kind == "records":
                    index.drop([call.id])
                else:
                    index.has_lost(call.id, bit)
                swept[kind] += 1
                if swept[kind] % PROGRESS == 0:
                    log.info("sweeping: %s of %d calls so far", kind, swept[kind])
        if postponed and now >= self._next_day:
            self._next_day = now + DAILY
            log.error(
                "recordings of %d calls stay longer than [retention] says: they wait for their copies in S3 (%s)",
                len(postponed),
                ", ".join(sorted(postponed)[:TOLD]) + (", …" if len(postponed) > TOLD else ""),
            )


def _waiting(data: DataDir) -> frozenset[str]:
    """Sessions with recordings that are not in S3 yet; a job goes from the first folder to the second."""
    return frozenset(
        path.name.partition(".")[0] for folder in (data.finish, data.upload) for path in folder.glob("*.json")
    )


def to_argument(kept: Retention) -> str:
    """[retention] as an argument of a process."""
    return json.dumps(dataclasses.asdict(kept))


def from_argument(text: str) -> Retention:
    """The same, read. Raises ValueError, TypeError."""
    return Retention(**json.loads(text))
