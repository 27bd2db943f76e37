"""ApplicationStorage in one DynamoDB table: what outlives a call, shared by all edges and functions of a stage.

The table has the partition key `namespace` and the sort key `key`; `expires_at` is its TTL attribute. DynamoDB deletes
an expired item days late (reference serverless §5), so a read filters by the exact moment, which stands in `expires`.
Reads are consistent: what one event put, the next event sees. `keys()` of all namespaces scans the table.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from cordboard.storage.aws import client_config, known_region, speaking_of
from cordboard.storage.interface import (
    MAX_KEYS,
    Clock,
    IsSecret,
    IsSecretName,
    StorageItem,
    StorageUnavailable,
    check_count,
    check_key,
    check_pattern,
    check_ttl,
    check_value,
    expiry_date,
    namespace_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_PAGES: Final = 100  # of 1 MB each: a scan beyond it would take minutes; narrow it by a namespace

_PREFIX: Final = "n#"  # a partition key may not be empty, a namespace may (`:x`)


class DynamoStorage:
    """ApplicationStorage over a table. Close it, or use it as a context."""

    def __init__(
        self,
        table: str,
        clock: Clock,
        *,
        is_secret: IsSecretName = lambda name: False,
        region: str | None = None,
    ) -> None:
        """`region` None: the environment's. Raises RegionUnknown; asks AWS nothing yet."""
        import boto3

        self._table = table
        self._clock = clock
        self._is_secret = is_secret
        with speaking_of(f"table {table}"):
            self._client: DynamoDBClient | None = boto3.client(
                "dynamodb", region_name=known_region(region), config=client_config()
            )

    def get(self, key: str) -> StorageItem | None:
        """See ApplicationStorage.get."""
        check_key(key)
        self._refuse_secret(key)
        with speaking_of(f"table {self._table}"):
            found = self._live_client().get_item(TableName=self._table, Key=_key(key), ConsistentRead=True)
        row = found.get("Item")
        if row is None or not self._live(row):
            return None
        return StorageItem(key, str(row["value"]["S"]), expiry_date(_expires(row)))

    def put(self, key: str, value: str, ttl: int | None) -> StorageItem:
        """See ApplicationStorage.put."""
        check_key(key)
        check_value(value)
        check_ttl(ttl)
        self._refuse_secret(key)
        expires = None if ttl is None else self._clock() + ttl
        row: dict[str, Any] = {**_key(key), "value": {"S": value}}
        if expires is not None:
            row |= {"expires": {"N": repr(expires)}, "expires_at": {"N": str(math.ceil(expires))}}
        with speaking_of(f"table {self._table}"):
            self._live_client().put_item(TableName=self._table, Item=row)
        return StorageItem(key, value, expiry_date(expires))

    def remove(self, key: str) -> bool:
        """See ApplicationStorage.remove."""
        check_key(key)
        with speaking_of(f"table {self._table}"):
            found: Any = self._live_client().delete_item(TableName=self._table, Key=_key(key), ReturnValues="ALL_OLD")
        row = found.get("Attributes")
        return row is not None and self._live(row)

    def keys(self, pattern: str | None = None, count: int = MAX_KEYS) -> list[str]:
        """See ApplicationStorage.keys. Raises StorageUnavailable, too, for a table too large to be scanned whole."""
        check_pattern(pattern)
        check_count(count)
        client = self._live_client()
        asked: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "ProjectionExpression": "#k, expires",
            "ExpressionAttributeNames": {"#k": "key"},
        }
        if pattern is not None:
            asked["ExpressionAttributeNames"]["#n"] = "namespace"
            asked["KeyConditionExpression"] = "#n = :n"
            asked["ExpressionAttributeValues"] = {":n": {"S": _PREFIX + pattern}}
        found: list[str] = []
        for _ in range(MAX_PAGES):
            with speaking_of(f"table {self._table}"):
                page: Any = client.scan(**asked) if pattern is None else client.query(**asked)
            found += [str(row["key"]["S"]) for row in page.get("Items", []) if self._live(row)]
            last = page.get("LastEvaluatedKey")
            if last is None or (pattern is not None and len(found) >= count):  # a query comes in the order of keys
                return sorted(found)[:count]
            asked["ExclusiveStartKey"] = last
        raise StorageUnavailable(f"table {self._table} is too large to list; ask for one namespace")

    def close(self) -> None:
        """Close the connections; later calls raise StorageUnavailable."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _live_client(self) -> DynamoDBClient:
        if self._client is None:
            raise StorageUnavailable(f"table {self._table}: the storage is closed")
        return self._client

    def _live(self, row: Any) -> bool:
        expires = _expires(row)
        return expires is None or expires > self._clock()

    def _refuse_secret(self, key: str) -> None:
        if self._is_secret(key):
            raise IsSecret(key)


def _key(key: str) -> dict[str, Any]:
    return {"namespace": {"S": _PREFIX + namespace_of(key)}, "key": {"S": key}}


def _expires(row: Any) -> float | None:
    found = row.get("expires")
    return None if found is None else float(found["N"])
