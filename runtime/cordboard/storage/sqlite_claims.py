"""Claims in one SQLite file, shared by all processes of a machine. A loss of power may lose the last moments'."""

from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from cordboard.storage.claims import Claim, new_token
from cordboard.storage.database import BUSY_TIMEOUT, Database
from cordboard.storage.interface import Clock, check_key

PURGE_ROWS: Final = 100  # expired rows a take removes: more than it adds, few enough to cost nothing

# A token of NULL: done.
_MIGRATIONS: Final = (
    (
        "CREATE TABLE claim (key TEXT PRIMARY KEY, token TEXT, expires_at REAL NOT NULL) WITHOUT ROWID",
        "CREATE INDEX claim_by_expiry ON claim (expires_at)",
    ),
)


class SqliteClaims:
    """Claims over `path`. Close it, or use it as a context."""

    def __init__(self, path: Path, clock: Clock, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        """Open or make the file. `busy_timeout`: seconds. Raises StorageUnavailable, StoreTooNew."""
        self._clock = clock
        self._database = Database(path, _MIGRATIONS, journal="WAL", busy_timeout=busy_timeout)

    def take(self, key: str, lease: float) -> Claim | Literal["busy", "done"]:
        """See Claims.take."""
        check_key(key)
        claim = Claim(key, new_token())
        with self._database.writing() as connection:
            now = self._clock()  # after the wait for other writers
            row: tuple[str | None] | None = connection.execute(
                "SELECT token FROM claim WHERE key = ? AND expires_at > ?", (key, now)
            ).fetchone()
            if row is not None:
                return "done" if row[0] is None else "busy"
            connection.execute(
                "INSERT INTO claim (key, token, expires_at) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at",
                (key, claim.token, now + lease),
            )
            connection.execute(
                "DELETE FROM claim WHERE key IN (SELECT key FROM claim WHERE expires_at <= ? LIMIT ?)",
                (now, PURGE_ROWS),
            )
        return claim

    def finish(self, claim: Claim, keep: float) -> bool:
        """See Claims.finish."""
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE claim SET token = NULL, expires_at = ? WHERE key = ? AND token = ?",
                (self._clock() + keep, claim.key, claim.token),
            ).rowcount
        return changed == 1

    def release(self, claim: Claim) -> bool:
        """See Claims.release."""
        with self._database.writing() as connection:
            changed = connection.execute(
                "DELETE FROM claim WHERE key = ? AND token = ?", (claim.key, claim.token)
            ).rowcount
        return changed == 1

    def close(self) -> None:
        """Give the file back; later calls raise StorageUnavailable."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
