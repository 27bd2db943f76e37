"""A call with everything on AWS, as far as moto doubles it: the stack's functions run behind a real Invoke endpoint,
the edge takes them from there, and keys, webhooks and the recording go where the stack says."""

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.deploy.stack import REGION, ROOT, Deployed, deploy

from cordboard.cli.main import main as cordboard
from cordboard.demo.stage import CALLER, Stage
from cordboard.edge.control.http import HttpServer, bind_tcp
from cordboard.hosts.invoke_api import InvokeApi
from cordboard.hosts.workers import WorkerHost
from cordboard.phone.softphone import Softphone
from cordboard.storage.addresses import open_secrets

PATIENCE = 30.0
COMPLETED = ROOT / "tests" / "data" / "cartesia_webhooks" / "call_completed.json"
WEBHOOK_SECRET = "whs-4711-0815-webhook"


@pytest.fixture
def aws(template: Mapping[str, Any], built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """The stack in a server of moto, which the environment of this process and its children names."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    yield deploy(template, built)
    server.stop()


class OnAws(Stage):
    """The demo's processes with the edge as infra/edge.yaml has it, but for addresses and numbers."""

    def __init__(self, out: Path, template: Path, deployed: Deployed) -> None:
        super().__init__(out, template, ("127.0.0.1", 9))
        self._deployed = deployed

    async def put_key(self, name: str, value: str, *, secret: bool = False) -> None:
        """The stage's own keys are there; the demo's would go over them."""

    def _text(self) -> str:
        outputs = self._deployed.outputs
        return super()._text().replace('host = "workers"', 'host = "lambda"') + (
            f'[functions.lambda]\nparameter = "{outputs["FunctionNames"]}"\n'
            f'[storage]\nbackend = "aws"\n[storage.aws]\nprefix = "/cordboard/dev"\n'
            f'table = "{outputs["StorageTable"]}"\n'
            f'[recording]\nsink = "s3://{outputs["RecordingsBucket"]}/recordings"\n'
        )


@asynccontextmanager
async def functions(built: Path, deployed: Deployed) -> AsyncIterator[WorkerHost]:
    """The functions with the stack's variables and names, behind the endpoint that `AWS_ENDPOINT_URL_LAMBDA` names."""
    credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    host = WorkerHost(built, environment={**credentials, **deployed.variables["Webhook"]})
    api = InvokeApi(host)
    await host.start()
    listener = bind_tcp("127.0.0.1", 0)
    server = HttpServer(_renamed(api.app, {deployed.ids[name]: name for name in deployed.variables}), listener)
    await server.start()
    os.environ["AWS_ENDPOINT_URL_LAMBDA"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield host
    finally:
        del os.environ["AWS_ENDPOINT_URL_LAMBDA"]
        await server.close()
        api.close()
        await host.close()


def _renamed(app: ASGIApp, names: Mapping[str, str]) -> ASGIApp:
    async def renamed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            parts = [names.get(part, part) for part in scope["path"].split("/")]
            scope = {**scope, "path": "/".join(parts)}
        await app(scope, receive, send)

    return renamed


async def take_a_call(built: Path, out: Path, deployed: Deployed) -> Path:
    """The folder of the call."""
    async with (
        functions(built, deployed) as host,
        Softphone(user=CALLER) as phone,
        OnAws(out, built, deployed) as stage,
    ):
        call = await phone.call(stage.target)
        await call.wait_answered(PATIENCE)
        await call.hears_voice(PATIENCE)
        call.hangup()
        await call.wait_ended(PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while not (found := list(stage.data.glob("calls/*/uploaded.json"))):  # noqa: ASYNC110 - files say no word
                await asyncio.sleep(0.05)
        answers = [await host.invoke(host.current.id, "Webhook", _delivery(secret), timeout=10) for secret in SENT]
    assert [answer["statusCode"] for answer in answers] == [204, 204, 401]
    return found[0].parent


SENT = (WEBHOOK_SECRET, WEBHOOK_SECRET, "wrong")


def _delivery(secret: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": "/",
        "headers": {"content-type": "application/json", "x-webhook-secret": secret},
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "body": base64.b64encode(COMPLETED.read_bytes()).decode(),
        "isBase64Encoded": True,
    }


def test_a_call_with_everything_on_aws(
    built: Path, aws: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value, more in (
        ("CARTESIA_API_KEY", "demo-key", ["--secret"]),
        ("CARTESIA_WEBHOOK_SECRET", WEBHOOK_SECRET, ["--secret"]),
        ("CARTESIA_AGENT_ID", "demo-transfer", []),
        ("PSTN_CALLER_ID", "+15550001111", []),
    ):
        with monkeypatch.context() as patch, (tmp_path / "value").open("w+") as typed:
            typed.write(value)
            typed.seek(0)
            patch.setattr("sys.stdin", typed)
            assert cordboard(["keys", "put", name, "--stage", "dev", *more]) == 0
    folder = asyncio.run(take_a_call(built, tmp_path, aws))
    record = json.loads((folder / "record.json").read_text())
    assert (record["cause"], record["scenario"]) == ("caller.hangup", "line-agent")
    timeline = (folder / "timeline.json").read_text()
    assert "cordboard-dev-call-alerting" in timeline
    assert "demo-key" not in timeline
    (url,) = json.loads((folder / "uploaded.json").read_text()).values()
    bucket, _, key = url.removeprefix("s3://").partition("/")
    assert bucket == aws.outputs["RecordingsBucket"]
    assert (
        boto3.client("s3", REGION).get_object(Bucket=bucket, Key=key)["Body"].read()
        == (folder / "recording.wav").read_bytes()
    )
    assert not (tmp_path / "var" / "secrets.sqlite").exists()
    claims = boto3.client("dynamodb", REGION).scan(TableName=aws.ids["ClaimsTable"])["Items"]
    assert [row.keys() for row in claims] == [{"key", "expires", "expires_at"}]  # done, and once
    with open_secrets("ssm:/cordboard/dev/secrets", time.time) as secrets:
        assert secrets.names() == ["CARTESIA_API_KEY", "CARTESIA_WEBHOOK_SECRET"]
