"""Which ApplicationStorage and secret store the turns of this process read: bound by the host, else by environment."""

import atexit
import os
import time
from dataclasses import dataclass
from pathlib import Path

from cordboard.storage.claims import Claims
from cordboard.storage.interface import ApplicationStorage, Secrets, StorageUnavailable

STORAGE_VARIABLE = "CORDBOARD_STORAGE"
SECRETS_VARIABLE = "CORDBOARD_SECRETS"
CLAIMS_VARIABLE = "CORDBOARD_CLAIMS"
"""`sqlite:/path` each; what a worker process finds its stores by."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What a turn may read and write outside of the call."""

    storage: ApplicationStorage | None = None
    """Keys of the application."""
    secrets: Secrets | None = None
    """Secrets, for `Secret.reveal`, and for a webhook's on Lambda."""
    claims: Claims | None = None
    """What is done once: webhooks that come to a function directly."""


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
    from cordboard.storage.secrets import SecretStore  # sqlite3 costs a cold start; only who has a store pays
    from cordboard.storage.sqlite import SqliteStorage
    from cordboard.storage.sqlite_claims import SqliteClaims

    secrets_path, storage_path, claims_path = map(_path, (SECRETS_VARIABLE, STORAGE_VARIABLE, CLAIMS_VARIABLE))
    secrets = None if secrets_path is None else SecretStore(secrets_path)
    if secrets is not None:
        atexit.register(secrets.close)
    claims = None if claims_path is None else SqliteClaims(claims_path, time.time)
    if claims is not None:
        atexit.register(claims.close)
    if storage_path is None:
        return Stores(None, secrets, claims)
    is_secret = secrets.is_secret if secrets is not None else (lambda name: False)
    storage = SqliteStorage(storage_path, time.time, is_secret=is_secret)
    atexit.register(storage.close)
    return Stores(storage, secrets, claims)


def _path(variable: str) -> Path | None:
    text = os.environ.get(variable, "")
    if not text:
        return None
    kind, _, path = text.partition(":")
    if kind != "sqlite" or not path:
        raise StorageUnavailable(f"{variable} is {text!r}; write sqlite:/path/to/file")
    return Path(path)
