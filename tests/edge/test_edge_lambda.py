"""Functions on AWS Lambda as the configuration names them, and how control follows their aliases."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from moto import mock_aws

from cordboard.config.load import load
from cordboard.config.model import Config
from cordboard.contract.release import Release
from cordboard.edge.control.functions import FunctionsBroken, function_host
from cordboard.edge.control.reload import follow
from cordboard.edge.data_dir import DataDir

REGION = "eu-west-1"
PARAMETER = "/cordboard/dev/functions/line-agent"


class Lambda:
    """AWS Lambda as the test scripts it, beside moto's other services."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.version = "1"
        self.code: str | None = None
        self.next: tuple[str, str | None] | None = None
        self.asked: list[str] = []
        real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

        def call(client: Any, operation: str, arguments: Any) -> Any:
            if operation == "GetAlias":
                if self.next is not None and arguments["FunctionName"] == "a":  # a look sees all of it, or nothing
                    (self.version, self.code), self.next = self.next, None
                self.asked.append(f"{arguments['FunctionName']}:{arguments['Name']}")
                return {"FunctionVersion": self.version}
            if operation == "Invoke":
                name = arguments["FunctionName"]
                release = name if self.code is None else self.code
                told = {"schema": "cordboard.description/1", "scenario": "desk", "release": release}
                return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(told).encode())}
            return real(client, operation, arguments)

        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with mock_aws():
        yield Lambda(monkeypatch)


def config(folder: Path, text: str = "") -> Config:
    """As docs/deploy.md has it: the region is the environment's."""
    file = folder / "cordboard.toml"
    file.write_text(f'[functions]\nhost = "lambda"\n[functions.lambda]\n{text}')
    return load(file, {}, {})


async def names(config: Config, folder: Path) -> list[str]:
    async with function_host(config, DataDir(folder)) as (_, release):
        return list(release.functions)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a log and a list say no word
            await asyncio.sleep(0.001)


def test_the_functions_are_those_that_the_parameter_names(tmp_path: Path, functions: Lambda) -> None:
    functions.code = "one"
    boto3.client("ssm", REGION).put_parameter(
        Name=PARAMETER, Value="cordboard-dev-a,cordboard-dev-b", Type="StringList"
    )
    assert asyncio.run(names(config(tmp_path), tmp_path)) == ["cordboard-dev-a", "cordboard-dev-b"]
    assert functions.asked == ["cordboard-dev-a:live", "cordboard-dev-b:live"]


def test_names_in_the_configuration_need_no_parameter(tmp_path: Path, functions: Lambda) -> None:
    functions.code = "one"
    assert asyncio.run(names(config(tmp_path, 'names = ["a"]\nalias = "beta"'), tmp_path)) == ["a"]
    assert functions.asked == ["a:beta"]


@pytest.mark.parametrize(
    ("parameter", "text", "message"),
    [
        (None, "", f"parameter {PARAMETER} is not there: deploy the template first"),
        (" ", "", "no function is named"),
        ("a,b", "", "the functions are of different deployments"),
    ],
)
def test_what_stands_in_the_way_of_a_start_is_said(
    tmp_path: Path, functions: Lambda, parameter: str | None, text: str, message: str
) -> None:
    if parameter is not None:
        boto3.client("ssm", REGION).put_parameter(Name=PARAMETER, Value=parameter, Type="StringList")
    with pytest.raises(FunctionsBroken, match=message):
        asyncio.run(names(config(tmp_path, text), tmp_path))


@pytest.mark.parametrize("text", ["", 'names = ["a"]'])
def test_without_a_region_a_start_says_what_to_set(
    tmp_path: Path, functions: Lambda, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(FunctionsBroken, match=r"AWS Lambda: no region .*; set AWS_REGION, .*\[functions\.lambda\]"):
        asyncio.run(names(config(tmp_path, text), tmp_path))
    functions.code = "one"
    assert asyncio.run(names(config(tmp_path, f'region = "{REGION}"\nnames = ["a"]'), tmp_path)) == ["a"]


def test_without_boto3_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(FunctionsBroken, match=r"needs boto3: pip install 'cordboard\[aws\]'"):
        asyncio.run(names(config(tmp_path), tmp_path))


def test_a_moved_alias_is_taken_up_and_a_deployment_under_way_is_told_once(
    tmp_path: Path, functions: Lambda, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        functions.code = "one"
        taken: asyncio.Queue[Release] = asyncio.Queue()
        async with function_host(config(tmp_path, 'names = ["a", "b"]'), DataDir(tmp_path)) as (host, first):
            following = asyncio.create_task(follow(host, taken.put_nowait, 0.0))
            functions.next = "2", None  # each says another deployment
            await until(lambda: bool(caplog.records))
            count = len(functions.asked)
            await until(lambda: len(functions.asked) >= count + 6)
            assert host.current.id == first.id
            functions.next = "2", "two"
            second = await taken.get()
            assert second.id == host.current.id != first.id
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        assert taken.empty()

    with caplog.at_level(logging.WARNING, "cordboard.edge.control.reload"):
        asyncio.run(body())
    assert [record.message.partition("(")[0] for record in caplog.records] == [
        f"new calls stay with release {caplog.records[0].args[0]}: "  # type: ignore[index]
        "the functions are of different deployments "
    ]
