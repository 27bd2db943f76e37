"""Which ApplicationStorage and secret store the turns of this process read: bound by the host, else by environment."""

import atexit
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from cordboard.contract.records import JournalEntry
from cordboard.storage.addresses import open_claims, open_secrets, open_storage
from cordboard.storage.claims import Claims
from cordboard.storage.interface import ApplicationStorage, KeyInvalid, Secrets, StorageUnavailable

STORAGE_VARIABLE = "CORDBOARD_STORAGE"
SECRETS_VARIABLE = "CORDBOARD_SECRETS"
CLAIMS_VARIABLE = "CORDBOARD_CLAIMS"
"""Addresses of stores (`storage.addresses`), by which a worker or a function on Lambda finds them."""


class Recorded(Protocol):
    """What reads brought when an event was handled before: a replay takes them from there, and performs none."""

    def take(self, type_: str, hash_: str, args: Mapping[str, Any]) -> JournalEntry | None:
        """The next recorded read of this type and arguments; None: there is none."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What a turn may read and write outside of the call."""

    storage: ApplicationStorage | None = None
    """Keys of the application."""
    secrets: Secrets | None = None
    """Secrets, for `Secret.reveal`, and for a webhook's on Lambda."""
    claims: Claims | None = None
    """What is done once: webhooks that come to a function directly."""
    recorded: Recorded | None = None
    """Answers every read of a turn, `session.once` and `Secret.reveal` in place of all others."""


_bound: list[Stores] = []


def bind_storage(storage: ApplicationStorage | None, secrets: Secrets | None = None) -> None:
    """Bind the stores of this process; None and None: forget them, so that the environment counts again."""
    _bound[:] = [] if storage is None and secrets is None else [Stores(storage, secrets)]


def bound_stores() -> Stores:
    """What is bound, opening what the environment names at first use. Raises StorageUnavailable."""
    if not _bound:
        _bound.append(_from_environment())
    return _bound[0]


def _from_environment() -> Stores:
    secrets = claims = storage = None
    if address := os.environ.get(SECRETS_VARIABLE):
        with _named(SECRETS_VARIABLE):
            secrets = open_secrets(address, time.time)
        atexit.register(secrets.close)
    if address := os.environ.get(CLAIMS_VARIABLE):
        with _named(CLAIMS_VARIABLE):
            claims = open_claims(address, time.time)
        atexit.register(claims.close)
    if address := os.environ.get(STORAGE_VARIABLE):
        is_secret = secrets.is_secret if secrets is not None else (lambda name: False)
        with _named(STORAGE_VARIABLE):
            storage = open_storage(address, time.time, is_secret=is_secret)
        atexit.register(storage.close)
    return Stores(storage, secrets, claims)


@contextmanager
def _named(variable: str) -> Iterator[None]:
    try:
        yield
    except (StorageUnavailable, KeyInvalid) as error:
        raise StorageUnavailable(f"{variable}: {error}") from None
