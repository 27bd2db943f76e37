"""ApplicationStorage in one SQLite file: the default backend, shared by all processes of a machine.

A time to live is exact: an item is a miss from the second it expires, whenever its row is purged.
Leaves out: a limit on the number of keys (VoxEngine has none either); watch the disk.
"""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cordboard.storage.database import BUSY_TIMEOUT, Database
from cordboard.storage.interface import (
    MAX_KEYS,
    Clock,
    IsSecret,
    IsSecretName,
    StorageItem,
    check_count,
    check_key,
    check_pattern,
    check_ttl,
    check_value,
    expiry_date,
    namespace_of,
)

PURGE_ROWS: Final = 100  # expired rows a put takes away: more than it adds, few enough to cost a call nothing

_MIGRATIONS: Final = (
    (
        "CREATE TABLE item (key TEXT PRIMARY KEY, namespace TEXT NOT NULL, value TEXT NOT NULL, expires_at REAL)"
        " WITHOUT ROWID",
        "CREATE INDEX item_by_namespace ON item (namespace, key)",
        "CREATE INDEX item_by_expiry ON item (expires_at) WHERE expires_at IS NOT NULL",
    ),
)
_LIVE: Final = "(expires_at IS NULL OR expires_at > ?)"


class SqliteStorage:
    """ApplicationStorage over `path`. Close it, or use it as a context."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        is_secret: IsSecretName = lambda name: False,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        """Open or make the file. `busy_timeout`: seconds. Raises StorageUnavailable, StoreTooNew."""
        self._clock = clock
        self._is_secret = is_secret
        self._database = Database(path, _MIGRATIONS, journal="WAL", busy_timeout=busy_timeout)

    def get(self, key: str) -> StorageItem | None:
        """See ApplicationStorage.get."""
        check_key(key)
        self._refuse_secret(key)
        with self._database.reading() as connection:
            row: tuple[str, float | None] | None = connection.execute(
                f"SELECT value, expires_at FROM item WHERE key = ? AND {_LIVE}",  # noqa: S608 (a constant)
                (key, self._clock()),
            ).fetchone()
        return None if row is None else StorageItem(key, row[0], expiry_date(row[1]))

    def put(self, key: str, value: str, ttl: int | None) -> StorageItem:
        """See ApplicationStorage.put."""
        check_key(key)
        check_value(value)
        check_ttl(ttl)
        self._refuse_secret(key)
        with self._database.writing() as connection:
            now = self._clock()  # after the wait for other writers
            expires_at = None if ttl is None else now + ttl
            connection.execute(
                "INSERT INTO item (key, namespace, value, expires_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
                (key, namespace_of(key), value, expires_at),
            )
            connection.execute(
                "DELETE FROM item WHERE key IN (SELECT key FROM item WHERE expires_at <= ? LIMIT ?)", (now, PURGE_ROWS)
            )
        return StorageItem(key, value, expiry_date(expires_at))

    def remove(self, key: str) -> bool:
        """See ApplicationStorage.remove."""
        check_key(key)
        with self._database.writing() as connection:
            row: tuple[float | None] | None = connection.execute(
                "DELETE FROM item WHERE key = ? RETURNING expires_at", (key,)
            ).fetchone()
        return row is not None and (row[0] is None or row[0] > self._clock())

    def keys(self, pattern: str | None = None, count: int = MAX_KEYS) -> list[str]:
        """See ApplicationStorage.keys."""
        check_pattern(pattern)
        check_count(count)
        narrowed = "" if pattern is None else "namespace = ? AND "
        with self._database.reading() as connection:
            rows: list[tuple[str]] = connection.execute(
                f"SELECT key FROM item WHERE {narrowed}{_LIVE} ORDER BY key LIMIT ?",  # noqa: S608 (constants)
                (*(() if pattern is None else (pattern,)), self._clock(), count),
            ).fetchall()
        return [key for (key,) in rows]

    def close(self) -> None:
        """Give the file back; later calls raise StorageUnavailable."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse_secret(self, key: str) -> None:
        if self._is_secret(key):
            raise IsSecret(key)
