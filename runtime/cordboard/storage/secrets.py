"""Secrets in a SQLite file of their own, mode 0600, not encrypted: who reads the owner's files reads the secrets.

Follows VoxEngine's secret store in names and limits; adds versions, so that a journal can say which value it used.
"""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cordboard.storage.database import BUSY_TIMEOUT, Database
from cordboard.storage.interface import (
    FileExposed,
    SecretNotFound,
    SecretValue,
    check_secret,
    is_secret_name,
)

# A removed secret keeps its row without a value, so that its versions are never used again.
_MIGRATIONS: Final = (
    ("CREATE TABLE secret (name TEXT PRIMARY KEY, value TEXT, version INTEGER NOT NULL) WITHOUT ROWID",),
)


class SecretStore:
    """Secrets over `path`. Close it, or use it as a context. Its repr shows the path alone."""

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        """Open or make the file. Raises FileExposed, StorageUnavailable, StoreTooNew."""
        self._path = path
        if path.exists() and (mode := stat.S_IMODE(os.stat(path).st_mode)) & 0o077:
            raise FileExposed(f"{path} has mode {mode:04o}, so that others can open it; run: chmod 600 {path}")
        # no WAL: its file would keep old values beyond a removal
        self._database = Database(path, _MIGRATIONS, journal="DELETE", busy_timeout=busy_timeout)

    def put(self, name: str, value: str) -> int:
        """See Secrets.put. Also raises StorageUnavailable, as all methods."""
        check_secret(name, value)
        with self._database.writing() as connection:
            row: tuple[int] = connection.execute(
                "INSERT INTO secret (name, value, version) VALUES (?, ?, 1)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = version + 1 RETURNING version",
                (name, value),
            ).fetchone()
        return row[0]

    def resolve(self, name: str) -> SecretValue:
        """See Secrets.resolve."""
        row: tuple[str, int] | None = None
        if is_secret_name(name):
            with self._database.reading() as connection:
                row = connection.execute(
                    "SELECT value, version FROM secret WHERE name = ? AND value IS NOT NULL", (name,)
                ).fetchone()
        if row is None:
            raise SecretNotFound(name)
        return SecretValue(*row)

    def names(self) -> list[str]:
        """See Secrets.names."""
        with self._database.reading() as connection:
            rows: list[tuple[str]] = connection.execute(
                "SELECT name FROM secret WHERE value IS NOT NULL ORDER BY name"
            ).fetchall()
        return [name for (name,) in rows]

    def remove(self, name: str) -> bool:
        """See Secrets.remove."""
        if not is_secret_name(name):
            return False
        with self._database.writing() as connection:
            return (
                connection.execute(
                    "UPDATE secret SET value = NULL WHERE name = ? AND value IS NOT NULL", (name,)
                ).rowcount
                == 1
            )

    def is_secret(self, name: str) -> bool:
        """See Secrets.is_secret."""
        if not is_secret_name(name):
            return False
        with self._database.reading() as connection:
            return (
                connection.execute("SELECT 1 FROM secret WHERE name = ? AND value IS NOT NULL", (name,)).fetchone()
                is not None
            )

    def close(self) -> None:
        """Give the file back; later calls raise StorageUnavailable."""
        self._database.close()

    def __repr__(self) -> str:
        return f"SecretStore({str(self._path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
