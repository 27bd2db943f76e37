"""What only the AWS backends must do: late deletion, ages, throttling, and every way in which AWS does not answer."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from cordboard.storage.aws import ATTEMPTS, RegionUnknown, known_region
from cordboard.storage.dynamodb import DynamoStorage
from cordboard.storage.dynamodb_claims import DynamoClaims
from cordboard.storage.interface import (
    KeyInvalid,
    SecretNotFound,
    StorageUnavailable,
    ValueInvalid,
    ValueTooLong,
)
from cordboard.storage.parameter_store import MAX_AGE, MAX_BYTES, ParameterStoreSecrets

from .aws_double import REGION, Throttle, doubled, make_claims_table, make_table, new_path, no_backoff

NOON = 1_800_000_000.0


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


class Asked:
    """Counts requests to AWS, and fails the next ones as the test says."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.operations: list[str] = []
        self.failures: list[Exception] = []
        real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

        def call(client: Any, operation: str, arguments: Any) -> Any:
            self.operations.append(operation)
            if self.failures:
                raise self.failures.pop(0)
            return real(client, operation, arguments)

        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)


@pytest.fixture(scope="module", autouse=True)
def aws() -> Iterator[None]:
    with doubled():
        yield


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> Iterator[DynamoStorage]:
    with DynamoStorage(make_table(), clock) as opened:
        yield opened


@pytest.fixture
def secrets(clock: Clock) -> Iterator[ParameterStoreSecrets]:
    with ParameterStoreSecrets(new_path(), clock) as opened:
        yield opened


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as scripted"}}, "Op")


def test_an_item_that_dynamodb_has_not_deleted_yet_is_a_miss(table: DynamoStorage, clock: Clock) -> None:
    table.put("score:1", "5", 60)
    clock.now += 60
    assert table.get("score:1") is None
    assert table.keys("score") == []
    assert table.keys() == []
    assert not table.remove("score:1")


def test_the_ttl_attribute_is_a_whole_second_not_before_the_expiry(clock: Clock) -> None:
    name = make_table()
    clock.now = NOON + 0.25
    DynamoStorage(name, clock).put("k", "v", 60)
    DynamoStorage(name, clock).put("kept", "v", None)
    rows = {row["key"]["S"]: row for row in boto3.client("dynamodb", REGION).scan(TableName=name)["Items"]}
    assert rows["k"]["expires_at"] == {"N": str(int(NOON) + 61)}
    assert "expires_at" not in rows["kept"]


def test_more_keys_than_a_page_are_listed(table: DynamoStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        table.put(f"n:{number:02}", "v", 60)
    real = table._live_client()

    class Pages:
        """DynamoDB with pages of five."""

        def query(self, **asked: Any) -> Any:
            return real.query(**asked, Limit=5)

        def scan(self, **asked: Any) -> Any:
            return real.scan(**asked, Limit=5)

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(table, "_client", Pages())
    assert table.keys("n") == [f"n:{number:02}" for number in range(12)]
    assert table.keys() == [f"n:{number:02}" for number in range(12)]
    assert table.keys("n", 6) == [f"n:{number:02}" for number in range(6)]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refusal("ProvisionedThroughputExceededException"), "throttled"),
        (refusal("ThrottlingException"), "throttles"),
        (refusal("ResourceNotFoundException"), "region"),
        (refusal("AccessDeniedException"), "policies"),
        (refusal("ExpiredTokenException"), "expired"),
        (refusal("InternalServerError"), "InternalServerError"),
        (NoCredentialsError(), "credentials"),
        (ConnectTimeoutError(endpoint_url="https://dynamodb"), "timeout"),
    ],
)
def test_whatever_aws_answers_is_a_storage_error_that_says_what_to_do(
    table: DynamoStorage, secrets: ParameterStoreSecrets, asked: Asked, error: Exception, says: str
) -> None:
    uses: list[Callable[[], object]] = [
        lambda: table.get("k"),
        lambda: table.put("k", "hidden", 60),
        lambda: table.remove("k"),
        lambda: table.keys(),
        lambda: table.keys("k"),
        lambda: secrets.resolve("K"),
        lambda: secrets.put("K", "hidden"),
        lambda: secrets.names(),
        lambda: secrets.remove("K"),
        lambda: secrets.is_secret("K"),
    ]
    for use in uses:
        asked.failures = [error]
        with pytest.raises(StorageUnavailable) as caught:
            use()
        assert says in str(caught.value)
        assert "hidden" not in str(caught.value)
    assert table.get("k") is None  # a store that is down for a while is used again
    assert secrets.names() == []


def test_throttling_is_tried_again_once_and_then_has_a_name(clock: Clock) -> None:
    opened = DynamoStorage(make_table(), clock), DynamoClaims(make_claims_table(), clock)
    with no_backoff(), opened[0] as table, opened[1] as claims, ParameterStoreSecrets(new_path(), clock) as secrets:
        uses: list[tuple[object, Callable[[], object]]] = [
            (table, lambda: table.put("k", "v", 60)),
            (claims, lambda: claims.take("k", 10)),
            (secrets, lambda: secrets.put("K", "v")),
        ]
        for store, use in uses:
            throttle = Throttle(store)
            throttle.wholly = True
            with pytest.raises(StorageUnavailable, match=r"(Throttling|Exceeded)Exception; .*try again"):
                use()
            assert throttle.attempts == ATTEMPTS
            throttle.wholly = False
            use()
            assert throttle.attempts >= 2 * ATTEMPTS


def test_a_table_of_another_region_is_named(clock: Clock) -> None:
    with (
        DynamoStorage("not-there", clock, region="us-east-1") as table,
        pytest.raises(StorageUnavailable, match="table not-there: ResourceNotFoundException; it is not there in this"),
    ):
        table.get("k")


def test_without_a_region_each_store_names_itself_and_what_to_set(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    does = r": no region of AWS is known; set AWS_REGION, or region in \[storage\.aws\]"
    for what, opened in (
        ("table t", lambda: DynamoStorage("t", clock)),
        ("table t", lambda: DynamoClaims("t", clock)),
        ("parameters /p", lambda: ParameterStoreSecrets("/p", clock)),
    ):
        with pytest.raises(RegionUnknown, match=what + does):
            opened()


def test_the_configured_region_goes_before_the_environments_and_that_before_the_profiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert (known_region("eu-south-1"), known_region(None)) == ("eu-south-1", "eu-west-1")
    monkeypatch.delenv("AWS_REGION")
    assert known_region(None) == "us-east-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert known_region(None) == "eu-north-1"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageUnavailable, match=r"table t: The config profile \(nobody\) could not be found"):
        DynamoStorage("t", Clock())


def test_a_closed_store_says_so(clock: Clock) -> None:
    table, secrets = DynamoStorage(make_table(), clock), ParameterStoreSecrets(new_path(), clock)
    table.close()
    secrets.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        table.get("k")
    with pytest.raises(StorageUnavailable, match="closed"):
        secrets.resolve("K")


def test_a_secret_is_asked_for_once_in_its_age(secrets: ParameterStoreSecrets, clock: Clock, asked: Asked) -> None:
    secrets.put("K", "old")
    asked.operations.clear()
    for _ in range(5):
        assert secrets.resolve("K").value == "old"
    assert asked.operations == []
    clock.now += MAX_AGE
    assert secrets.resolve("K").value == "old"
    assert asked.operations == ["GetParameter"]


def test_a_rotated_secret_is_in_use_after_its_age(secrets: ParameterStoreSecrets, clock: Clock) -> None:
    secrets.put("K", "old")
    before = secrets.resolve("K").version
    other = ParameterStoreSecrets(repr(secrets).split("'")[1], clock)
    other.put("K", "new")
    assert secrets.resolve("K").value == "old"
    clock.now += MAX_AGE
    value, version = secrets.resolve("K")
    assert value == "new"
    assert version > before
    other.close()


def test_names_cost_one_request_in_their_age(secrets: ParameterStoreSecrets, clock: Clock, asked: Asked) -> None:
    secrets.put("K", "v")
    asked.operations.clear()
    found = [secrets.is_secret(name) for name in ("K", "L", "M", "PSTN_CALLER_ID")]
    assert found == [True, False, False, False]
    assert asked.operations == ["GetParametersByPath"]
    clock.now += MAX_AGE
    assert not secrets.is_secret("L")
    assert len(asked.operations) == 2


def test_more_names_than_a_page_are_listed(secrets: ParameterStoreSecrets) -> None:
    for number in range(13):
        secrets.put(f"K{number:02}", "v")
    assert secrets.names() == [f"K{number:02}" for number in range(13)]


def test_what_stands_below_or_beside_the_path_is_no_secret(secrets: ParameterStoreSecrets) -> None:
    path = repr(secrets).split("'")[1]
    client = boto3.client("ssm", REGION)
    client.put_parameter(Name=f"{path}/functions/line-agent", Value="x", Type="String")
    client.put_parameter(Name=f"{path}/PLAIN", Value="x", Type="String")
    assert secrets.names() == []
    assert not secrets.is_secret("PLAIN")
    with pytest.raises(StorageUnavailable, match="not a SecureString"):
        secrets.resolve("PLAIN")
    with pytest.raises(SecretNotFound):
        secrets.resolve("functions")


def test_a_secret_is_stored_as_a_secure_string(secrets: ParameterStoreSecrets) -> None:
    secrets.put("K", "hidden")
    found = boto3.client("ssm", REGION).get_parameter(Name=f"{repr(secrets).split(chr(39))[1]}/K", WithDecryption=False)
    assert found["Parameter"]["Type"] == "SecureString"
    assert found["Parameter"]["Value"] != "hidden"


def test_values_that_parameter_store_cannot_hold_are_refused_before_they_leave(
    secrets: ParameterStoreSecrets, asked: Asked
) -> None:
    with pytest.raises(ValueTooLong):
        secrets.put("K", "é" * (MAX_BYTES // 2 + 1))
    with pytest.raises(ValueInvalid, match="references"):
        secrets.put("K", "a{{b}}")
    assert asked.operations == []


@pytest.mark.parametrize("path", ["", "cordboard", "/a:b", "/", "/aws/x", "/SSM", "/a/", "/a" * 14, "/" + "a" * 901])
def test_a_path_that_parameter_store_cannot_have_is_refused(path: str) -> None:
    with pytest.raises(KeyInvalid, match="/cordboard/prod"):
        ParameterStoreSecrets(path, time.monotonic)
