"""What every ApplicationStorage backend promises: item, methods, limits and errors.

Follows VoxEngine's key-value storage and secret store (limits beside each constant). Leaves out what VoxEngine leaves
out: transactions, watches and compare-and-set; two calls that count in one key race.
The methods are synchronous; the caller decides about threads. Every backend may be called from any thread.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

MAX_KEY_CHARS: Final = 200  # characters; VoxEngine's limit of a key
MAX_VALUE_CHARS: Final = 2_000  # characters; VoxEngine's limit of a value
MAX_TTL: Final = 7_776_000  # seconds, 90 days; VoxEngine's longest life of an item
MAX_KEYS: Final = 1_000  # keys in one answer of keys(); VoxEngine's default count, here also the most
MAX_SECRET_NAME_CHARS: Final = 64  # characters; VoxEngine's limit of a secret's name
MAX_SECRET_CHARS: Final = 8_192  # characters; VoxEngine's limit of a secret's value

_KEY_CHARS: Final = re.compile(r"[a-zA-Z0-9а-яА-ЯёЁ_\-:;.#+]")  # VoxEngine's alphabet of keys
_SECRET_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # VoxEngine's form of a secret's name

Clock = Callable[[], float]
"""Wall clock: seconds since 1970-01-01 UTC."""

IsSecretName = Callable[[str], bool]
"""Tells whether a name is stored as a secret."""


class StorageError(Exception):
    """Base of everything that storage raises. Messages name keys, never values."""


class StorageUnavailable(StorageError):
    """The backend did not answer: locked for too long, closed, not there, no database, disk full."""


class StoreTooNew(StorageError):
    """A later version of Cordboard wrote the file; migrations go forward only."""


class FileExposed(StorageError):
    """The file of secrets may be read or written by other users of the machine."""


class KeyInvalid(StorageError):
    """The key is empty, no text, or holds a character outside VoxEngine's alphabet of keys."""


class KeyTooLong(StorageError):
    """The key, or the secret's name, is longer than its limit."""


class ValueInvalid(StorageError):
    """The value is no text, or text that UTF-8 cannot carry (a lone surrogate)."""


class ValueTooLong(StorageError):
    """The value is longer than its limit."""


class TtlOutOfRange(StorageError):
    """The time to live is no whole number of seconds from 0 to MAX_TTL."""


class CountOutOfRange(StorageError):
    """The count of keys() is no whole number from 1 to MAX_KEYS."""


class IsSecret(StorageError):
    """The name is stored as a secret, which ApplicationStorage neither reads nor shadows."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is stored as a secret; read it with session.secret({name!r})")
        self.name = name


class SecretNotFound(StorageError):
    """No secret has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no secret is named {name!r}; store it with: cordboard keys put {name} --secret")
        self.name = name


@dataclass(frozen=True, slots=True)
class StorageItem:
    """One key with its value, as VoxEngine's StorageKey."""

    key: str
    """At most MAX_KEY_CHARS characters."""
    value: str
    """At most MAX_VALUE_CHARS characters."""
    expire_at: datetime | None
    """The first moment (UTC) at which the item is gone; None: it stays until it is removed."""


class ApplicationStorage(Protocol):
    """Keys shared by all calls. `tests/storage/conformance.py` holds every backend to these words."""

    def get(self, key: str) -> StorageItem | None:
        """The live item, or None. Raises IsSecret, KeyInvalid, KeyTooLong, StorageUnavailable."""

    def put(self, key: str, value: str, ttl: int | None) -> StorageItem:
        """Store `value` for `ttl` seconds (0: gone at once; None: until removed), replacing value and expiry.

        Scenarios always give a ttl, as in VoxEngine; None is for operators.
        Raises IsSecret, KeyInvalid, KeyTooLong, ValueInvalid, ValueTooLong, TtlOutOfRange, StorageUnavailable.
        """

    def remove(self, key: str) -> bool:
        """Forget the key; True if a live item was there. A secret of the same name is not touched.

        Raises KeyInvalid, KeyTooLong, StorageUnavailable.
        """

    def keys(self, pattern: str | None = None, count: int = MAX_KEYS) -> list[str]:
        """The first `count` live keys in code point order, of one namespace or (None) of all.

        `pattern` is a namespace as in VoxEngine: the text before the first colon of a key; a key without a colon is
        its own namespace. No wildcards. Raises KeyInvalid, KeyTooLong, CountOutOfRange, StorageUnavailable.
        """


class SecretValue(NamedTuple):
    """A secret, resolved. Prints `***`; journals carry its name and version only."""

    value: str
    version: int

    def __repr__(self) -> str:
        return f"SecretValue('***', version={self.version})"


class SecretReader(Protocol):
    """What needs no more of secrets than their values."""

    def resolve(self, name: str) -> SecretValue:
        """The newest value and its version. Raises SecretNotFound."""


class Secrets(SecretReader, Protocol):
    """Named secrets with versions that are never used twice, not even after a removal."""

    def put(self, name: str, value: str) -> int:
        """Store and return the new version. Raises KeyInvalid, KeyTooLong, ValueInvalid, ValueTooLong."""

    def names(self) -> list[str]:
        """All names, sorted."""

    def remove(self, name: str) -> bool:
        """Forget the value; True if it was there."""

    def is_secret(self, name: str) -> bool:
        """True if `name` has a value here; any text may be asked for."""


def namespace_of(key: str) -> str:
    """The text before the first colon; the whole key where there is none."""
    return key.partition(":")[0]


def expiry_date(expires_at: float | None) -> datetime | None:
    """Seconds since 1970 as a date in UTC."""
    return None if expires_at is None else datetime.fromtimestamp(expires_at, UTC)


def check_key(key: str) -> None:
    """Raises KeyInvalid or KeyTooLong."""
    _check_text(key, KeyInvalid, "the key")
    if not key:
        raise KeyInvalid("the key is empty")
    if len(key) > MAX_KEY_CHARS:
        raise KeyTooLong(f"the key has {len(key)} characters; the limit is {MAX_KEY_CHARS}")
    bad = [char for char in key if not _KEY_CHARS.fullmatch(char)]
    if bad:
        raise KeyInvalid(
            f"the key {key!r} holds {bad[0]!r}; allowed are Latin and Russian letters, digits and _ - : ; . # +"
        )


def check_pattern(pattern: str | None) -> None:
    """Raises KeyInvalid or KeyTooLong."""
    if pattern is None:
        return
    check_key(pattern)
    if ":" in pattern:
        raise KeyInvalid(
            f"the pattern {pattern!r} is a namespace, the text before the first colon; leave the colon out"
        )


def check_value(value: str) -> None:
    """Raises ValueInvalid or ValueTooLong."""
    _check_text(value, ValueInvalid, "the value")
    if len(value) > MAX_VALUE_CHARS:
        raise ValueTooLong(f"the value has {len(value)} characters; the limit is {MAX_VALUE_CHARS}")


def check_ttl(ttl: int | None) -> None:
    """Raises TtlOutOfRange."""
    if ttl is not None and (type(ttl) is not int or not 0 <= ttl <= MAX_TTL):
        raise TtlOutOfRange(f"ttl is {ttl!r}; give whole seconds from 0 to {MAX_TTL} (90 days)")


def check_count(count: int) -> None:
    """Raises CountOutOfRange."""
    if type(count) is not int or not 1 <= count <= MAX_KEYS:
        raise CountOutOfRange(f"count is {count!r}; give a whole number from 1 to {MAX_KEYS}")


def is_secret_name(name: str) -> bool:
    """True if a secret could have this name."""
    return len(name) <= MAX_SECRET_NAME_CHARS and _SECRET_NAME.fullmatch(name) is not None


def check_secret(name: str, value: str) -> None:
    """Raises KeyInvalid, KeyTooLong, ValueInvalid or ValueTooLong."""
    _check_text(name, KeyInvalid, "the name of a secret")
    if len(name) > MAX_SECRET_NAME_CHARS:
        raise KeyTooLong(f"the name of a secret has {len(name)} characters; the limit is {MAX_SECRET_NAME_CHARS}")
    if not is_secret_name(name):
        raise KeyInvalid(f"{name!r} cannot name a secret: a Latin letter, then Latin letters, digits and _")
    _check_text(value, ValueInvalid, "the secret")
    if not value:
        raise ValueInvalid("the secret is empty")
    if len(value) > MAX_SECRET_CHARS:
        raise ValueTooLong(f"the secret has {len(value)} characters; the limit is {MAX_SECRET_CHARS}")


def _check_text(text: object, error: type[StorageError], what: str) -> None:
    if not isinstance(text, str):
        raise error(f"{what} is a {type(text).__name__}; it must be a str")
    if any("\ud800" <= char <= "\udfff" for char in text):  # UTF-8 has no form for them
        raise error(f"{what} holds a lone surrogate, which UTF-8 cannot carry")
