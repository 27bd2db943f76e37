"""Turns on their way to the functions' host and back: one task per attempt, every outcome reported once."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from cordboard.contract.release import Release
from cordboard.session.effects import Invoke

KINDS: Final[Mapping[str, str]] = {
    "FunctionTimeout": "timeout",
    "FunctionCrashed": "crashed",
    "FunctionThrottled": "throttled",
    "FunctionRaised": "raised",
    "AnswerTooLarge": "too_large",
    "RequestTooLarge": "too_large",
    "NoSuchFunction": "no_such_function",
}
"""Class of the host's error → kind that the engine knows."""

log = logging.getLogger(__name__)


class FunctionHost(Protocol):
    """Where functions run; `hosts` has the implementations."""

    @property
    def current(self) -> Release: ...
    async def start(self) -> Release: ...
    async def reload(self) -> Release: ...
    async def invoke(
        self, release_id: str, function: str, payload: Mapping[str, Any], *, timeout: float
    ) -> dict[str, Any]: ...
    def retain(self, release_id: str) -> None: ...
    def done(self, release_id: str) -> None: ...
    async def close(self) -> None: ...


class TurnSink(Protocol):
    """Who asked."""

    def turn_answered(self, token: str, answer: Mapping[str, Any]) -> None:
        """The function's answer."""

    def turn_failed(self, token: str, kind: str, message: str) -> None:
        """There is none."""


class Turns:
    """Invocations in flight."""

    def __init__(self, host: FunctionHost, sink: TurnSink) -> None:
        self._host = host
        self._sink = sink
        self._tasks: set[asyncio.Task[None]] = set()

    def invoke(self, effect: Invoke) -> None:
        """Begin one; the sink hears of it exactly once, unless `close` comes first."""
        task = asyncio.get_running_loop().create_task(self._invoke(effect))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is in flight."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _invoke(self, effect: Invoke) -> None:
        try:
            answer = await self._host.invoke(effect.release, effect.function, effect.payload, timeout=effect.timeout)
        except Exception as error:  # whatever the host raises is this turn's failure, not the edge's
            kind = KINDS.get(type(error).__name__)
            if kind is None:
                log.exception("the function host failed at %s", effect.function)
            self._sink.turn_failed(effect.token, kind or "crashed", str(error) or type(error).__name__)
            return
        self._sink.turn_answered(effect.token, answer)
