"""`cordboard keys` on AWS: secrets to Parameter Store, the rest to DynamoDB, by configuration or by stage."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from cordboard.cli.main import main

REGION = "eu-west-1"
VALUE = "sk-very-secret-4711"


@pytest.fixture(autouse=True)
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with mock_aws():
        for name in ("cordboard-prod", "cordboard-dev"):
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
        yield


def put(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(VALUE.encode())))
    return main(["keys", "put", *words])


def test_a_stages_keys_go_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert put(monkeypatch, "CARTESIA_API_KEY", "--secret", "--stage", "prod") == 0
    assert put(monkeypatch, "CARTESIA_AGENT_ID", "--stage", "prod", "--ttl", "1h") == 0
    parameter = boto3.client("ssm", REGION).get_parameter(
        Name="/cordboard/prod/secrets/CARTESIA_API_KEY", WithDecryption=True
    )["Parameter"]
    assert (parameter["Type"], parameter["Value"]) == ("SecureString", VALUE)
    capsys.readouterr()
    assert main(["keys", "ls", "--stage", "prod", "--json"]) == 0
    told = capsys.readouterr().out
    assert [(each["name"], each["kind"]) for each in map(json.loads, told.splitlines())] == [
        ("CARTESIA_API_KEY", "secret"),
        ("CARTESIA_AGENT_ID", "key"),
    ]
    assert VALUE not in told
    assert main(["keys", "get", "CARTESIA_AGENT_ID", "--stage", "prod"]) == 0
    assert main(["keys", "get", "CARTESIA_API_KEY", "--stage", "prod"]) == 1
    assert main(["keys", "ls", "--stage", "dev", "--json"]) == 0
    assert capsys.readouterr().out == f"{VALUE}\n"
    for name in ("CARTESIA_API_KEY", "CARTESIA_AGENT_ID"):
        assert main(["keys", "rm", name, "--stage", "prod"]) == 0
        assert main(["keys", "rm", name, "--stage", "prod"]) == 4
    assert not (tmp_path / "var").exists()  # nothing of it is on this machine


def test_the_configuration_says_where_keys_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cordboard.toml").write_text(f'[storage]\nbackend = "aws"\n[storage.aws]\nregion = "{REGION}"\n')
    assert put(monkeypatch, "K") == 0
    found = boto3.client("dynamodb", REGION).scan(TableName="cordboard-dev")["Items"]
    assert [row["value"] for row in found] == [{"S": VALUE}]


def test_a_stage_that_is_not_deployed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert put(monkeypatch, "K", "--stage", "nosuch") == 2
    assert "table cordboard-nosuch: ResourceNotFoundException" in (told := capsys.readouterr().err)
    assert "check credentials, region and stage" in told
    with pytest.raises(SystemExit):
        put(monkeypatch, "K", "--stage", "No such")


def test_without_a_region_it_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert put(monkeypatch, "K", "--secret", "--stage", "dev") == 2
    assert "no region of AWS is known; set AWS_REGION, or region in [storage.aws]" in capsys.readouterr().err
