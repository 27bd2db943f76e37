"""The thread that has the store: SQLite waits for the disk there, and never on the loop that paces audio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from cordboard.line.platform.store import Store

MAX_PENDING: Final = 10_000
"""Things to write down that wait for the disk; more are lost, and the log says so."""

log = logging.getLogger("cordboard.line")

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs calls of one store in their order. `post` and `run` may be mixed: a read sees every write before it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "line-store")
        self._pending = 0
        self._store: Store | None = None

    async def open(self, path: Path | None) -> Store:
        """Open the store; raises StoreUnusable."""
        self._store = await asyncio.get_running_loop().run_in_executor(self._thread, Store, path)
        return self._store

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` does; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args, **kwargs))

    def post(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it later; what fails is logged."""
        if self._pending >= MAX_PENDING:
            log.error("the store is too slow: something about a call is lost")
            return
        self._pending += 1
        loop = asyncio.get_running_loop()
        future = self._thread.submit(lambda: call(*args, **kwargs))
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._done, done))

    def _done(self, future: Future[object]) -> None:
        self._pending -= 1
        if (error := future.exception()) is not None:
            log.error("the store failed: %s: %s", type(error).__name__, error)

    async def close(self) -> None:
        """Finish what was posted, and give the file back."""
        if self._store is not None:
            await self.run(self._store.close)
            self._store = None
        self._thread.shutdown()
        await asyncio.sleep(0)  # what was posted has told of its end
