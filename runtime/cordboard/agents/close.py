"""Judges how an agent's socket ended.

The close code alone says little: the service ends calls, idle sockets and cancelled calls all with 1000
(reference cartesia-protocols §1.6). So the code, the reason's text and what went before decide, by one table.
"""

from __future__ import annotations

from dataclasses import dataclass

from cordboard.agents.events import CloseBy, Closed

NORMAL = 1000
PROTOCOL_ERROR = 1002
NO_STATUS = 1005
ABNORMAL = 1006
TLS_FAILURE = 1015

NETWORK_CODES = frozenset({NO_STATUS, ABNORMAL, TLS_FAILURE})
"""Codes of RFC 6455 §7.4.1 that no peer may send: the transport ended without a closing handshake, or wordlessly."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule: matches when every given field matches."""

    by: CloseBy
    codes: frozenset[int] | None = None
    reason: str = ""
    failed: bool | None = None
    refused: bool | None = None


TABLE: tuple[Row, ...] = (
    Row("error", refused=True),
    Row("network", codes=NETWORK_CODES),
    Row("agent", codes=frozenset({NORMAL}), reason="call ended by agent"),
    Row("idle", codes=frozenset({NORMAL}), reason="connection idle timeout"),
    Row("error", failed=True),
    Row("agent", codes=frozenset({NORMAL})),
    Row("error"),
)
"""First match wins. `reason` is a prefix, case ignored; the flags are `judge`'s."""


def judge(code: int, reason: str, *, asked: bool, failed: bool, refused: bool) -> Closed:
    """Return the `Closed` event for a socket that ended.

    `asked`: we had called `close` before the end. `failed`: the service had not acked, or its last word was an error.
    `refused`: the upgrade was answered with something else than an open socket.
    """
    if asked:
        return Closed(code, reason, "us", expected=True)
    text = reason.casefold()
    for row in TABLE:
        if row.codes is not None and code not in row.codes:
            continue
        if row.failed is not None and row.failed is not failed:
            continue
        if row.refused is not None and row.refused is not refused:
            continue
        if text.startswith(row.reason):
            return Closed(code, reason, row.by, expected=False)
    raise AssertionError("the table's last row matches everything")
