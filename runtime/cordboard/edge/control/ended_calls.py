"""What the admin API tells of calls that have ended: pages of the index, and the record of one (HANDLERS §2.3)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from cordboard.edge.call_index import CallIndex, IndexedCall, moment
from cordboard.edge.data_dir import DataDir

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1_000  # calls of a page, as VoxEngine's GetCallHistory has it
MAX_TEXT: Final = 128  # characters of a filter
_NAMES: Final = ("state", "number", "cause", "since", "limit", "cursor")


class BadFilter(ValueError):
    """A query that cannot be read; the message names the parameter."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is asked for."""

    state: Literal["live", "ended"] | None
    """None: both."""
    number: str | None
    """A part of either number."""
    cause: str | None
    """Of those that have ended."""
    since: float | None
    """Unix time of the begin, at the earliest."""
    limit: int
    """Ended calls of a page."""
    cursor: tuple[float, str] | None
    """(started, id) of the last call of the page before."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Filter":
        """From a query. Raises BadFilter."""
        for name, value in query.items():
            if name not in _NAMES:
                raise BadFilter(f"{name[:64]}: there is no such parameter; there are {', '.join(_NAMES)}")
            if len(value) > MAX_TEXT or not value.isprintable():
                raise BadFilter(f"{name}: not {MAX_TEXT} printable characters at most")
        state, limit = query.get("state"), query.get("limit", str(DEFAULT_LIMIT))
        if state not in (None, "live", "ended"):
            raise BadFilter("state: live or ended")
        if not (limit.isascii() and limit.isdecimal()) or not 1 <= int(limit) <= MAX_LIMIT:
            raise BadFilter(f"limit: a number from 1 to {MAX_LIMIT}")
        since = moment(query.get("since"))
        if "since" in query and since is None:
            raise BadFilter("since: no RFC 3339 time, as 2026-01-31T12:00:00Z")
        return cls(state, query.get("number"), query.get("cause"), since, int(limit), _cursor(query.get("cursor")))  # type: ignore[arg-type]

    def lets_live_pass(self, session: Mapping[str, Any]) -> bool:
        """Whether a live session is wanted."""
        if self.number is not None and not any(self.number in str(session[name]) for name in ("from", "to")):
            return False
        return self.since is None or (moment(session["started_at"]) or 0.0) >= self.since


class EndedCalls:
    """Reads the data folder; every method may take a while and runs in a thread of its own."""

    def __init__(self, data: DataDir) -> None:
        self._data = data

    def page(self, wanted: Filter) -> tuple[list[dict[str, Any]], str | None]:
        """Calls, newest first, and the cursor of the next page, if there is one. Raises StorageUnavailable."""
        with CallIndex(self._data) as index:
            index.sync()
            found = index.newest(
                number=wanted.number,
                cause=wanted.cause,
                since=wanted.since,
                ended_only=True,
                after=wanted.cursor,
                limit=wanted.limit + 1,
            )
        page = found[: wanted.limit]
        last = page[-1] if len(found) > wanted.limit else None
        return [_summary(call) for call in page], None if last is None else f"{last.started!r},{last.id}"

    def one(self, id_: str) -> dict[str, Any] | None:
        """A call's record; without one, what is known of it since it began. None: there is no such call."""
        folder = self._data.calls / id_
        for name, state in (("record.json", "ended"), ("facts.json", "ending")):
            try:
                found = json.loads((folder / name).read_bytes())
            except (OSError, ValueError):
                continue
            if isinstance(found, dict):
                kept = {key: value for key, value in found.items() if key not in ("session", "life", "monotonic")}
                return {"id": id_, "state": state, **kept}
        return None


def _cursor(text: str | None) -> tuple[float, str] | None:
    if text is None:
        return None
    started, _, id_ = text.partition(",")
    try:
        return float(started), id_
    except ValueError:
        raise BadFilter("cursor: not one that `next` gave") from None


def _summary(call: IndexedCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "state": "ended",
        "scenario": call.scenario,
        "started_at": _text(call.started),
        "ended_at": _text(call.ended or 0.0),
        "from": call.from_number,
        "to": call.to_number,
        "cause": call.cause,
        "fault": call.fault,
    }


def _text(moment_: float) -> str:
    return datetime.fromtimestamp(moment_, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
