"""AWS Lambda as a host: what leaves for the API, and what each of its answers means for the round."""

import asyncio
import io
import json
import threading
import zipfile
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from moto import mock_aws

from cordboard.contract.records import DESCRIBE_SCHEMA, MAX_ANSWER, MAX_REQUEST
from cordboard.hosts import errors
from cordboard.hosts.aws_lambda import MAX_AT_ONCE, LambdaHost, names_in_parameter


class Api:
    """Lambda's API as the test scripts it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.alias: Any = {"FunctionVersion": "7"}
        self.stamps: dict[str, str] = {}
        self.answer: Any = {"status": "done"}
        self.fault = ""
        self.error: Exception | None = None
        self.hangs: dict[str, threading.Event] = {}
        self.hanging: list[str] = []
        patch.setattr(botocore.client.BaseClient, "_make_api_call", lambda _, *call: self.call(*call))
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((operation, arguments))
        if operation == "GetAlias":
            if isinstance(self.alias, Exception):
                raise self.alias
            return self.alias
        if json.loads(arguments["Payload"]).get("schema") == DESCRIBE_SCHEMA:
            stamp = self.stamps.get(arguments["FunctionName"], "")
            return self.told({"scenario": "desk", "release": stamp, "schema": "cordboard.description/1"})
        if self.error is not None:
            raise self.error
        if (hang := self.hangs.get(arguments["FunctionName"])) is not None:
            self.hanging.append(arguments["FunctionName"])
            assert hang.wait(30)
        answer = self.told(self.answer)
        return {**answer, "FunctionError": self.fault} if self.fault else answer

    @staticmethod
    def told(value: Any) -> dict[str, Any]:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return {"StatusCode": 200, "Payload": io.BytesIO(body)}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)


async def one_round(names: tuple[str, ...] = ("cordboard-desk",), payload: Any = None) -> dict[str, Any]:
    host = LambdaHost(lambda: names, region="eu-west-1")
    try:
        release = await host.start()
        host.retain(release.id)
        answer = await host.invoke(release.id, names[0], payload or {"event": 1}, timeout=5)
        host.done(release.id)
        return answer
    finally:
        await host.close()


def client_error(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Invoke")


def test_a_round_is_one_synchronous_invoke_of_the_version_behind_the_alias(api: Api) -> None:
    assert asyncio.run(one_round()) == {"status": "done"}
    alias, describe, invoke = api.asked
    assert alias == ("GetAlias", {"FunctionName": "cordboard-desk", "Name": "live"})
    assert describe[1]["Qualifier"] == "7"
    assert invoke == (
        "Invoke",
        {
            "FunctionName": "cordboard-desk",
            "Qualifier": "7",
            "InvocationType": "RequestResponse",
            "Payload": b'{"event":1}',
        },
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("TooManyRequestsException", 429), errors.FunctionThrottled),
        (client_error("EC2ThrottledException", 502), errors.FunctionThrottled),
        (client_error("ResourceNotFoundException", 404), errors.NoSuchFunction),
        (client_error("ServiceException", 500), errors.FunctionCrashed),
        (client_error("Odd", 503), errors.FunctionCrashed),
        (client_error("AccessDeniedException", 403), errors.FunctionRaised),
        (client_error("ExpiredTokenException", 403), errors.FunctionRaised),
        (ReadTimeoutError(endpoint_url="https://lambda"), errors.FunctionTimeout),
        (EndpointConnectionError(endpoint_url="https://lambda"), errors.FunctionCrashed),
        (NoCredentialsError(), errors.FunctionRaised),
    ],
)
def test_each_refusal_of_the_api_has_its_kind(api: Api, error: Exception, kind: type[Exception]) -> None:
    api.error = error
    with pytest.raises(kind) as caught:
        asyncio.run(one_round())
    assert "cordboard-desk" in str(caught.value)
    assert len(api.asked) == 3, "an attempt more than the edge asked for"


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"errorType": "Sandbox.Timedout", "errorMessage": "x"}, errors.FunctionTimeout),
        ({"errorMessage": "2026-11-21 id Task timed out after 3.00 seconds"}, errors.FunctionTimeout),
        ({"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}, errors.FunctionCrashed),
        ({"errorType": "Runtime.OutOfMemory"}, errors.FunctionCrashed),
        ({"errorType": "Function.ResponseSizeTooLarge"}, errors.AnswerTooLarge),
        ({"errorType": "ImportModuleError", "errorMessage": "No module named x"}, errors.FunctionRaised),
        (b"no JSON", errors.FunctionRaised),
        ([1], errors.FunctionRaised),
    ],
)
def test_each_fault_of_the_function_has_its_kind(api: Api, told: Any, kind: type[Exception]) -> None:
    api.answer, api.fault = told, "Unhandled"
    with pytest.raises(kind):
        asyncio.run(one_round())


def test_an_answer_that_is_too_large_is_read_no_further(api: Api) -> None:
    api.answer = b'"' + b"x" * (6 * 1024 * 1024) + b'"'
    with pytest.raises(errors.AnswerTooLarge, match=str(MAX_ANSWER)):
        asyncio.run(one_round())


def test_a_request_that_is_too_large_is_not_sent(api: Api) -> None:
    with pytest.raises(errors.RequestTooLarge):
        asyncio.run(one_round(payload={"x": "y" * MAX_REQUEST}))
    assert [operation for operation, _ in api.asked] == ["GetAlias", "Invoke"]


@pytest.mark.parametrize(
    ("alias", "says"),
    [
        (client_error("ResourceNotFoundException", 404), "has no alias 'live' in this region"),
        (client_error("AccessDeniedException", 403), "lambda:GetAlias"),
        (NoCredentialsError(), "credentials"),
        ({"FunctionVersion": "$LATEST"}, r"alias 'live' of 'cordboard-desk' points to \$LATEST.*publish a version"),
        ({"FunctionVersion": "7", "RoutingConfig": {"AdditionalVersionWeights": {"8": 0.1}}}, "split between versions"),
    ],
)
def test_an_alias_that_gives_no_version_refuses_the_release(api: Api, alias: Any, says: str) -> None:
    api.alias = alias
    with pytest.raises(errors.ReleaseError, match=says):
        asyncio.run(one_round())


def test_without_names_there_is_no_release(api: Api) -> None:
    with pytest.raises(errors.ReleaseError, match=r"functions\.lambda\.names"):
        asyncio.run(one_round(()))


def test_while_a_deployment_is_half_done_the_last_whole_release_stays(api: Api) -> None:
    async def deploy() -> None:
        host = LambdaHost(lambda: ("a", "b"), region="eu-west-1")
        api.stamps = {"a": "r1", "b": "r1"}
        before = await host.start()
        api.alias = {"FunctionVersion": "8"}
        api.stamps = {"a": "r2", "b": "r1"}
        with pytest.raises(errors.ReleaseError, match="different deployments"):
            await host.reload()
        assert host.current.id == before.id
        api.stamps = {"a": "r2", "b": "r2"}
        after = await host.reload()
        assert after.id != before.id
        assert host.current.id == after.id
        await host.close()

    asyncio.run(deploy())


def test_a_session_keeps_its_version_while_others_take_the_next(api: Api) -> None:
    async def story() -> list[str]:
        host = LambdaHost(lambda: ("a",), region="eu-west-1")
        old = await host.start()
        host.retain(old.id)
        api.alias = {"FunctionVersion": "8"}
        new = await host.reload()
        api.asked.clear()
        for release in (old.id, new.id):
            await host.invoke(release, "a", {"event": 1}, timeout=5)
        host.done(old.id)
        with pytest.raises(errors.NoSuchFunction):
            await host.invoke(old.id, "a", {"event": 1}, timeout=5)
        await host.close()
        return [arguments["Qualifier"] for _, arguments in api.asked]

    assert asyncio.run(story()) == ["7", "8"]


def test_the_region_is_the_environments_and_without_one_it_says_what_to_set(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    with pytest.raises(errors.ReleaseError, match="AWS Lambda: no region of AWS is known; set AWS_REGION"):
        LambdaHost(lambda: ("a",))
    with pytest.raises(errors.ReleaseError, match="parameter /p: no region of AWS is known; set AWS_REGION"):
        names_in_parameter("/p", None)()
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    host = LambdaHost(lambda: ("a",))
    assert host._client.meta.region_name == "eu-north-1"
    asyncio.run(host.close())


def test_a_function_that_hangs_takes_no_others_place(api: Api) -> None:
    """More of its rounds than it has threads: the next one waits, another function's does not."""
    hang = threading.Event()
    api.hangs = {"hung": hang}

    async def story() -> None:
        host = LambdaHost(lambda: ("hung", "well"), region="eu-west-1")
        release = await host.start()
        host.retain(release.id)
        try:
            stuck = [asyncio.create_task(host.invoke(release.id, "hung", {"event": 1}, timeout=60)) for _ in range(70)]
            while len(api.hanging) < MAX_AT_ONCE:  # noqa: ASYNC110 - threads that wait say no word
                await asyncio.sleep(0.001)
            assert await host.invoke(release.id, "well", {"event": 1}, timeout=5) == {"status": "done"}
            with pytest.raises(errors.FunctionTimeout, match="hung"):
                await host.invoke(release.id, "hung", {"event": 1}, timeout=0.01)
            assert len(api.hanging) == MAX_AT_ONCE
            hang.set()
            assert await asyncio.gather(*stuck) == [{"status": "done"}] * 70
        finally:
            hang.set()
            host.done(release.id)
            await host.close()

    asyncio.run(story())


def test_the_version_is_found_through_the_service_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """GetAlias against moto; its Invoke runs no code and gives the request back, which no description is."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws(config={"lambda": {"use_docker": False}}):
        role = boto3.client("iam", "eu-west-1").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        client = boto3.client("lambda", "eu-west-1")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", "def handler(event, context): return event")
        client.create_function(
            FunctionName="cordboard-desk",
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": code.getvalue()},
            Publish=True,
        )
        version = client.publish_version(FunctionName="cordboard-desk")["Version"]
        client.create_alias(FunctionName="cordboard-desk", Name="live", FunctionVersion=version)
        host = LambdaHost(lambda: ("cordboard-desk",), region="eu-west-1")
        assert host._take().versions == {"cordboard-desk": version}
        with pytest.raises(errors.ReleaseError, match="no alias 'live'"):
            LambdaHost(lambda: ("other",), region="eu-west-1")._take()
        asyncio.run(host.close())
