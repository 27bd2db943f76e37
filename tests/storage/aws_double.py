"""AWS's services as moto doubles them, with a table and a path of their own for each test."""

import itertools
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.retries.standard import ExponentialBackoff
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

REGION = "eu-west-1"
_numbers = itertools.count(1)


@contextmanager
def doubled() -> Iterator[None]:
    """AWS for this block; what is asked outside of the doubles' reach has no credentials."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
        }.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION"):  # who sets only AWS_REGION must be understood
            patch.delenv(name, raising=False)
        yield


def make_table() -> str:
    """A new table, as template.yaml declares it; its name."""
    name = f"cordboard-{next(_numbers)}"
    boto3.client("dynamodb", REGION).create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "namespace", "KeyType": "HASH"},
            {"AttributeName": "key", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "namespace", "AttributeType": "S"},
            {"AttributeName": "key", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def make_claims_table() -> str:
    """A new table of claims, as template.yaml declares it; its name."""
    name = f"cordboard-claims-{next(_numbers)}"
    boto3.client("dynamodb", REGION).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def new_path() -> str:
    """A path of parameters that nobody has used."""
    return f"/cordboard/test{next(_numbers)}"


CODES = itertools.cycle(("ThrottlingException", "ProvisionedThroughputExceededException"))


class Throttle:
    """Refuses a client's requests on the wire, so that the SDK's own retries meet it: every second one, the first
    included, but no second attempt; or all of them while `wholly`."""

    def __init__(self, store: Any) -> None:
        self.wholly = False
        self.attempts = 0
        self._requests = itertools.count()
        self._lock = threading.Lock()
        events = store._client.meta.events
        events.unregister("before-send", botocore_stubber)  # every handler is asked: the double would act all the same
        events.register("before-send", self._meet)

    def _meet(self, event_name: str, request: Any, **more: Any) -> AWSResponse | None:
        with self._lock:
            self.attempts += 1
            again = not bytes(request.headers["amz-sdk-request"]).startswith(b"attempt=1")
            if not self.wholly and (again or next(self._requests) % 2):
                return botocore_stubber(event_name, request, **more)
            code = next(CODES)
        body = json.dumps({"__type": code, "message": "as the test says"}).encode()
        return AWSResponse(request.url, 400, HTTPHeaders(), MockRawResponse(body))


@contextmanager
def no_backoff() -> Iterator[None]:
    """The SDK waits up to a second before its second attempt; here it does not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
        yield


def put_like(table: str, key: str, others: Iterable[tuple[str, str]]) -> None:
    """Rows as that key's, of other (namespace, key): by the hundred, since moto takes milliseconds for each request."""
    client = boto3.client("dynamodb", REGION)
    row = next(row for row in client.scan(TableName=table)["Items"] if row["key"]["S"] == key)
    requests: list[Any] = [
        {
            "PutRequest": {
                "Item": {**row, "namespace": {"S": f"n#{namespace}"}, "key": {"S": other}, "value": {"S": other}}
            }
        }
        for namespace, other in others
    ]
    for start in range(0, len(requests), 25):
        client.batch_write_item(RequestItems={table: requests[start : start + 25]})
