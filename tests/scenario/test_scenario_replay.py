"""Whatever a handler does and whenever the edge knows its results: each command once, in order, each line once."""

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenario.rounds import invocation, payload, steps_of

from cordboard.contract.codec import decode
from cordboard.contract.records import Answer, JournalEntry
from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    Command,
    Logger,
    Scenario,
    Session,
    Stores,
    VoxEngine,
    events,
)
from cordboard.storage.memory import MemoryStorage

OPERATIONS = st.lists(
    st.sampled_from(["command", "await_command", "await_oldest", "read", "once", "log"]), min_size=1, max_size=14
)


def scenario_of(operations: list[str], effects: list[int]) -> Scenario[None]:
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def handler(session: Session[None], event: events.Timer) -> None:
        waiting: list[Command[None]] = []
        for number, operation in enumerate(operations):
            match operation:
                case "command":
                    waiting.append(VoxEngine.set_timeout(f"t{number}", seconds=1))
                case "await_command":
                    await VoxEngine.set_timeout(f"t{number}", seconds=1)
                case "await_oldest" if waiting:
                    await waiting.pop(0)
                case "read":
                    await ApplicationStorage.get("K")
                case "once":

                    async def effect(number: int = number) -> int:
                        effects.append(number)
                        return number

                    assert await session.once(f"k{number}", lambda effect=effect: effect()) == number  # type: ignore[misc]
                case "log":
                    Logger.write(f"line {number}")

    return scenario


@settings(max_examples=60, deadline=None)
@given(OPERATIONS, st.randoms(use_true_random=False))
def test_every_replay_comes_out_the_same(operations: list[str], rng: Any) -> None:
    effects: list[int] = []
    scenario = scenario_of(operations, effects)
    stores = Stores(MemoryStorage(lambda: 0.0))
    first = invocation("timer", "t", {"timer": "t"})
    journal: list[JournalEntry] = []
    commands: list[str | None] = []
    lines: list[str] = []
    for round_ in range(40):
        asked = replace(first, round=round_, journal=tuple(journal), logged=len(lines))
        answer = decode(Answer, asyncio.run(scenario.run(payload(asked), stores=stores)))
        assert answer.status != "failed", answer.error
        journal += steps_of(answer)
        commands += [command.target for command in answer.commands]
        lines += [line.message for line in answer.logs]
        assert [entry.id for entry in journal] == [f"7.{n}" for n in range(len(journal))]
        if answer.status == "done":
            break
        journal = [
            replace(entry, status="done")
            if entry.status == "pending" and (entry.id in answer.waiting or rng.random() < 0.3)
            else entry
            for entry in journal
        ]
    numbered = list(enumerate(operations))
    assert commands == [f"t{n}" for n, operation in numbered if operation in ("command", "await_command")]
    assert lines == [f"line {n}" for n, operation in numbered if operation == "log"]
    assert effects == [n for n, operation in numbered if operation == "once"]


def test_a_round_that_fails_says_what_it_has_read_unless_that_is_too_much() -> None:
    async def failing(size: int) -> Answer:
        scenario: Scenario[None] = Scenario("s")

        @scenario.on(AppEvents.Timer)
        async def handler(session: Session[None], event: events.Timer) -> None:
            for number in range(5):
                await session.once(f"k{number}", lambda: asyncio.sleep(0, "x" * size))
            VoxEngine.set_timeout("never", seconds=1)
            raise LookupError

        answer = await scenario.run(
            payload(invocation("timer", "t", {"timer": "t"})), stores=Stores(MemoryStorage(lambda: 0))
        )
        return decode(Answer, answer)

    few, much = asyncio.run(failing(10)), asyncio.run(failing(15_000))
    assert (few.status, few.commands, [entry.type for entry in few.journal]) == ("failed", (), ["once"] * 5)
    assert (much.status, much.journal) == ("failed", ())
