"""What the platform remembers, in one SQLite file or in memory: agents, calls, transcripts, deployments, tokens.

Synchronous and for one thread; `worker` has it. Rows go in as what `values` says; nothing here knows of HTTP. The file
holds what was said in calls: it is its owner's alone, and what is deleted is overwritten. Everything is bounded: the
oldest calls over `MAX_CALLS`, lines over `MAX_LINES` and deployments over `MAX_DEPLOYMENTS` go. Leaves out several
programs on one file: the first holds it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cordboard.line.platform.values import AgentRow, CallRow, DeploymentRow, Line, TokenRow

MAX_CALLS: Final = 10_000
"""Calls kept, transcripts included: weeks of tests; some 100 MB."""

MAX_AGENTS: Final = 1000
"""Agents, deleted ones included."""

MAX_TOKENS: Final = 10_000
"""Tokens that have not expired: one a call, at most an hour each."""

MAX_DEPLOYMENTS: Final = 100
"""Deployments kept of each agent."""

MAX_LINES: Final = 2000
"""Lines of log kept of each call and each deployment; the oldest go."""

FILE: Final = "calls.sqlite"
"""Its name in `--data-dir`."""

_MIGRATIONS: Final = (
    (
        "CREATE TABLE agent (id TEXT PRIMARY KEY, created_at REAL NOT NULL, updated_at REAL NOT NULL, deleted_at REAL,"
        " fields TEXT NOT NULL)",
        "CREATE TABLE call (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, agent_id TEXT NOT NULL,"
        " status TEXT NOT NULL, start_time REAL, end_time REAL, end_reason TEXT, error_message TEXT,"
        " deployment_id TEXT, telephony TEXT, metadata TEXT, recorded INTEGER NOT NULL, redacted_at REAL,"
        " deadline REAL)",
        "CREATE INDEX call_by_agent ON call (agent_id, seq)",
        "CREATE TABLE entry (call_id TEXT NOT NULL, number INTEGER NOT NULL, json TEXT NOT NULL,"
        " PRIMARY KEY (call_id, number)) WITHOUT ROWID",
        "CREATE TABLE deployment (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
        " agent_id TEXT NOT NULL, status TEXT NOT NULL, is_live INTEGER NOT NULL, created_at REAL NOT NULL,"
        " updated_at REAL NOT NULL, message TEXT NOT NULL)",
        "CREATE INDEX deployment_by_agent ON deployment (agent_id, seq)",
        "CREATE TABLE line (seq INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, at REAL NOT NULL,"
        " text TEXT NOT NULL)",
        "CREATE INDEX line_by_owner ON line (owner, seq)",
        "CREATE TABLE token (hash BLOB PRIMARY KEY, expires_at REAL NOT NULL, grants TEXT NOT NULL, agent_id TEXT,"
        " session TEXT, used INTEGER NOT NULL) WITHOUT ROWID",
    ),
)
"""Per schema version the statements that lead to it. Append only: files in use have run them."""


_PAGE: Final = "SELECT * FROM call WHERE agent_id = ? AND seq < ? AND seq > ? ORDER BY seq "
_NEWEST_CALLS: Final = _PAGE + "DESC LIMIT ?"
_OLDEST_CALLS: Final = _PAGE + "ASC LIMIT ?"


class StoreUnusable(Exception):
    """The file cannot be used; the message names it and says why."""


class StoreFull(Exception):
    """There are too many agents or tokens."""


class Store:
    """The file `path`, made if it is not there; None: in memory, gone with the object. Raises StoreUnusable.

    Times are seconds since 1970.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(
                ":memory:" if path is None else path, isolation_level=None, timeout=0, check_same_thread=False
            )
            try:
                self._prepare(path)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            held = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            why = "another program keeps its calls in it; give this one another --data-dir" if held else str(error)
            raise StoreUnusable(f"{path}: {why}") from error

    def _prepare(self, path: Path | None) -> None:
        run = self._db.execute
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            run(f"PRAGMA {pragma}")
        (version,) = run("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise StoreUnusable(f"{path}: has schema {version}, newer than {len(_MIGRATIONS)}")
        run("BEGIN EXCLUSIVE")  # holds the file from here on
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                run(statement)
        run(f"PRAGMA user_version={len(_MIGRATIONS)}")
        run("COMMIT")

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    # Agents

    def put_agent(self, agent: AgentRow) -> None:
        """Add or replace an agent. Raises StoreFull."""
        (count,) = self._db.execute("SELECT COUNT(*) FROM agent WHERE id != ?", (agent.id,)).fetchone()
        if count >= MAX_AGENTS:
            raise StoreFull(f"{MAX_AGENTS} agents exist already")
        self._db.execute(
            "INSERT INTO agent VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at,"
            " deleted_at = excluded.deleted_at, fields = excluded.fields",
            (agent.id, agent.created_at, agent.updated_at, agent.deleted_at, json.dumps(agent.fields)),
        )

    def agents(self) -> list[AgentRow]:
        """All agents, deleted ones included, in the order of their making."""
        rows = self._db.execute("SELECT * FROM agent ORDER BY created_at, id")
        return [AgentRow(id, made, changed, gone, json.loads(text)) for id, made, changed, gone, text in rows]

    # Calls

    def put_call(self, call: CallRow) -> None:
        """Add a call, or replace all of it but its transcript; the oldest over MAX_CALLS go."""
        self._db.execute(
            "INSERT INTO call (id, agent_id, status, start_time, end_time, end_reason, error_message, deployment_id,"
            " telephony, metadata, recorded, redacted_at, deadline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET status = excluded.status, start_time = excluded.start_time,"
            " end_time = excluded.end_time, end_reason = excluded.end_reason, error_message = excluded.error_message,"
            " deployment_id = excluded.deployment_id, telephony = excluded.telephony, metadata = excluded.metadata,"
            " recorded = excluded.recorded, redacted_at = excluded.redacted_at, deadline = excluded.deadline",
            (
                *(call.id, call.agent_id, call.status, call.start_time, call.end_time, call.end_reason),
                *(call.error_message, call.deployment_id, _json(call.telephony), _json(call.metadata)),
                *(call.recorded, call.redacted_at, call.deadline),
            ),
        )

    def call(self, call_id: str) -> CallRow | None:
        """One call."""
        row = self._db.execute("SELECT * FROM call WHERE id = ?", (call_id,)).fetchone()
        return None if row is None else _call(row)

    def calls(
        self, agent_id: str, limit: int, *, after: str | None = None, before: str | None = None
    ) -> tuple[list[CallRow], bool]:
        """At most `limit` calls, the newest first, older than `after` and newer than `before`; and whether more follow
        in that direction. Raises KeyError for a cursor that is no call of the agent."""
        older, newer = (None if cursor is None else self._seq(agent_id, cursor) for cursor in (after, before))
        backwards = before is not None and after is None  # the page right before the cursor, so nearest first
        rows = self._db.execute(
            _OLDEST_CALLS if backwards else _NEWEST_CALLS,
            (agent_id, (1 << 62) if older is None else older, newer or 0, limit + 1),
        ).fetchall()
        found = [_call(row) for row in rows[:limit]]
        return (found[::-1] if backwards else found), len(rows) > limit

    def _seq(self, agent_id: str, call_id: str) -> int:
        row = self._db.execute("SELECT seq FROM call WHERE id = ? AND agent_id = ?", (call_id, agent_id)).fetchone()
        if row is None:
            raise KeyError(call_id)
        return int(row[0])

    def put_entry(self, call_id: str, number: int, entry: Mapping[str, Any]) -> None:
        """Add or replace an entry of a call's transcript."""
        self._db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", (call_id, number, json.dumps(entry)))

    def transcript(self, call_id: str) -> list[dict[str, Any]]:
        """A call's transcript, in order."""
        rows = self._db.execute("SELECT json FROM entry WHERE call_id = ? ORDER BY number", (call_id,))
        return [json.loads(text) for (text,) in rows]

    def unfinished(self, now: float | None = None) -> list[CallRow]:
        """Calls that are not over; with `now` those alone that were to start by then."""
        rows = self._db.execute(
            "SELECT * FROM call WHERE status IN ('created', 'started') AND (? IS NULL OR deadline < ?)", (now, now)
        )
        return [_call(row) for row in rows.fetchall()]

    def redact(self, call_id: str, now: float) -> None:
        """Forget what was said and whose call it was; id, times, status and end reason stay."""
        self._db.execute("DELETE FROM entry WHERE call_id = ?", (call_id,))
        self._db.execute("DELETE FROM line WHERE owner = ?", (call_id,))
        self._db.execute(
            "UPDATE call SET telephony = NULL, metadata = NULL, error_message = NULL, recorded = 0,"
            " redacted_at = coalesce(redacted_at, ?) WHERE id = ?",
            (now, call_id),
        )
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # the log before it holds what was said

    def ended_before(self, time: float) -> list[str]:
        """Calls that ended before then and are not redacted."""
        rows = self._db.execute(
            "SELECT id FROM call WHERE end_time < ? AND redacted_at IS NULL ORDER BY seq", (time,)
        ).fetchall()
        return [id for (id,) in rows]

    def trim_calls(self) -> list[str]:
        """Remove the oldest calls over MAX_CALLS that are over; their ids."""
        rows = self._db.execute(
            "SELECT id FROM call WHERE seq <= (SELECT seq FROM call ORDER BY seq DESC LIMIT 1 OFFSET ?)"
            " AND end_time IS NOT NULL",
            (MAX_CALLS,),
        ).fetchall()
        for (id,) in rows:
            self.redact(id, 0.0)
            self._db.execute("DELETE FROM call WHERE id = ?", (id,))
        return [id for (id,) in rows]

    # Deployments and lines of log

    def put_deployment(self, deployment: DeploymentRow) -> None:
        """Add or replace a deployment; of those of one agent only the last is live, and the oldest go."""
        if deployment.is_live:
            self._db.execute("UPDATE deployment SET is_live = 0 WHERE agent_id = ?", (deployment.agent_id,))
        self._db.execute(
            "INSERT INTO deployment (id, agent_id, status, is_live, created_at, updated_at, message)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status,"
            " is_live = excluded.is_live, updated_at = excluded.updated_at, message = excluded.message",
            deployment,
        )
        old = self._db.execute(
            "SELECT id FROM deployment WHERE agent_id = ? ORDER BY seq DESC LIMIT -1 OFFSET ?",
            (deployment.agent_id, MAX_DEPLOYMENTS),
        ).fetchall()
        for (id,) in old:
            self._db.execute("DELETE FROM line WHERE owner = ?", (id,))
            self._db.execute("DELETE FROM deployment WHERE id = ?", (id,))

    def deployments(self, agent_id: str) -> list[DeploymentRow]:
        """An agent's deployments, the newest first."""
        rows = self._db.execute("SELECT * FROM deployment WHERE agent_id = ? ORDER BY seq DESC", (agent_id,))
        return [_deployment(row) for row in rows]

    def deployment(self, id: str) -> DeploymentRow | None:
        """One deployment."""
        row = self._db.execute("SELECT * FROM deployment WHERE id = ?", (id,)).fetchone()
        return None if row is None else _deployment(row)

    def add_lines(self, owner: str, lines: Iterable[Line]) -> None:
        """Add lines to the log of a call or a deployment; the oldest over MAX_LINES go."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO line (owner, at, text) VALUES (?, ?, ?)", [(owner, *line) for line in lines])
        self._db.execute(
            "DELETE FROM line WHERE owner = ? AND seq <="
            " (SELECT seq FROM line WHERE owner = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (owner, owner, MAX_LINES),
        )
        self._db.execute("COMMIT")

    def lines(self, owner: str, since: float = 0.0, until: float = float("inf")) -> list[Line]:
        """The log of a call or a deployment, the oldest first."""
        rows = self._db.execute(
            "SELECT at, text FROM line WHERE owner = ? AND at BETWEEN ? AND ? ORDER BY seq", (owner, since, until)
        )
        return [Line(*row) for row in rows]

    # Tokens

    def put_token(self, token: TokenRow, now: float) -> None:
        """Add a token; those that have expired for a day go. Raises StoreFull."""
        self._db.execute("DELETE FROM token WHERE expires_at < ?", (now - 86_400,))
        (count,) = self._db.execute("SELECT COUNT(*) FROM token WHERE expires_at > ?", (now,)).fetchone()
        if count >= MAX_TOKENS:
            raise StoreFull(f"{MAX_TOKENS} tokens are valid already")
        values = (token.hash, token.expires_at, json.dumps(sorted(token.grants)), token.agent_id, _json(token.session))
        self._db.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)", (*values, token.used))

    def token(self, hash: bytes) -> TokenRow | None:
        """A token, expired or not."""
        row = self._db.execute("SELECT * FROM token WHERE hash = ?", (hash,)).fetchone()
        if row is None:
            return None
        return TokenRow(row[0], row[1], frozenset(json.loads(row[2])), row[3], _parsed(row[4]), bool(row[5]))

    def use_token(self, hash: bytes) -> bool:
        """Mark a token as used; False when it was."""
        return self._db.execute("UPDATE token SET used = 1 WHERE hash = ? AND used = 0", (hash,)).rowcount == 1


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _call(row: tuple[Any, ...]) -> CallRow:
    telephony, metadata, recorded, redacted_at, deadline = row[9:]
    fields = dict(zip(CallRow._fields, row[1:9], strict=False))
    return CallRow(
        **fields,
        telephony=_parsed(telephony),
        metadata=_parsed(metadata),
        recorded=bool(recorded),
        redacted_at=redacted_at,
        deadline=deadline,
    )


def _deployment(row: tuple[Any, ...]) -> DeploymentRow:
    _, id, agent_id, status, is_live, created_at, updated_at, message = row
    return DeploymentRow(id, agent_id, status, bool(is_live), created_at, updated_at, message)
