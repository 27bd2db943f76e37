"""Opens the SQLite files of this room: made whole with mode 0600, brought to the newest schema, shared by processes.

A connection is guarded by a lock, so any thread may use it; it does not survive a fork.
Leaves out: backups, encryption, network file systems (WAL needs shared memory).
"""

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from cordboard.storage.interface import StorageUnavailable, StoreTooNew

BUSY_TIMEOUT: Final = 0.9  # seconds that a call waits for another writer; a storage command has 1 s in all
FILE_MODE: Final = 0o600  # numbers of callers and secrets are the owner's alone; SQLite gives its side files the same

Migrations = Sequence[Sequence[str]]
"""Per schema version, the statements that lead to it from the one before. Append only: files in use have run them."""


class Database:
    """One SQLite file and this process's connection to it."""

    def __init__(
        self,
        path: Path,
        migrations: Migrations,
        *,
        journal: Literal["WAL", "DELETE"],
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        """Open `path`, making it if it is not there. Raises StorageUnavailable, StoreTooNew."""
        self._path = path
        self._lock = threading.Lock()
        with self._named_errors():
            if not path.exists():
                _create(path, migrations, journal, busy_timeout)
            self._connection = _connect(path, busy_timeout)
            try:
                _prepare(self._connection, path, migrations, journal)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Give the file back; the last one to close it leaves no side files. Later calls raise StorageUnavailable."""
        with self._lock, self._named_errors():
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one statement that reads."""
        with self._lock, self._named_errors():
            yield self._connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection inside a transaction that is the only writer: all of it happens, or nothing."""
        with self._lock, self._named_errors(), _transaction(self._connection):
            yield self._connection

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:  # texts of SQLite and the system hold no bound values
            raise StorageUnavailable(f"{self._path}: {error}") from error


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    # autocommit, so that transactions are where the code says; the lock replaces the check of threads
    return sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")  # a deferred one could fail with "locked" half way, without waiting
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled back already
            connection.execute("ROLLBACK")
        raise


def _create(path: Path, migrations: Migrations, journal: str, busy_timeout: float) -> None:
    """Make the file under another name and link it in: whoever opens it meets it whole, and the first maker wins."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
    try:
        connection = _connect(draft, busy_timeout)
        try:
            _prepare(connection, draft, migrations, journal)
        finally:
            connection.close()
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(draft, path)
    finally:
        draft.unlink()


def _prepare(connection: sqlite3.Connection, path: Path, migrations: Migrations, journal: str) -> None:
    connection.execute(f"PRAGMA journal_mode={journal}")
    # with WAL, NORMAL loses the last writes when power fails, never the file's integrity; without WAL it could
    connection.execute(f"PRAGMA synchronous={'NORMAL' if journal == 'WAL' else 'FULL'}")
    connection.execute("PRAGMA secure_delete=ON")  # what is removed is overwritten in the file
    if _version(connection) == len(migrations):
        return
    with _transaction(connection):
        found = _version(connection)  # again, now that no other process can migrate
        if found > len(migrations):
            raise StoreTooNew(
                f"{path} has schema {found}, newer than {len(migrations)}; run a Cordboard at least as new"
            )
        for statements in migrations[found:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(migrations)}")


def _version(connection: sqlite3.Connection) -> int:
    row: tuple[int] = connection.execute("PRAGMA user_version").fetchone()
    return row[0]
