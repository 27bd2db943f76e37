"""Webhooks that wait for their receiver, in one SQLite file: what was added is there after a kill -9 of the program.

Bodies hold what was said in calls: the file is its owner's alone, and a row is overwritten once it is gone.
Leaves out several programs on one file: the first holds it. What the last moments before a loss of power added may
be lost (WAL without a sync for each row).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = "webhooks.sqlite"
"""The outbox's name in `--data-dir`."""

MAX_EVENTS: Final = 10_000
"""Events that wait: some hundred calls; a receiver that is away for longer has lost the newest, and the log says so."""

MAX_BODY: Final = 1024 * 1024
"""Bytes of one event, some times what `bounds` lets through: hostile input alone is larger."""

_MIGRATIONS: Final = (
    (
        "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, call_id TEXT NOT NULL, type TEXT NOT NULL,"
        " body BLOB NOT NULL, created_at REAL NOT NULL, attempts INTEGER NOT NULL, next_at REAL NOT NULL)",
        "CREATE INDEX event_by_call ON event (call_id, id)",
        "CREATE TABLE webhook (id TEXT NOT NULL)",
    ),
)
"""Per schema version the statements that lead to it. Append only: files in use have run them."""


class OutboxUnusable(Exception):
    """The file cannot be used; the message names it and says why."""


class OutboxFull(Exception):
    """MAX_EVENTS wait already, or the body is over MAX_BODY: the event is not kept."""


class Waiting(NamedTuple):
    """One event that is to be sent."""

    id: int
    """Grows with every event added."""
    call_id: str
    """Its call: events of one call leave in their order."""
    type: str
    """`call_started` …"""
    body: bytes
    """JSON, as it is sent, the same at each attempt."""
    created_at: float
    """Wall clock, seconds since 1970."""
    attempts: int
    """Attempts that failed."""
    next_at: float
    """Wall clock, seconds since 1970: not before."""


class Outbox:
    """The file `path`, made if it is not there; None: in memory, gone with the object. Raises OutboxUnusable.

    Synchronous; a row is some pages of a file, no sync. For one thread.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, timeout=0)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            held = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            why = "another program sends from it; give this one another --data-dir" if held else str(error)
            raise OutboxUnusable(f"{path}: {why}") from error

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run("PRAGMA secure_delete=ON")
        (version,) = run("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise OutboxUnusable(f"{self._path}: has schema {version}, newer than {len(_MIGRATIONS)}")
        run("BEGIN EXCLUSIVE")  # holds the file from here on
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                run(statement)
        run(f"PRAGMA user_version={len(_MIGRATIONS)}")
        if run("SELECT 1 FROM webhook").fetchone() is None:
            run("INSERT INTO webhook (id) VALUES (?)", (f"agent_webhook_{secrets.token_hex(11)}",))
        run("COMMIT")

    @property
    def webhook_id(self) -> str:
        """`agent_webhook_…`, made with the file and kept."""
        row: tuple[str] = self._connection.execute("SELECT id FROM webhook").fetchone()
        return row[0]

    def add(self, call_id: str, type_: str, body: bytes, now: float) -> None:
        """Keep an event, to be sent at once. Raises OutboxFull, sqlite3.Error (disk full)."""
        if len(body) > MAX_BODY:
            raise OutboxFull(f"it has {len(body)} bytes; the limit is {MAX_BODY}")
        if len(self) >= MAX_EVENTS:
            raise OutboxFull(f"{MAX_EVENTS} events wait already")
        self._connection.execute(
            "INSERT INTO event (call_id, type, body, created_at, attempts, next_at) VALUES (?, ?, ?, ?, 0, ?)",
            (call_id, type_, body, now, now),
        )

    def first_of_calls(self, without: Collection[str], count: int) -> list[Waiting]:
        """The oldest event of each call that is not in `without`, the soonest to be sent first, at most `count`."""
        rows = self._connection.execute(
            "SELECT id, call_id, type, body, created_at, attempts, next_at FROM event"
            " WHERE id IN (SELECT MIN(id) FROM event GROUP BY call_id) ORDER BY next_at, id LIMIT ?",
            (count + len(without),),
        )
        return [waiting for waiting in map(Waiting._make, rows) if waiting.call_id not in without][:count]

    def drop(self, waiting: Waiting) -> None:
        """Forget an event: it was taken, or is given up."""
        self._connection.execute("DELETE FROM event WHERE id = ?", (waiting.id,))

    def forget(self, call_id: str) -> int:
        """Forget a call's events, and what the file's log says of them; how many there were."""
        count = self._connection.execute("DELETE FROM event WHERE call_id = ?", (call_id,)).rowcount
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # also of those that were sent before
        return count

    def postpone(self, waiting: Waiting, next_at: float) -> None:
        """Count an attempt that failed; the next is not before `next_at`."""
        self._connection.execute(
            "UPDATE event SET attempts = attempts + 1, next_at = ? WHERE id = ?", (next_at, waiting.id)
        )

    def __len__(self) -> int:
        row: tuple[int] = self._connection.execute("SELECT COUNT(*) FROM event").fetchone()
        return row[0]

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()
