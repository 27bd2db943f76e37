"""AWS's services as moto doubles them, with a table and a path of their own for each test."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws

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
