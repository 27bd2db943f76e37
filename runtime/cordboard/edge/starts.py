"""Which request started which session, by its Idempotency-Key, for a day: a repeated request starts nothing new.

A key is claimed before its session begins, so that no death in between lets a number be dialled twice.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from cordboard.storage.database import Database

KEPT: Final = 86_400.0  # seconds; HANDLERS §2.3 promises a day
MAX_KEYS: Final = 100_000  # of a day, more than one a second; the oldest go first

_MIGRATIONS: Final = (
    (
        "CREATE TABLE start (token TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, session TEXT,"
        " at REAL NOT NULL, PRIMARY KEY (token, key)) WITHOUT ROWID",
        "CREATE INDEX start_by_time ON start (at)",
    ),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is known of a key."""

    state: Literal["new", "started", "other_request", "unknown"]
    """new: it is ours; started: its session is `session`; other_request: it came with another body; unknown: it is
    being served now, or was when an edge died."""
    session: str = ""
    """Session id."""


class Starts:
    """Keys over a SQLite file, mode 0600. Close it, or use it as a context. Methods raise StorageUnavailable."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StorageUnavailable, StoreTooNew."""
        self._database = Database(path, _MIGRATIONS, journal="WAL")

    def claim(self, token: str, key: str, digest: str, now: float) -> Claim:
        """Take a key for a request, or hear what became of it. Keys belong to their token."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM start WHERE at <= ?", (now - KEPT,))
            _make_room(connection)
            row: tuple[str, str | None] | None = connection.execute(
                "SELECT digest, session FROM start WHERE token = ? AND key = ?", (token, key)
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO start (token, key, digest, session, at) VALUES (?, ?, ?, NULL, ?)",
                    (token, key, digest, now),
                )
                return Claim("new")
        if row[0] != digest:
            return Claim("other_request")
        return Claim("unknown") if row[1] is None else Claim("started", row[1])

    def started(self, token: str, key: str, session: str) -> None:
        """The key's session runs."""
        with self._database.writing() as connection:
            connection.execute("UPDATE start SET session = ? WHERE token = ? AND key = ?", (session, token, key))

    def refused(self, token: str, key: str) -> None:
        """Nothing was started: the key may be used again."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM start WHERE token = ? AND key = ?", (token, key))

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_room(connection: sqlite3.Connection) -> None:
    count: tuple[int] = connection.execute("SELECT count(*) FROM start").fetchone()
    if count[0] >= MAX_KEYS:
        connection.execute(
            "DELETE FROM start WHERE (token, key) IN (SELECT token, key FROM start ORDER BY at LIMIT ?)",
            (count[0] - MAX_KEYS + 1,),
        )
