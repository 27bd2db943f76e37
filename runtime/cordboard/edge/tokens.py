"""Tokens of the admin API: `cbt_<id>_<secret>`, of which the edge keeps a hash (HANDLERS §2.3).

A secret has 256 random bits, so that a plain SHA-256 of it is as good as a slow hash would be.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, get_args

from cordboard.storage.database import Database

Scope: TypeAlias = Literal["start", "read", "control"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
MAX_TOKENS: Final = 1_000  # of one edge; each is somebody's, or some program's

_FORM: Final = re.compile(r"cbt_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_MIGRATIONS: Final = (
    (
        "CREATE TABLE token (id TEXT PRIMARY KEY, hash TEXT NOT NULL, scopes TEXT NOT NULL, created REAL NOT NULL,"
        " expires REAL) WITHOUT ROWID",
    ),
)


class TooManyTokens(Exception):
    """The edge keeps MAX_TOKENS already."""


@dataclass(frozen=True, slots=True)
class Token:
    """What the edge knows of a token."""

    id: str
    """Eight hex digits."""
    scopes: tuple[str, ...]
    """What it lets its holder do."""
    created: float
    """Unix time."""
    expires: float | None
    """Unix time; None: never."""


class TokenStore:
    """Tokens over a SQLite file, mode 0600. Close it, or use it as a context. Methods raise StorageUnavailable."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StorageUnavailable, StoreTooNew."""
        self._database = Database(path, _MIGRATIONS, journal="DELETE")

    def create(self, scopes: tuple[Scope, ...], expires: float | None, now: float) -> str:
        """A new token; nobody can tell it again. Raises TooManyTokens."""
        id_, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        row = (id_, _hash(secret), " ".join(scopes), now, expires)
        with self._database.writing() as connection:
            count: tuple[int] = connection.execute("SELECT count(*) FROM token").fetchone()
            if count[0] >= MAX_TOKENS:
                raise TooManyTokens
            connection.execute("INSERT INTO token (id, hash, scopes, created, expires) VALUES (?, ?, ?, ?, ?)", row)
        return f"cbt_{id_}_{secret}"

    def check(self, text: str, now: float) -> Token | None:
        """The token that a request brings; None for one that is malformed, unknown, revoked or expired."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT id, scopes, created, expires, hash FROM token WHERE id = ?", (form[1],)
            ).fetchone()
        if row is None or not hmac.compare_digest(row[4], _hash(form[2])):
            return None
        found = _token(row)
        return None if found.expires is not None and now >= found.expires else found

    def all(self) -> list[Token]:
        """Every token, the oldest first, expired ones too."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id, scopes, created, expires FROM token ORDER BY created, id").fetchall()
        return [_token(row) for row in rows]

    def revoke(self, id_: str) -> bool:
        """Forget a token; False where there is none."""
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM token WHERE id = ?", (id_,)).rowcount == 1

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: tuple[str, str, float, float | None]) -> Token:
    return Token(row[0], tuple(row[1].split()), row[2], row[3])
