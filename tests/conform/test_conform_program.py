"""The two processes of a function: they are started when needed, again after a death, and none is left."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cordboard.conform.judge import Violation
from cordboard.conform.program import FIRST, SECOND, Program, program_of
from cordboard.hosts.worker_process import silent

DESCRIBE = {"schema": "cordboard.describe/1"}
WEBHOOK = {"schema": "cordboard.webhook/1", "event": {}}
ROUND = {
    "schema": "cordboard.invocation/1", "event": {"type": "call.alerting", "id": "s:1", "seq": 1},
    "round": 0, "attempt": 1, "journal": [],
}  # fmt: skip


def run(behaviour: str, story: Callable[[Program], Awaitable[set[int]]], timeout: float | None = None) -> None:
    """The story gives pids that it saw; none of them may live when it is over."""

    async def whole() -> None:
        spec = program_of((sys.executable, "-I", "-S", "program.py", behaviour), Path(__file__).parent)
        async with Program(spec, {}, silent, timeout=timeout) as program:
            pids = await story(program)
        assert pids
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


async def pid(program: Program, which: int) -> int:
    found = (await program.worker(which)).pid
    assert found is not None
    return found


def test_each_place_has_a_process_of_its_own_that_is_kept_warm() -> None:
    async def story(program: Program) -> set[int]:
        first, second = await pid(program, FIRST), await pid(program, SECOND)
        assert first != second
        assert await program.ask(FIRST, WEBHOOK, 5) == await program.ask(SECOND, WEBHOOK, 5)
        assert (await pid(program, FIRST), await pid(program, SECOND)) == (first, second)
        assert 0 < program.took <= program.slowest < program.started_in + 5
        return {first, second}

    run("good", story)


def test_a_killed_one_is_started_again_and_its_answer_is_lost() -> None:
    async def story(program: Program) -> set[int]:
        before, other = await pid(program, FIRST), await pid(program, SECOND)
        await program.kill_in_mid_round(FIRST, DESCRIBE, 5, 5)  # it answers before, which is as good
        await program.kill_in_mid_round(SECOND, DESCRIBE, 5, 0)
        after = await pid(program, FIRST)
        assert after not in (before, other)
        assert (await program.ask(FIRST, DESCRIBE, 5))["scenario"] == "plain"
        return {before, other, after}

    run("good", story)


def test_who_gives_up_leaves_no_process() -> None:
    async def story(program: Program) -> set[int]:
        pids = {await pid(program, FIRST)}
        asked = asyncio.ensure_future(program.ask(FIRST, ROUND, 60))
        await asyncio.wait({asked}, timeout=0.05)
        asked.cancel()
        await asyncio.wait({asked})
        assert asked.cancelled()
        return pids

    run("hangs", story)


def test_a_time_of_the_command_line_wins_over_the_functions_own() -> None:
    async def story(program: Program) -> set[int]:
        found = {await pid(program, FIRST)}
        with pytest.raises(Violation, match=r"no answer within 0\.2 s"):
            await program.ask(FIRST, ROUND, 60)
        return found

    run("hangs", story, timeout=0.2)
