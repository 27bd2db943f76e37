"""Control's secrets on AWS: read by a thread, told without waiting, and kept while AWS does not answer."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from cordboard.config.load import load
from cordboard.config.model import Config
from cordboard.edge.control.secrets import KeptSecrets, control_secrets
from cordboard.edge.data_dir import DataDir
from cordboard.edge.stores import StoreAddresses, stage_addresses, store_addresses
from cordboard.storage.interface import SecretNotFound, StorageUnavailable
from cordboard.storage.parameter_store import ParameterStoreSecrets

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


def config(folder: Path) -> Config:
    file = folder / "cordboard.toml"
    file.write_text(f'[storage]\nbackend = "aws"\n[storage.aws]\nprefix = "/cordboard/t"\nregion = "{REGION}"\n')
    return load(file, {}, {})


def put(name: str, value: str) -> None:
    with ParameterStoreSecrets("/cordboard/t/secrets", time.time, region=REGION) as store:
        store.put(name, value)


def test_addresses_are_those_of_the_configuration(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    assert store_addresses(load(None, {}, {}), data) == StoreAddresses(
        f"sqlite:{tmp_path}/storage.sqlite", f"sqlite:{tmp_path}/secrets.sqlite"
    )
    assert store_addresses(config(tmp_path), data) == StoreAddresses(
        "dynamodb:cordboard-dev@eu-west-1", "ssm:/cordboard/t/secrets@eu-west-1"
    )
    assert stage_addresses("prod", None) == StoreAddresses("dynamodb:cordboard-prod", "ssm:/cordboard/prod/secrets")


def test_all_secrets_are_known_at_the_start_and_none_is_asked_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):  # more than a page
        put(f"KEY_{number}", f"value {number}")
    boto3.client("ssm", REGION).put_parameter(Name="/cordboard/t/secrets/PLAIN", Value="x", Type="String")

    async def body() -> None:
        async with control_secrets(config(tmp_path), DataDir(tmp_path)) as secrets:
            monkeypatch.setattr(ParameterStoreSecrets, "_live", None)  # nothing is asked from here
            assert secrets.resolve("KEY_11").value == "value 11"
            assert "value" not in repr(secrets)
            for name in ("PLAIN", "KEY_12"):
                with pytest.raises(SecretNotFound):
                    secrets.resolve(name)

    asyncio.run(body())


def test_what_is_put_later_is_known_after_a_refresh(tmp_path: Path) -> None:
    async def body() -> None:
        async with control_secrets(config(tmp_path), DataDir(tmp_path)) as secrets:
            assert isinstance(secrets, KeptSecrets)
            await asyncio.to_thread(put, "KEY", "new")
            with pytest.raises(SecretNotFound):
                secrets.resolve("KEY")
            await secrets.refresh()
            assert secrets.resolve("KEY").value == "new"

    asyncio.run(body())


def test_a_silence_of_aws_is_told_once_and_the_values_stay(caplog: pytest.LogCaptureFixture) -> None:
    class Silent(ParameterStoreSecrets):
        left = 4

        def read_all(self) -> dict[str, object]:  # type: ignore[override]
            self.left -= 1
            if self.left in (2, 1):
                raise StorageUnavailable("parameters /cordboard/t/secrets: ThrottlingException")
            return {"KEY": self.left}

    async def body() -> None:
        with Silent("/cordboard/t/secrets", time.time, region=REGION) as store:
            kept = KeptSecrets(store)
            await kept.refresh()
            following = asyncio.create_task(kept.follow(0.0))
            while "secrets are read again" not in caplog.messages:
                assert kept.resolve("KEY")
                await asyncio.sleep(0.001)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    with caplog.at_level(logging.WARNING):
        asyncio.run(body())
    assert [record.message for record in caplog.records if record.name == "cordboard.secrets"] == [
        "secrets stay as they were: parameters /cordboard/t/secrets: ThrottlingException",
        "secrets are read again",
    ]


def test_a_role_that_may_not_read_them_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    async def body() -> None:
        async with control_secrets(config(tmp_path), DataDir(tmp_path)):
            raise AssertionError("it started")

    with pytest.raises(StorageUnavailable, match="redentials"):
        asyncio.run(body())
