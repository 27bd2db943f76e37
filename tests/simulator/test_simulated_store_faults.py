"""What callers notice while a store or AWS Lambda is away: a call that lives goes on, what needs the store is refused
by policy with the error's name in the timeline, and the first request after it works again."""

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from tests.simulator.calls import CALLER, NUMBER, agent_of, control, heard, record_of, transfer
from tests.simulator.conftest import Make

from cordboard.contract.call_record import TimelineEntry
from cordboard.hosts.aws_lambda import LambdaHost
from cordboard.scenario import Stores
from cordboard.simulator.functions import Functions
from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation
from cordboard.storage.dynamodb import DynamoStorage

REGION, ELSEWHERE = "eu-west-1", "us-east-1"
OTHER = "+15557654321"


def failures(sim: Simulation, phone: Phone) -> list[TimelineEntry]:
    return [entry for entry in sim.session_of(phone).timeline if "failed in" in entry.what]


def is_refused(sim: Simulation, error: str, message: str) -> None:
    """A new caller gets 480 and hears nothing; the timeline names the error and the policy."""
    second = sim.call(OTHER, NUMBER)
    sim.world.advance(2.0)
    assert (second.state, second.code, heard(sim, second)) == ("ended", 480, {})
    record = record_of(sim, second)
    assert (record.cause, record.fault) == ("handler.failed", "function")
    [failed] = failures(sim, second)
    assert failed.what == f"call.alerting failed in CallAlerting: {error}"
    assert message in failed.data["message"]
    assert failed.data["policy"] == "refuse"


def lives_through(sim: Simulation, caller: Phone, error: str, message: str) -> None:
    """A transfer is refused with the error's name, and the caller goes on hearing the agent."""
    agent = agent_of(sim, caller)
    agent.say("during", 2.0)
    sim.world.advance(3.0)
    reply = control(sim, caller, {"action": "call_transfer"})
    assert (reply.status, json.loads(reply.body)["code"]) == (500, "handler_failed")
    assert error not in reply.body.decode()  # the agent's tool is told nothing of our insides
    failed = failures(sim, caller)[-1]
    assert failed.what == f"http.request failed in HttpRequest: {error}"
    assert message in failed.data["message"]
    assert failed.data["policy"] == "reply"
    agent.say("after", 1.0)
    sim.world.advance(2.0)
    assert caller.state == "answered"
    assert heard(sim, caller) == {"during": 2.0, "after": 1.0}


def goes_on(sim: Simulation, caller: Phone) -> None:
    """The same call is transferred, and a new one answered."""
    transfer(sim, caller).hangup()
    third = sim.call(OTHER, NUMBER)
    assert third.state == "answered"
    for phone in sim.exchange.phones:
        phone.hangup()
    sim.world.advance(1.0)


def test_storage_is_down_for_30_s_in_the_middle_of_a_call(make: Make) -> None:
    sim = make()
    caller = sim.call(CALLER, NUMBER)
    sim.faults.rates(0, {}, storage_down=(5.0, 30.0))
    sim.world.advance(5.0)
    lives_through(sim, caller, "StorageUnavailable", "the simulated storage does not answer")
    is_refused(sim, "StorageUnavailable", "the simulated storage does not answer")
    sim.world.advance(20.0)
    is_refused(sim, "StorageUnavailable", "the simulated storage does not answer")
    sim.world.advance(2.0)
    assert [fault.event for fault in sim.faults.log] == ["PSTN_CALLER_ID", "CARTESIA_AGENT_ID", "CARTESIA_AGENT_ID"]
    goes_on(sim, caller)


class Aws:
    """AWS as moto doubles it, which refuses some operations with a code while it is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.refusal: tuple[tuple[str, ...], str] | None = None
        self.functions: Functions | None = None
        real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

        def call(client: Any, operation: str, asked: Any) -> Any:
            if self.refusal is not None and operation in self.refusal[0]:
                raise ClientError({"Error": {"Code": self.refusal[1], "Message": "m"}}, operation)
            if operation == "GetAlias":
                return {"FunctionVersion": "7"}
            if operation == "Invoke":
                return self._invoked(asked["FunctionName"], json.loads(asked["Payload"]))
            return real(client, operation, asked)

        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)

    def _invoked(self, function: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert self.functions is not None
        answer, _ = self.functions.invoke(function, body, 10.0, 0.0)
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        boto3.client("dynamodb", REGION).create_table(
            TableName="cordboard-dev",
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
        yield Aws(monkeypatch)


def use_table(sim: Simulation, region: str | None) -> None:
    """Functions keep their keys in DynamoDB from here on."""
    table = DynamoStorage("cordboard-dev", lambda: sim.world.wall(sim.world.now), region=region)
    sim.functions._stores = Stores(table, sim.secrets)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredTokenException", "table cordboard-dev: ExpiredTokenException; the credentials have expired"),
        ("UnrecognizedClientException", "the credentials are not of this account or region"),
        ("ProvisionedThroughputExceededException", "the table is throttled"),
    ],
)
def test_dynamodb_refuses_in_the_middle_of_a_call(make: Make, aws: Aws, code: str, message: str) -> None:
    sim = make()
    use_table(sim, None)
    with DynamoStorage("cordboard-dev", lambda: 0.0) as owner:
        for name, value in (("CARTESIA_AGENT_ID", "agent-1"), ("PSTN_CALLER_ID", "+15550001111")):
            owner.put(name, value, None)
    caller = sim.call(CALLER, NUMBER)
    aws.refusal = ("GetItem",), code
    lives_through(sim, caller, "StorageUnavailable", message)
    is_refused(sim, "StorageUnavailable", message)
    aws.refusal = None
    goes_on(sim, caller)


def test_a_table_in_another_region_refuses_each_call_by_name(make: Make, aws: Aws) -> None:
    sim = make()
    use_table(sim, ELSEWHERE)
    for _ in range(2):
        is_refused(
            sim,
            "StorageUnavailable",
            "table cordboard-dev: ResourceNotFoundException; it is not there in this region; check the name and the "
            "region",
        )


class OnLambda:
    """The functions of a simulation behind LambdaHost, in place of the simulation's own way to them."""

    took = 0.0

    def __init__(self, functions: Functions, runner: asyncio.Runner) -> None:
        names = tuple(functions.release.functions)
        self.release = functions.release
        self._runner = runner
        self.host = LambdaHost(lambda: names)
        self._release = runner.run(self.host.start())
        self.host.retain(self._release.id)

    def invoke(
        self, function: str, payload: Mapping[str, Any], timeout: float, now: float
    ) -> tuple[dict[str, Any], float]:
        """As Functions.invoke."""
        answer = self.host.invoke(self._release.id, function, payload, timeout=timeout)
        return self._runner.run(answer), 0.0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredTokenException", "ExpiredTokenException; renew the edge's credentials, or check the region"),
        ("UnrecognizedClientException", "UnrecognizedClientException; renew the edge's credentials, or check the"),
        ("AccessDeniedException", "AccessDeniedException; allow the edge's role lambda:InvokeFunction"),
    ],
)
def test_lambda_refuses_in_the_middle_of_a_call(
    make: Make, aws: Aws, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    sim = make()
    aws.functions = sim.functions
    with asyncio.Runner() as runner:
        on_lambda = OnLambda(sim.functions, runner)
        monkeypatch.setattr(sim.edge, "functions", on_lambda)
        caller = sim.call(CALLER, NUMBER)
        aws.refusal = ("Invoke",), code
        lives_through(sim, caller, "raised", message)
        is_refused(sim, "raised", message)
        aws.refusal = None
        goes_on(sim, caller)
        sim.quiet()
        runner.run(on_lambda.host.close())
