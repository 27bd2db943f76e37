"""What the phone's tests share: a runner that leaves nothing behind."""

import asyncio
import gc
from collections.abc import Callable, Coroutine

import pytest

LIMIT = 30.0
"""Seconds after which a test has failed; none should take a tenth of it."""


@pytest.fixture
def run() -> Callable[[Coroutine[object, object, None]], None]:
    """Runs a coroutine to its end, with a limit; no task, timer or socket may be left of it."""

    async def bounded(body: Coroutine[object, object, None]) -> None:
        async with asyncio.timeout(LIMIT):
            await body
        assert asyncio.all_tasks() == {asyncio.current_task()}
        timers: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009
        assert [timer for timer in timers if not timer.cancelled()] == []

    def runner(body: Coroutine[object, object, None]) -> None:
        asyncio.run(bounded(body))
        gc.collect()  # an unclosed socket warns, and warnings are errors

    return runner
