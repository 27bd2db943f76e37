"""Stores by their address: `sqlite:/path/to/file`, `dynamodb:TABLE`, `ssm:/path`; the last two may end in `@region`.

Configuration and environment name stores in this way. A backend is imported when its address is opened, so that a cold
start pays for the one it uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cordboard.storage.interface import Clock, IsSecretName, StorageUnavailable

if TYPE_CHECKING:
    from cordboard.storage.dynamodb import DynamoStorage
    from cordboard.storage.dynamodb_claims import DynamoClaims
    from cordboard.storage.parameter_store import ParameterStoreSecrets
    from cordboard.storage.secrets import SecretStore
    from cordboard.storage.sqlite import SqliteStorage
    from cordboard.storage.sqlite_claims import SqliteClaims

_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")  # names of tables (DynamoDB developer guide, Naming rules)
_REGION: Final = re.compile(r"[a-z0-9-]{2,40}")


@contextmanager
def _with_boto3(address: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise StorageUnavailable(f"{address} needs boto3; install it: pip install 'cordboard[aws]'") from None


def open_storage(address: str, clock: Clock, *, is_secret: IsSecretName) -> SqliteStorage | DynamoStorage:
    """ApplicationStorage. Raises StorageUnavailable."""
    kind, place, region = _parts(address, "sqlite", "dynamodb")
    if kind == "sqlite":
        from cordboard.storage.sqlite import SqliteStorage

        return SqliteStorage(Path(place), clock, is_secret=is_secret)
    from cordboard.storage.dynamodb import DynamoStorage

    with _with_boto3(address):
        return DynamoStorage(place, clock, is_secret=is_secret, region=region)


def open_secrets(address: str, clock: Clock) -> SecretStore | ParameterStoreSecrets:
    """Secrets. Raises StorageUnavailable, FileExposed, KeyInvalid."""
    kind, place, region = _parts(address, "sqlite", "ssm")
    if kind == "sqlite":
        from cordboard.storage.secrets import SecretStore

        return SecretStore(Path(place))
    from cordboard.storage.parameter_store import ParameterStoreSecrets

    with _with_boto3(address):
        return ParameterStoreSecrets(place, clock, region=region)


def open_claims(address: str, clock: Clock) -> SqliteClaims | DynamoClaims:
    """Claims. Raises StorageUnavailable."""
    kind, place, region = _parts(address, "sqlite", "dynamodb")
    if kind == "sqlite":
        from cordboard.storage.sqlite_claims import SqliteClaims

        return SqliteClaims(Path(place), clock)
    from cordboard.storage.dynamodb_claims import DynamoClaims

    with _with_boto3(address):
        return DynamoClaims(place, clock, region=region)


_WRITE: Final = {"sqlite": "sqlite:/path/to/file", "dynamodb": "dynamodb:TABLE", "ssm": "ssm:/cordboard/prod/secrets"}


def _parts(address: str, *kinds: str) -> tuple[str, str, str | None]:
    kind, _, place = address.partition(":")
    region = None
    if kind != "sqlite":
        place, at, named = place.partition("@")
        region = named if at else None
    good = kind in kinds and bool(place) and (region is None or _REGION.fullmatch(region) is not None)
    if not good or (kind == "dynamodb" and not _TABLE.fullmatch(place)):
        raise StorageUnavailable(f"{address!r} names no store; write {' or '.join(_WRITE[each] for each in kinds)}")
    return kind, place, region
