"""Who may do what: API keys, access tokens and session tokens, at REST and at the sockets' handshakes.

Follows reference cartesia-protocols §1.1, §2.1 and §4.1. Without a key of its own the stand-in takes any key, because
it has no accounts; a token is checked always when it looks like one of ours. Only hashes of tokens are kept. A token is
judged at the handshake alone: a socket outlives it (§7, row 9).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from cordboard.line.platform.store import Store
from cordboard.line.platform.values import TokenRow
from cordboard.line.platform.worker import Worker

PREFIX: Final = "cbat_"
"""Of tokens that were made here."""

MAX_LIFE: Final = 3600
"""Longest life of a token in seconds (§4.1)."""

MAX_CREDENTIAL: Final = 8192
"""Characters of a key or token; longer ones are refused unread."""


class Denied(Exception):
    """Neither key nor token opens it; `status` is 401 or 403, `code` a word for programs."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Credentials(NamedTuple):
    """What a client shows, "" where it shows nothing."""

    bearer: str = ""
    """`Authorization: Bearer`."""
    header_key: str = ""
    """`X-API-Key`."""
    access_token: str = ""
    """`access_token` of the query."""
    query_key: str = ""
    """`api_key` of the query."""

    @property
    def first(self) -> str:
        """The one that counts."""
        return self.bearer or self.header_key or self.access_token or self.query_key


def credentials(header: Callable[[str], str], query: Mapping[str, list[str]]) -> Credentials:
    """Read a request's headers, by a function that has "" for none, and its query."""
    scheme, _, token = header("Authorization").partition(" ")
    return Credentials(
        token.strip() if scheme.lower() == "bearer" else "",
        header("X-API-Key"),
        query.get("access_token", [""])[0],
        query.get("api_key", [""])[0],
    )


class Gate:
    """Makes and judges tokens."""

    def __init__(self, worker: Worker, store: Store, key: str | None = None, clock: Callable[[], float] = time.time):
        """With a `key`, it alone is taken; `clock` is the wall clock, seconds since 1970."""
        self._worker = worker
        self._store = store
        self._key = None if key is None else key.encode()
        self._clock = clock

    async def mint(
        self,
        grants: Iterable[str],
        expires_in: float,
        *,
        agent_id: str | None = None,
        session: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a new token; raises StoreFull."""
        token = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        row = TokenRow(
            _hash(token), now + expires_in, frozenset(grants), agent_id, None if session is None else dict(session)
        )
        await self._worker.run(self._store.put_token, row, now)
        return token

    async def need_key(self, shown: Credentials) -> None:
        """Let an API key pass; raises Denied."""
        if await self._judge(shown.first) is not None:
            raise Denied(403, "api_key_required", "an access token cannot do this; it needs an API key")

    async def need_grant(self, shown: str, grant: str, agent_id: str | None = None) -> TokenRow | None:
        """Let a key pass (None), or a token with the grant that opens this agent; raises Denied."""
        token = await self._judge(shown)
        if token is None:
            return None
        if grant not in token.grants:
            raise Denied(403, "grant_missing", f"the access token has no grant {grant!r}")
        if token.agent_id is not None and token.agent_id != agent_id:
            raise Denied(403, "wrong_agent", "the access token is for another agent")
        if token.session is not None and not await self._worker.run(self._store.use_token, token.hash):
            raise Denied(401, "token_used", "the session's token has been used for its one call")
        return token

    async def _judge(self, shown: str) -> TokenRow | None:
        """Return the token that was shown, or None for a good key."""
        if not shown or len(shown) > MAX_CREDENTIAL:
            raise Denied(401, "unauthorized", "no credentials" if not shown else "the credentials are too long")
        if not shown.startswith(PREFIX):
            if self._key is not None and not hmac.compare_digest(self._key, shown.encode("utf-8", "replace")):
                raise Denied(401, "unauthorized", "the API key is wrong")
            return None
        token = await self._worker.run(self._store.token, _hash(shown))
        if token is None:
            raise Denied(401, "token_unknown", "the access token is wrong, or older than this program's memory")
        if token.expires_at <= self._clock():
            raise Denied(401, "token_expired", "the access token has expired")
        return token


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
