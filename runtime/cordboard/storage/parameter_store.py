"""Secrets as SecureStrings in AWS Systems Manager Parameter Store, below one path per stage.

Values are cached with a maximum age; every read decrypts, and a put forgets what was cached (the two traps of
Powertools' cache, reference serverless §4). That cache is not used: it has no versions, makes one error of all kinds,
and ages by the local wall clock, which jumps. A secret's version is the millisecond of its last change, since Parameter
Store's own count begins anew after a removal. Leaves out parameter policies (expiry) and customer-managed keys.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from cordboard.storage.aws import client_config, error_code, known_region, speaking_of
from cordboard.storage.interface import (
    Clock,
    KeyInvalid,
    SecretNotFound,
    SecretValue,
    StorageUnavailable,
    ValueInvalid,
    ValueTooLong,
    check_secret,
    is_secret_name,
)

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAX_AGE: Final = 60.0  # seconds a value or the list of names may be old: a rotated key is in use a minute later
MAX_BYTES: Final = 8_192  # of an advanced parameter; Intelligent-Tiering takes the free tier up to 4,096

_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.-]+){1,13}")  # 15 levels less the leading one and the name


class ParameterStoreSecrets:
    """Secrets at `{path}/{NAME}`. Close it, or use it as a context. Its repr shows the path alone."""

    def __init__(self, path: str, clock: Clock, *, max_age: float = MAX_AGE, region: str | None = None) -> None:
        """`region` None: the environment's. Raises KeyInvalid for a path that Parameter Store cannot have, and
        StorageUnavailable; asks AWS nothing yet."""
        import boto3

        if not _PATH.fullmatch(path) or path.split("/")[1].lower() in ("aws", "ssm") or len(path) > 900:
            raise KeyInvalid(f"{path!r} is no path of parameters: write /cordboard/prod")
        self._path = path
        self._clock = clock
        self._max_age = max_age
        self._lock = threading.Lock()
        self._values: dict[str, tuple[float, SecretValue]] = {}
        self._names: tuple[float, frozenset[str]] | None = None
        with speaking_of(f"parameters {path}"):
            self._client: SSMClient | None = boto3.client(
                "ssm", region_name=known_region(region), config=client_config()
            )

    def put(self, name: str, value: str) -> int:
        """See Secrets.put. Also raises StorageUnavailable, as all methods."""
        check_secret(name, value)
        if len(value.encode()) > MAX_BYTES:
            raise ValueTooLong(f"the secret has {len(value.encode())} bytes; Parameter Store takes {MAX_BYTES}")
        if "{{" in value:
            raise ValueInvalid("the secret holds {{, which Parameter Store keeps for references")
        with speaking_of(f"parameters {self._path}"):
            self._live().put_parameter(
                Name=self._name(name), Value=value, Type="SecureString", Overwrite=True, Tier="Intelligent-Tiering"
            )
        self._forget(name)
        return self.resolve(name).version

    def resolve(self, name: str) -> SecretValue:
        """See Secrets.resolve."""
        from botocore.exceptions import ClientError

        if not is_secret_name(name):
            raise SecretNotFound(name)
        now = self._clock()
        with self._lock:
            kept = self._values.get(name)
        if kept is not None and now - kept[0] < self._max_age:
            return kept[1]
        with speaking_of(f"parameters {self._path}"):
            try:
                found: Any = self._live().get_parameter(Name=self._name(name), WithDecryption=True)["Parameter"]
            except ClientError as error:
                if error_code(error) == "ParameterNotFound":
                    self._forget(name)
                    raise SecretNotFound(name) from None
                raise
        if found["Type"] != "SecureString":
            raise StorageUnavailable(f"parameter {self._name(name)} is a {found['Type']}, not a SecureString")
        value = _value(found)
        with self._lock:
            self._values[name] = (now, value)
        return value

    def read_all(self) -> dict[str, SecretValue]:
        """Every secret by its name, ten a request; asks AWS each time."""
        return {name: _value(found) for name, found in self._list(decrypt=True)}

    def names(self) -> list[str]:
        """See Secrets.names; asks AWS each time."""
        found = frozenset(name for name, _ in self._list(decrypt=False))
        with self._lock:
            self._names = (self._clock(), found)
        return sorted(found)

    def remove(self, name: str) -> bool:
        """See Secrets.remove."""
        from botocore.exceptions import ClientError

        if not is_secret_name(name):
            return False
        self._forget(name)
        with speaking_of(f"parameters {self._path}"):
            try:
                self._live().delete_parameter(Name=self._name(name))
            except ClientError as error:
                if error_code(error) == "ParameterNotFound":
                    return False
                raise
        return True

    def is_secret(self, name: str) -> bool:
        """See Secrets.is_secret; from a list that may be `max_age` old, since every storage read asks it."""
        if not is_secret_name(name):
            return False
        with self._lock:
            known = self._names
        if known is None or self._clock() - known[0] >= self._max_age:
            return name in self.names()
        return name in known[1]

    def close(self) -> None:
        """Forget all values and close the connections; later calls raise StorageUnavailable."""
        with self._lock:
            self._values.clear()
            self._names = None
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def __repr__(self) -> str:
        return f"ParameterStoreSecrets({self._path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _list(self, *, decrypt: bool) -> Iterator[tuple[str, Any]]:
        asked: dict[str, Any] = {"Path": self._path, "Recursive": False, "WithDecryption": decrypt}
        while True:
            with speaking_of(f"parameters {self._path}"):
                page: Any = self._live().get_parameters_by_path(**asked)
            for each in page["Parameters"]:
                name = str(each["Name"]).rpartition("/")[2]
                if each["Type"] == "SecureString" and is_secret_name(name):
                    yield name, each
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]

    def _forget(self, name: str) -> None:
        with self._lock:
            self._values.pop(name, None)
            self._names = None

    def _name(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _live(self) -> SSMClient:
        if self._client is None:
            raise StorageUnavailable(f"parameters {self._path}: the store is closed")
        return self._client


def _value(found: Any) -> SecretValue:
    return SecretValue(str(found["Value"]), round(found["LastModifiedDate"].timestamp() * 1000))
