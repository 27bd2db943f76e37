"""A session's timeline: every message, event, round, command and ledger entry, in order, without secrets."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cordboard.contract.call_record import TimelineEntry
from cordboard.contract.journal import MIN_SECRET

MAX_TEXT = 4096
"""Characters of one text in the timeline; a SIP message over UDP is below 1,500 bytes."""

MAX_ENTRIES = 20_000
"""Entries of one timeline: a four-hour call with an event a second."""

MIN_DIGITS = 4
"""Digits below which a secret gather's are not masked where others write them: a PIN has four."""

MIN_JOURNAL_DIGITS = 3
"""The same in a journal, where a handler's state stands: a card's code has three. Fewer hide nothing, and would mask
every counter."""

_CREDENTIALS = re.compile(r"(?im)^((?:proxy-)?authorization|proxy-authenticate|www-authenticate):.*$")
_CRYPTO = re.compile(r"(?im)^(a=crypto:\S+ \S+) .*$")


class Clock:
    """Wall time of a monotonic moment."""

    def __init__(self, started_at: datetime, now: float) -> None:
        self._started_at = started_at
        self._now = now

    def at(self, now: float) -> datetime:
        """Wall time."""
        return self._started_at + timedelta(seconds=now - self._now)

    def text(self, now: float) -> str:
        """RFC 3339, UTC, milliseconds."""
        return self.at(now).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Redactor:
    """Removes a session's secrets from whatever is written down."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._digits: re.Pattern[str] | None = None
        self._all_digits: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Another text that must never be written."""
        if len(secret) >= MIN_SECRET and secret not in self._secrets:
            self._secrets.append(secret)
            self._secrets.sort(key=len, reverse=True)  # one may be a part of another

    def add_digits(self, digits: str) -> None:
        """Digits that must not be written where they stand by themselves, not as a part of a longer number."""
        if len(digits) >= MIN_JOURNAL_DIGITS:
            self._all_digits = _alternative(self._all_digits, digits)
        if len(digits) >= MIN_DIGITS:
            self._digits = _alternative(self._digits, digits)

    @property
    def has_digits(self) -> bool:
        """Digits were gathered in secret."""
        return self._all_digits is not None

    def whole(self, value: Any) -> Any:
        """A JSON value without secrets, nothing cut off: for the journal."""
        if isinstance(value, str):
            return self._mask(value, self._all_digits)
        if isinstance(value, Mapping):
            return {self._mask(str(key), self._all_digits): self.whole(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.whole(item) for item in value]
        if type(value) is int and self._all_digits is not None and self._all_digits.fullmatch(str(value)):
            return "***"
        return value

    def text(self, text: str) -> str:
        """A text without secrets, credentials and media keys, cut to MAX_TEXT."""
        text = self._mask(text, self._digits)
        return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"

    def _mask(self, text: str, digits: re.Pattern[str] | None) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        if digits is not None:
            text = digits.sub("***", text)
        if "uthoriz" in text or "uthenticate" in text:
            text = _CREDENTIALS.sub(r"\1: ***", text)
        if "a=crypto" in text:
            text = _CRYPTO.sub(r"\1 ***", text)
        return text

    def value(self, value: Any) -> Any:
        """The same for every text in a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if type(value) is int and self._digits is not None and self._digits.fullmatch(str(value)):
            return "***"
        return value


def _alternative(known: re.Pattern[str] | None, digits: str) -> re.Pattern[str]:
    before = f"{known.pattern}|" if known is not None else ""
    return re.compile(rf"{before}(?<!\d){re.escape(digits)}(?!\d)")


class Timeline:
    """Forms entries with the session's own clock and its redactor."""

    def __init__(self, began: float, redactor: Redactor) -> None:
        self._began = began
        self._redactor = redactor
        self.count = 0

    def entry(self, kind: str, what: str, data: Mapping[str, Any], now: float) -> TimelineEntry | None:
        """The entry to write; None when there are too many, the last one saying so."""
        self.count += 1
        if self.count > MAX_ENTRIES:
            return None
        if self.count == MAX_ENTRIES:
            kind, what, data = "log", "timeline full; later entries are dropped", {}
        at = round(now - self._began, 4)
        return TimelineEntry(at, kind, self._redactor.text(what), self._redactor.value(data))
