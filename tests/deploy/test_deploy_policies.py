"""The policies allow each request that this repository makes of AWS, and nothing that it does not make.

Every request is recorded on its way out and held against the policies as the stack resolved them. What IAM makes of
them, and the rights of KMS, only AWS can show.
"""

import ast
import asyncio
import fnmatch
import json
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from tests.deploy.stack import REGION, Deployed

from cordboard.config.aws import S3Sink
from cordboard.edge.control.secrets import KeptSecrets
from cordboard.edge.data_dir import DataDir
from cordboard.edge.erasure import erase_content
from cordboard.edge.stores import stage_addresses
from cordboard.edge.uploads import PART, Uploads
from cordboard.hosts.aws_lambda import LambdaHost, names_in_parameter
from cordboard.hosts.errors import FunctionError
from cordboard.scenario import Stores
from cordboard.storage.addresses import open_claims, open_secrets, open_storage
from cordboard.storage.claims import Claim
from cordboard.storage.interface import SecretNotFound, StorageUnavailable
from cordboard.storage.parameter_store import ParameterStoreSecrets

ACCOUNT = "123456789012"
_UPLOADS = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


@dataclass
class Requests:
    """What was asked, as IAM names it: (action, resource)."""

    made: set[tuple[str, str]] = field(default_factory=set)

    def note(self, service: str, operation: str, asked: Mapping[str, Any]) -> None:
        if service == "iam":
            return  # the test's own
        action = "PutObject" if service == "s3" and operation in _UPLOADS else operation
        action = "InvokeFunction" if action == "Invoke" else action
        self.made.add((f"{service}:{action}", self._resource(service, asked)))

    @staticmethod
    def _resource(service: str, asked: Mapping[str, Any]) -> str:
        prefix = f"arn:aws:{service}:{REGION}:{ACCOUNT}"
        match service:
            case "ssm":
                return f"{prefix}:parameter{asked.get('Name') or asked['Path']}"
            case "dynamodb":
                return f"{prefix}:table/{asked['TableName']}"
            case "lambda":
                version = f":{asked['Qualifier']}" if "Qualifier" in asked else ""
                return f"{prefix}:function:{asked['FunctionName']}{version}"
            case _:
                return f"arn:aws:s3:::{asked['Bucket']}/{asked['Key']}"


@pytest.fixture
def requests(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Requests:
    found = Requests()
    real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: Any, operation: str, asked: Any) -> Any:
        found.note(client.meta.service_model.endpoint_prefix, operation, asked)
        return real(client, operation, asked)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
    return found


def policy(arn: str) -> list[dict[str, Any]]:
    iam = boto3.client("iam", REGION)
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return list(document["Statement"])


def inline(role: str) -> list[dict[str, Any]]:
    iam = boto3.client("iam", REGION)
    documents: list[Any] = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    read = [ast.literal_eval(document) for document in documents]  # moto keeps a stack's as Python's text
    return [statement for document in read for statement in document["Statement"]]


def hold_against(statements: list[dict[str, Any]], made: set[tuple[str, str]], unmade: Set[str] = frozenset()) -> None:
    """Each request is allowed, and each action of each statement is asked for, but for `unmade`."""
    used = set()
    for action, resource in made:
        allowing = [
            at
            for at, statement in enumerate(statements)
            if action in _list(statement["Action"])
            and any(fnmatch.fnmatchcase(resource, each) for each in _list(statement["Resource"]))
        ]
        assert allowing, f"{action} on {resource} is not allowed"
        used |= {(at, action) for at in allowing}
    given = {(at, action) for at, each in enumerate(statements) for action in _list(each["Action"])}
    assert {f"{statements[at]['Sid']} {action}" for at, action in given - used} == unmade


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("function", ["CallAlerting", "HttpRequest", "WebsocketClose"])
def test_handlers_may_what_they_do_and_read_no_secret(
    deployed: Deployed, template: Mapping[str, Any], requests: Requests, function: str
) -> None:
    role = template["Resources"][f"{function}Role"]["Properties"]
    assert [each for each in role["ManagedPolicyArns"] if "AWSLambdaBasicExecutionRole" not in str(each)] == [
        {"Ref": "HandlerPolicy"}
    ]
    assert "Policies" not in role
    assert "CORDBOARD_SECRETS" not in deployed.variables[function]
    with open_storage(
        deployed.variables[function]["CORDBOARD_STORAGE"], time.time, is_secret=lambda name: False
    ) as storage:
        storage.put("a:1", "v", 60)
        storage.get("a:1")
        storage.keys("a")
        storage.keys()
        storage.remove("a:1")
    hold_against(policy(deployed.outputs["HandlerPolicy"]), requests.made)


def test_one_that_reveals_secrets_may_what_it_does(deployed: Deployed, requests: Requests) -> None:
    """With a store of secrets, reads of the storage ask whether a name is a secret's."""
    addresses = stage_addresses("prod", None)
    with ParameterStoreSecrets("/cordboard/prod/secrets", time.time) as owner:
        owner.put("KEY", "value")
    requests.made.clear()
    with open_secrets(addresses.secrets, time.time) as secrets:
        assert secrets.resolve("KEY").value == "value"
        with open_storage(addresses.storage, time.time, is_secret=secrets.is_secret) as storage:
            storage.get("COULD_BE_A_SECRET")
    requests.made = {(action, on) for action, on in requests.made if not action.startswith("dynamodb:")}
    hold_against(policy(deployed.outputs["RevealPolicy"]), requests.made)


def test_the_webhook_may_what_it_does(deployed: Deployed, requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = deployed.variables["Webhook"]
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "functions"))
    from webhook.app import webhooks

    with (
        open_secrets(variables["CORDBOARD_SECRETS"], time.time) as secrets,
        open_claims(variables["CORDBOARD_CLAIMS"], time.time) as claims,
    ):
        secrets.put("CARTESIA_WEBHOOK_SECRET", "now")
        requests.made.clear()
        webhooks._current_gate(Stores(None, secrets, claims))
        for end in (claims.release, lambda claim: claims.finish(claim, 1)):
            claim = claims.take("k", 10)
            assert isinstance(claim, Claim)
            end(claim)
    hold_against(inline(deployed.ids["WebhookRole"]), requests.made)


def test_the_edge_may_what_it_does(deployed: Deployed, requests: Requests, tmp_path: Path) -> None:
    functions = boto3.client("lambda", REGION)
    names = names_in_parameter(deployed.outputs["FunctionNames"], REGION)
    for name in names():  # moto's stacks have neither versions nor aliases
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    data = DataDir(tmp_path)
    data.make()
    requests.made.clear()

    async def start() -> None:
        with ParameterStoreSecrets("/cordboard/prod/secrets", time.time) as store:
            await KeptSecrets(store).refresh()
        host = LambdaHost(names, region=REGION)
        try:
            with pytest.raises(FunctionError):  # moto runs no code
                await host.start()
        finally:
            await host.close()

    asyncio.run(start())
    folder = data.calls / "s_1"
    folder.mkdir()
    for name, size in (("short", 10), ("long", PART + 1)):
        (folder / f"{name}.wav").write_bytes(bytes(size))
        (data.upload / f"s_1.{name}.json").write_text(
            json.dumps({"session": "s_1", "path": str(folder / f"{name}.wav")})
        )
    uploads = Uploads(data, S3Sink(deployed.outputs["RecordingsBucket"], "recordings"))
    assert uploads.turn() == 2
    erase_content(data, "s_1", datetime.now(UTC))
    assert uploads.turn() == 1
    hold_against(
        policy(deployed.outputs["EdgePolicy"]),
        requests.made,
        unmade={"Recordings s3:AbortMultipartUpload"},  # what the SDK does when an upload breaks off
    )


@pytest.mark.parametrize(
    ("asks", "action"),
    [
        (lambda: _resolve("/cordboard/dev/secrets", "KEY"), "ssm:GetParameter on .*dev/secrets/KEY"),
        (lambda: _get("cordboard-dev"), "dynamodb:GetItem on .*cordboard-dev"),
    ],
)
def test_another_stage_is_out_of_reach(
    deployed: Deployed, requests: Requests, asks: Callable[[], None], action: str
) -> None:
    asks()
    with pytest.raises(AssertionError, match=f"{action} is not allowed"):
        hold_against(
            [*policy(deployed.outputs["HandlerPolicy"]), *policy(deployed.outputs["RevealPolicy"])], requests.made
        )


def _resolve(path: str, name: str) -> None:
    with ParameterStoreSecrets(path, time.time) as secrets, pytest.raises(SecretNotFound):
        secrets.resolve(name)


def _get(table: str) -> None:
    with (
        open_storage(f"dynamodb:{table}", time.time, is_secret=lambda name: False) as storage,
        pytest.raises(StorageUnavailable),
    ):
        storage.get("k")
