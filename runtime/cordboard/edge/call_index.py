"""A list of all calls in one SQLite file, so that thousands are found at once; the calls' folders are the truth.

`sync` compares it with the folders: what is new, has ended or is gone is put right, whoever changed it, and calls of a
former version come in the same way. A damaged file, or one of a newer version, is made anew. Readers and the sweeper
write it, never a call: nothing that a caller waits for touches it. Works whether an edge runs or not.
"""

import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cordboard.edge.data_dir import DataDir
from cordboard.storage.database import Database
from cordboard.storage.interface import StorageUnavailable, StoreTooNew

BUSY_TIMEOUT: Final = 5.0  # seconds behind another writer; a batch takes some tenths
BATCH: Final = 500  # calls written at a time: others may write between

RECORDINGS: Final = 1
TRANSCRIPTS: Final = 2
TIMELINES: Final = 4
"""Bits of `content`: what a call's folder may still hold."""

_MIGRATIONS: Final = (
    (
        "CREATE TABLE call (id TEXT PRIMARY KEY, started REAL NOT NULL, ended REAL, from_number TEXT NOT NULL,"
        " to_number TEXT NOT NULL, scenario TEXT NOT NULL, cause TEXT NOT NULL, fault TEXT NOT NULL,"
        " content INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX call_by_start ON call (started)",
        "CREATE INDEX call_by_end ON call (ended)",
    ),
)
_COLUMNS: Final = "id, started, ended, from_number, to_number, scenario, cause, fault, content"


@dataclass(frozen=True, slots=True)
class IndexedCall:
    """What the list says of a call."""

    id: str
    """Session id."""
    started: float
    """Unix time; 0: not known."""
    ended: float | None
    """Unix time; None: it has no record yet."""
    from_number: str
    """The caller's."""
    to_number: str
    """The number called."""
    scenario: str
    """Name of the scenario."""
    cause: str
    """Why it ended."""
    fault: str
    """Whose fault that was."""
    content: int
    """RECORDINGS, TRANSCRIPTS, TIMELINES: may still be there."""


class CallIndex:
    """The list of one data folder. Close it, or use it as a context. Methods raise StorageUnavailable."""

    def __init__(self, data: DataDir) -> None:
        """Open or make it; `rebuilt` says why it was made anew. Raises StorageUnavailable."""
        self._data = data
        self.rebuilt = ""
        self.problems: list[str] = []
        """What `sync` could not read."""
        if not data.index.exists() and any(_folders(data)):
            self.rebuilt = "there was none"
        try:
            self._database = self._open()
        except (StorageUnavailable, StoreTooNew) as error:
            if not isinstance(error, StoreTooNew) and not _is_damage(error):
                raise
            self.rebuilt = str(error)
            self._remove()
            self._database = self._open()

    def sync(self) -> int:
        """Take over what the folders say; how many calls had changed. A folder that vanishes meanwhile is none."""
        try:
            return self._sync()
        except StorageUnavailable as error:
            if not _is_damage(error):
                raise
            self.rebuilt = str(error)
            self._database.close()
            self._remove()
            self._database = self._open()
            return self._sync()

    def _sync(self) -> int:
        with self._database.reading() as connection:
            known: dict[str, float | None] = dict(connection.execute("SELECT id, ended FROM call").fetchall())
        there = set(_folders(self._data))
        stale = [name for name in there if known.get(name) is None]
        changed = 0
        for start in range(0, len(stale), BATCH):
            found = [read_call(self._data.calls / name, self.problems) for name in stale[start : start + BATCH]]
            fresh = [call for call in found if call.id not in known or call.ended is not None]
            changed += len(fresh)
            self.put(fresh)
        gone = [name for name in known if name not in there]
        if gone:
            self.drop(gone)
        return changed + len(gone)

    def put(self, calls: Iterable[IndexedCall]) -> None:
        """Write calls anew."""
        rows = [dataclasses.astuple(call) for call in calls]
        if rows:
            with self._database.writing() as connection:
                statement = f"INSERT OR REPLACE INTO call ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                connection.executemany(statement, rows)

    def reread(self, id: str) -> None:
        """A call's folder was changed after its end."""
        self.put([read_call(self._data.calls / id, self.problems)])

    def has_lost(self, id: str, content: int) -> None:
        """A call's content is erased."""
        with self._database.writing() as connection:
            connection.execute("UPDATE call SET content = content & ~? WHERE id = ?", (content, id))

    def drop(self, ids: Iterable[str]) -> None:
        """Forget calls."""
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM call WHERE id = ?", [(each,) for each in ids])

    def forget_numbers(self) -> None:
        """Leave nothing of what was replaced in the file's journal either."""
        with self._database.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def newest(
        self,
        *,
        number: str | None = None,
        cause: str | None = None,
        since: float | None = None,
        open_only: bool = False,
        ended_only: bool = False,
        after: tuple[float, str] | None = None,
        limit: int,
    ) -> list[IndexedCall]:
        """Calls, newest first; `number`: a part of either; `since`: Unix time of the begin; `after`: begin and id of
        the call that comes before them."""
        wanted = {
            "(instr(from_number, ?) OR instr(to_number, ?))": None if number is None else (number, number),
            "cause = ?": None if cause is None else (cause,),
            "started >= ?": None if since is None else (since,),
            "ended IS NULL": () if open_only else None,
            "ended IS NOT NULL": () if ended_only else None,
            "(started < ? OR (started = ? AND id > ?))": None if after is None else (after[0], *after),
        }
        where = " AND ".join(["1", *(text for text, values in wanted.items() if values is not None)])
        values = [value for each in wanted.values() if each is not None for value in each]
        return self._select(f"WHERE {where} ORDER BY started DESC, id LIMIT ?", (*values, limit))

    def due(self, content: int, before: float) -> list[IndexedCall]:
        """Calls that ended before a moment and may still hold a content; 0: any."""
        return self._select("WHERE ended <= ? AND (? = 0 OR content & ?) ORDER BY ended", (before, content, content))

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _select(self, rest: str, values: tuple[object, ...]) -> list[IndexedCall]:
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM call {rest}", values).fetchall()  # noqa: S608
        return [IndexedCall(*row) for row in rows]

    def _open(self) -> Database:
        return Database(self._data.index, _MIGRATIONS, journal="WAL", busy_timeout=BUSY_TIMEOUT)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._data.index.with_name(self._data.index.name + suffix).unlink(missing_ok=True)


def read_call(folder: Path, problems: list[str]) -> IndexedCall:
    """What a folder says of its call; a damaged record counts as ended when it was written, and is a problem."""
    record_path = folder / "record.json"
    record, facts = _json(record_path), _json(folder / "facts.json")
    ended: float | None = None
    if record is not None or record_path.exists():
        ended = moment((record or {}).get("ended_at")) or _written(record_path)
        if record is None:
            problems.append(f"{record_path} cannot be read")
    told: Mapping[str, Any] = record or facts or {}
    return IndexedCall(
        id=folder.name,
        started=moment(told.get("started_at")) or 0.0,
        ended=ended,
        from_number=str(told.get("from", "")),
        to_number=str(told.get("to", "")),
        scenario=str(told.get("scenario", "")),
        cause=str(told.get("cause", "")),
        fault=str(told.get("fault", "")),
        content=content_of(folder),
    )


def content_of(folder: Path) -> int:
    """What a folder holds."""
    found = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".wav", ".part")):
                    found |= RECORDINGS
                elif entry.name.startswith("transcript."):
                    found |= TRANSCRIPTS
                elif entry.name.startswith("timeline."):
                    found |= TIMELINES | TRANSCRIPTS  # what was said stands in both
    except FileNotFoundError:
        pass
    return found


def moment(text: object) -> float | None:
    """Unix time of an RFC 3339 text."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if found is None else (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _written(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _folders(data: DataDir) -> Iterator[str]:
    try:
        with os.scandir(data.calls) as entries:
            yield from (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return


def _is_damage(error: Exception) -> bool:
    """The file is no database, or a broken one; not: locked, read-only, a full disk."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError)
