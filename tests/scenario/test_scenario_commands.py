"""What an await gives: results, errors by code, secrets; and clean-up after a round is parked."""

import asyncio
from typing import Any

import pytest
from tests.scenario.rounds import in_process, invocation, play, played

from cordboard.contract.records import StepError
from cordboard.scenario import (
    AppEvents,
    CommandFailed,
    NotSupported,
    ObjectEnded,
    Refused,
    Scenario,
    Session,
    Stores,
    VoxEngine,
    events,
)
from cordboard.scenario.binding import SECRETS_VARIABLE, STORAGE_VARIABLE, bind_storage, bound_stores
from cordboard.storage.interface import StorageUnavailable
from cordboard.storage.memory import MemorySecrets, MemoryStorage

TIMER = {"timer": "t"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("not_supported", NotSupported),
        ("object_ended", ObjectEnded),
        ("call_ended", ObjectEnded),
        ("refused", Refused),
        ("timeout", CommandFailed),
    ],
)
def test_an_error_code_has_its_class(code: str, kind: type[CommandFailed]) -> None:
    caught: list[CommandFailed] = []
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        try:
            await VoxEngine.terminate()
        except CommandFailed as error:
            caught.append(error)

    played(scenario, invocation("timer", "t", TIMER), {"session.terminate": StepError(code, "why")})
    (error,) = caught
    assert type(error) is kind
    assert (error.code, error.message, error.command) == (code, "why", "session.terminate")


def test_clean_up_after_parking_may_take_its_time_and_commands_nothing() -> None:
    cleaned: list[str] = []
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        try:
            await VoxEngine.set_timeout("a", seconds=1)
        finally:
            await asyncio.sleep(0.001)
            VoxEngine.set_timeout("b", seconds=1)
            cleaned.append("closed")

    event = played(scenario, invocation("timer", "t", TIMER))
    assert [len(answer.commands) for answer in event.answers] == [1, 1]
    assert cleaned == ["closed", "closed"]
    assert not any(answer.replace_worker for answer in event.answers)


def test_a_secret_that_changes_within_an_event_fails_it() -> None:
    secrets = MemorySecrets()
    secrets.put("KEY", "one")
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        try:
            await session.secret("KEY").reveal()
            await VoxEngine.set_timeout("a", seconds=1)
        except BaseException:  # noqa: BLE001 (must not help)
            VoxEngine.terminate()

    async def run(request: dict[str, Any]) -> dict[str, Any]:
        answer = await in_process(scenario, Stores(None, secrets))(request)
        secrets.put("KEY", "two")
        return answer

    last = asyncio.run(play(run, invocation("timer", "t", TIMER))).last
    assert last.error is not None
    assert (last.error.type, "'KEY' changed its version" in last.error.message) == ("nondeterminism", True)
    assert "two" not in repr(last)


def test_stores_are_bound_or_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage(lambda: 0.0)
    try:
        bind_storage(storage)
        assert bound_stores() == Stores(storage)
        bind_storage(None)
        monkeypatch.setenv(STORAGE_VARIABLE, "redis:/x")
        monkeypatch.delenv(SECRETS_VARIABLE, raising=False)
        with pytest.raises(StorageUnavailable, match="write sqlite:/path/to/file"):
            bound_stores()
        monkeypatch.delenv(STORAGE_VARIABLE)
        assert bound_stores() == Stores(None, None)
    finally:
        bind_storage(None)


def test_without_a_store_a_read_says_so() -> None:
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        await session.secret("KEY").reveal()

    last = played(scenario, invocation("timer", "t", TIMER)).last
    assert last.error is not None
    assert last.error.type == "StorageUnavailable"


def test_a_host_that_gives_up_leaves_no_task() -> None:
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        await asyncio.sleep(60)

    async def story() -> None:
        round_ = asyncio.create_task(play(in_process(scenario), invocation("timer", "t", TIMER)))
        await asyncio.sleep(0)
        round_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await round_
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())
