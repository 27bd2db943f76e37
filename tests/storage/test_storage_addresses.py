"""Stores are opened by their address, and an address that names none says how one is written."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cordboard.storage.addresses import open_claims, open_secrets, open_storage
from cordboard.storage.interface import KeyInvalid, StorageUnavailable

from .aws_double import doubled, make_claims_table, make_table, new_path


@pytest.fixture(scope="module", autouse=True)
def aws() -> Iterator[None]:
    with doubled():
        yield


def storage(address: str) -> object:
    return open_storage(address, time.time, is_secret=lambda name: False)


def secrets(address: str) -> object:
    return open_secrets(address, time.time)


def claims(address: str) -> object:
    return open_claims(address, time.time)


@pytest.mark.parametrize("suffix", ["", "@eu-west-1"])
def test_each_kind_keeps_what_it_is_given(tmp_path: Path, suffix: str) -> None:
    for address in (f"sqlite:{tmp_path / 'secrets.sqlite'}", f"ssm:{new_path()}{suffix}"):
        with open_secrets(address, time.time) as opened:
            opened.put("KEY", "value")
            assert opened.resolve("KEY").value == "value"
    for address in (f"sqlite:{tmp_path / 'storage.sqlite'}", f"dynamodb:{make_table()}{suffix}"):
        with open_storage(address, time.time, is_secret=lambda name: name == "KEY") as kept:
            kept.put("k", "v", None)
            found = kept.get("k")
            assert found is not None
            assert found.value == "v"
    for address in (f"sqlite:{tmp_path / 'claims.sqlite'}", f"dynamodb:{make_claims_table()}{suffix}"):
        with open_claims(address, time.time) as once:
            once.take("k", 10)
            assert once.take("k", 10) == "busy"


def test_a_region_in_the_address_counts() -> None:
    address = f"dynamodb:{make_table()}@us-east-1"
    with (
        open_storage(address, time.time, is_secret=lambda name: False) as elsewhere,
        pytest.raises(StorageUnavailable, match="ResourceNotFoundException"),
    ):
        elsewhere.get("k")


@pytest.mark.parametrize(
    ("opens", "address", "hint"),
    [
        (storage, "", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (storage, "sqlite:", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (storage, "/var/keys.sqlite", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (storage, "ssm:/cordboard/dev", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (storage, "dynamodb:a/b", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (storage, "dynamodb:table@", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (storage, "dynamodb:table@eu west", "write sqlite:/path/to/file or dynamodb:TABLE"),
        (secrets, "dynamodb:table", "write sqlite:/path/to/file or ssm:/cordboard/prod/secrets"),
        (claims, "ssm:/cordboard/dev", "write sqlite:/path/to/file or dynamodb:TABLE"),
    ],
)
def test_what_names_no_store_is_refused(opens: Callable[[str], object], address: str, hint: str) -> None:
    with pytest.raises(StorageUnavailable, match=f"{re.escape(repr(address))} names no store; {re.escape(hint)}"):
        opens(address)


def test_a_path_that_parameter_store_cannot_have_is_refused() -> None:
    with pytest.raises(KeyInvalid, match="is no path of parameters"):
        secrets("ssm:cordboard")


@pytest.mark.parametrize(
    ("opens", "address"),
    [(storage, "dynamodb:cordboard-dev"), (secrets, "ssm:/cordboard/dev"), (claims, "dynamodb:cordboard-dev-claims")],
)
def test_without_boto3_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, opens: Callable[[str], object], address: str
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StorageUnavailable, match=rf"{address} needs boto3; install it: pip install 'cordboard\[aws\]'"):
        opens(address)
