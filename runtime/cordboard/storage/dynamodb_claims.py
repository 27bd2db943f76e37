"""Claims in a DynamoDB table, by conditional writes: shared by all functions and edges of a stage.

The table has the partition key `key`; `expires_at` is its TTL attribute, and since DynamoDB deletes days late, a take
goes by the exact moment in `expires`. A row without `token`: done. The SDK repeats a write whose answer was lost, so a
condition that fails is looked at once more: the row may be what this very call has written.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from cordboard.storage.aws import client_config, error_code, known_region, speaking_of
from cordboard.storage.claims import Claim, new_token
from cordboard.storage.interface import Clock, StorageUnavailable, check_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NAMES: Final = {"#k": "key", "#t": "token"}


class DynamoClaims:
    """Claims over a table. Close it, or use it as a context."""

    def __init__(self, table: str, clock: Clock, *, region: str | None = None) -> None:
        """`region` None: the environment's. Raises RegionUnknown; asks AWS nothing yet."""
        import boto3

        self._table = table
        self._clock = clock
        with speaking_of(f"table {table}"):
            self._client: DynamoDBClient | None = boto3.client(
                "dynamodb", region_name=known_region(region), config=client_config()
            )

    def take(self, key: str, lease: float) -> Claim | Literal["busy", "done"]:
        """See Claims.take."""
        check_key(key)
        claim = Claim(key, new_token())
        now = self._clock()
        there = self._write(
            "put_item",
            Item={"key": {"S": key}, "token": {"S": claim.token}, **_until(now + lease)},
            ConditionExpression="attribute_not_exists(#k) OR expires <= :now",
            ExpressionAttributeNames={"#k": "key"},
            ExpressionAttributeValues={":now": {"N": repr(now)}},
        )
        if there is None or there.get("token") == {"S": claim.token}:
            return claim
        return "busy" if "token" in there else "done"

    def finish(self, claim: Claim, keep: float) -> bool:
        """See Claims.finish."""
        until = _until(self._clock() + keep)
        there = self._write(
            "update_item",
            Key={"key": {"S": claim.key}},
            UpdateExpression="SET expires = :e, expires_at = :x REMOVE #t",
            ConditionExpression="attribute_exists(#k) AND #t = :t",
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues={
                ":e": until["expires"],
                ":x": until["expires_at"],
                ":t": {"S": claim.token},
            },
        )
        return there is None or ("token" not in there and float(there["expires"]["N"]) == float(until["expires"]["N"]))

    def release(self, claim: Claim) -> bool:
        """See Claims.release."""
        there = self._write(
            "delete_item",
            Key={"key": {"S": claim.key}},
            ConditionExpression="attribute_exists(#k) AND #t = :t",
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues={":t": {"S": claim.token}},
        )
        return there is None

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

    def _write(self, operation: Literal["put_item", "update_item", "delete_item"], **asked: Any) -> Any | None:
        """None: done; else the row on which the condition failed, empty where there is none."""
        from botocore.exceptions import ClientError

        client = self._client
        if client is None:
            raise StorageUnavailable(f"table {self._table}: the claims are closed")
        with speaking_of(f"table {self._table}"):
            try:
                getattr(client, operation)(
                    TableName=self._table, ReturnValuesOnConditionCheckFailure="ALL_OLD", **asked
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                row: Any = error.response.get("Item", {})
                return row
        return None


def _until(moment: float) -> dict[str, dict[str, str]]:
    return {"expires": {"N": repr(moment)}, "expires_at": {"N": str(math.ceil(moment))}}
