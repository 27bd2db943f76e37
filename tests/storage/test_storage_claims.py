"""What every backend of Claims must do, whichever it is."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.client
import pytest

from cordboard.storage import claims as claims_room
from cordboard.storage.claims import Claim, Claims, MemoryClaims
from cordboard.storage.dynamodb_claims import DynamoClaims
from cordboard.storage.interface import KeyInvalid, KeyTooLong, StorageUnavailable
from cordboard.storage.sqlite_claims import PURGE_ROWS, SqliteClaims

from .aws_double import Throttle, doubled, make_claims_table, no_backoff


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def throttled(claims: DynamoClaims) -> DynamoClaims:
    Throttle(claims)
    return claims


Backend = Callable[[Path, Clock], SqliteClaims | MemoryClaims | DynamoClaims]
BACKENDS: dict[str, Backend] = {
    "sqlite": lambda folder, clock: SqliteClaims(folder / "claims.sqlite", clock, busy_timeout=10),
    "memory": lambda folder, clock: MemoryClaims(clock),
    "dynamodb": lambda folder, clock: DynamoClaims(make_claims_table(), clock),
    "dynamodb, throttled": lambda folder, clock: throttled(DynamoClaims(make_claims_table(), clock)),
}


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with doubled(), no_backoff():
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def claims(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Claims]:
    if request.param.startswith("dynamodb"):
        request.getfixturevalue("aws")
    opened = BACKENDS[request.param](tmp_path, clock)
    yield opened
    opened.close()


def taken(claims: Claims, key: str = "k", lease: float = 10) -> Claim:
    claim = claims.take(key, lease)
    assert isinstance(claim, Claim)
    return claim


def test_one_takes_it_and_others_meet_it_busy_then_done(claims: Claims) -> None:
    claim = taken(claims)
    assert claims.take("k", 10) == "busy"
    assert claims.finish(claim, 60)
    assert claims.take("k", 10) == "done"
    assert isinstance(claims.take("another", 10), Claim)


def test_what_is_released_may_be_taken_again(claims: Claims) -> None:
    assert claims.release(taken(claims))
    assert claims.finish(taken(claims), 60)


def test_a_lease_ends_and_its_holder_has_lost_it(claims: Claims, clock: Clock) -> None:
    late = taken(claims, lease=10)
    clock.now += 9.999
    assert claims.take("k", 10) == "busy"
    clock.now += 0.001
    taken(claims)
    assert not claims.finish(late, 60)
    assert not claims.release(late)
    assert claims.take("k", 10) == "busy"


def test_done_is_known_as_long_as_it_is_kept(claims: Claims, clock: Clock) -> None:
    claims.finish(taken(claims), 60)
    clock.now += 59
    assert claims.take("k", 10) == "done"
    clock.now += 1
    taken(claims)


def test_a_finished_claim_is_not_released(claims: Claims) -> None:
    claim = taken(claims)
    claims.finish(claim, 60)
    assert not claims.release(claim)
    assert claims.take("k", 10) == "done"


def test_of_many_at_once_one_gets_it(claims: Claims) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: claims.take("k", 10), range(64)))
    assert sum(isinstance(each, Claim) for each in found) == 1
    assert found.count("busy") == 63


@pytest.mark.parametrize(("key", "error"), [("", KeyInvalid), ("a b", KeyInvalid), ("k" * 201, KeyTooLong)])
def test_keys_are_those_of_application_storage(claims: Claims, key: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        claims.take(key, 10)


def test_claims_are_on_disk(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "claims.sqlite"
    with SqliteClaims(path, clock) as first:
        first.finish(taken(first, "done"), 60)
        taken(first, "busy")
    with SqliteClaims(path, clock) as second:
        assert (second.take("done", 1), second.take("busy", 1)) == ("done", "busy")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageUnavailable):
        second.take("k", 1)


def test_what_is_over_leaves_the_file(tmp_path: Path, clock: Clock) -> None:
    with SqliteClaims(tmp_path / "claims.sqlite", clock) as claims:
        for number in range(PURGE_ROWS):
            taken(claims, f"k{number}", 1)
        clock.now += 1
        taken(claims, "last")
        with claims._database.reading() as connection:
            assert connection.execute("SELECT key FROM claim").fetchall() == [("last",)]


def test_claims_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(claims_room, "MAX_CLAIMS", 2)
    claims = MemoryClaims(clock)
    for key in "abc":
        taken(claims, key)
    assert claims.take("c", 1) == "busy"
    taken(claims, "a")


@pytest.mark.usefixtures("aws")
def test_a_write_whose_answer_was_lost_is_repeated_and_still_counts(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def lost(client: Any, operation: str, arguments: Any) -> Any:
        real(client, operation, arguments)
        return real(client, operation, arguments)  # as the SDK does when no answer comes

    with DynamoClaims(make_claims_table(), clock) as claims:
        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", lost)
        claim = taken(claims)
        assert claims.take("k", 10) == "busy"
        assert claims.finish(claim, 60)
        assert claims.take("k", 10) == "done"


@pytest.mark.usefixtures("aws")
def test_a_table_that_is_not_there_is_named(clock: Clock) -> None:
    claims = DynamoClaims("cordboard-none", clock)
    with pytest.raises(StorageUnavailable, match=r"table cordboard-none: ResourceNotFoundException"):
        claims.take("k", 1)
    claims.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        claims.take("k", 1)
