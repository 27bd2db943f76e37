"""One event loop for all invocations of a function's process: what `lambda_handler` runs in."""

import asyncio
import atexit
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .runner import GRACE

T = TypeVar("T")

_runners: list[asyncio.Runner] = []


def run_alone(work: Callable[[], Awaitable[T]]) -> T:
    """Await `work()` in the process's loop, so that a handler may keep an HTTP client open; tasks that it left behind
    end with it."""
    if not _runners:
        _runners.append(asyncio.Runner())
        atexit.register(close_runner)
    return _runners[0].run(_alone(work))


def close_runner() -> None:
    """Close the loop; the next invocation opens another."""
    while _runners:
        _runners.pop().close()


async def _alone(work: Callable[[], Awaitable[T]]) -> T:
    answer = await work()
    strays = asyncio.all_tasks() - {asyncio.current_task()}
    for task in strays:
        task.cancel()
    if strays:
        await asyncio.wait(strays, timeout=GRACE)
    return answer
