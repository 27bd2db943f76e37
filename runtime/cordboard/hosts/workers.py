"""Functions in awslambdaric workers, the code that runs on AWS Lambda: the default host.

Each function has a pool of processes with `spare` of them warm; a worker handles one event at a time.
Leaves out: memory and CPU limits; recycling after a number of events.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from .errors import FunctionCrashed, FunctionError, FunctionTimeout, NoSuchFunction
from .host import OnLog, SnapshotHost, read_answer
from .snapshot import Snapshot
from .template import FunctionSpec
from .worker_process import WorkerProcess, silent

MAX_WORKERS: Final = 32  # processes a function unless configured, 15 MB each: a wait for a CRM holds one
STARTS_AT_ONCE: Final = 4  # of a function: importing takes a core for tenths of a second, most rounds are over sooner
FIRST_BACKOFF: Final = 0.1  # seconds before a worker that died at its start is started again; doubled each time
MAX_BACKOFF: Final = 5.0  # seconds; a fixed file is picked up by a reload, not by waiting


class WorkerHost(SnapshotHost):
    """A FunctionHost over processes. `environment` reaches every worker (CORDBOARD_STORAGE, CORDBOARD_SECRETS)."""

    def __init__(
        self,
        template: Path,
        *,
        environment: Mapping[str, str] | None = None,
        spare: int = 1,
        max_workers: int = MAX_WORKERS,
        on_log: OnLog = silent,
    ) -> None:
        """`max_workers`: processes of a function of a release; `spare`: idle ones kept warm, 1 to `max_workers`."""
        if not 1 <= spare <= max_workers:
            raise ValueError(f"spare={spare}: 1 to {max_workers}")
        super().__init__(template)
        self._environment = dict(environment or {})
        self._spare = spare
        self._max_workers = max_workers
        self._on_log = on_log

    def _open(self, snapshot: Snapshot) -> "_Workers":
        return _Workers(snapshot, self._pool)

    def _pool(self, spec: FunctionSpec) -> "Pool":
        return Pool(spec, self._environment, self._spare, self._max_workers, self._on_log)

    def pids(self) -> list[int]:
        """Process ids of all workers, of old releases too."""
        return [
            worker.pid
            for held in self._held.values()
            if isinstance(held.backend, _Workers)
            for pool in held.backend.pools.values()
            for worker in pool.workers
            if worker.pid is not None
        ]


class _Workers:
    def __init__(self, snapshot: Snapshot, pool_of: Callable[[FunctionSpec], "Pool"]) -> None:
        self._numbers = itertools.count(1)
        self._release = snapshot.id
        self.pools = {spec.name: pool_of(spec) for spec in snapshot.functions}
        for pool in self.pools.values():
            pool.fill()

    async def invoke(self, function: str, body: bytes, timeout: float) -> dict[str, Any]:
        pool = self.pools[function]
        request_id = f"{self._release}-{next(self._numbers)}"
        worker = await pool.take(timeout)
        while not worker.waits:  # it died after it was handed over: the event was not taken, another may have it
            worker.kill()
            pool.used(worker)
            worker = await pool.take(timeout)
        try:
            answer = read_answer(function, await worker.invoke(request_id, body, timeout))
            if answer.get("replace_worker") is True:
                worker.kill()
            return answer
        finally:
            pool.used(worker)

    async def close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in self.pools.values()))


class Pool:
    """The workers of one function of one release."""

    def __init__(
        self, spec: FunctionSpec, environment: Mapping[str, str], spare: int, max_workers: int, on_log: OnLog
    ) -> None:
        self.workers: set[WorkerProcess] = set()
        self._spec = spec
        self._environment = environment
        self._spare = spare
        self._max_workers = max_workers
        self._on_log = on_log
        self._waiting: deque[asyncio.Future[WorkerProcess]] = deque()
        self._failures = 0
        self._retry: asyncio.TimerHandle | None = None
        self._taken: set[WorkerProcess] = set()
        self._closed = False

    def fill(self) -> None:
        """Start workers until `spare` are idle or starting beyond those that callers wait for."""
        if self._closed or self._retry is not None:
            return
        free = sum(worker.state in ("idle", "starting") and worker not in self._taken for worker in self.workers)
        starting = sum(worker.state == "starting" for worker in self.workers)
        wanted = self._spare + len(self._waiting) - free
        for _ in range(min(wanted, self._max_workers - len(self.workers), STARTS_AT_ONCE - starting)):
            worker = WorkerProcess(self._spec, self._environment, self._on_log, self._changed)
            self.workers.add(worker)
            worker.start()

    async def take(self, timeout: float) -> WorkerProcess:
        """An idle worker, the caller's until `used`. Raises FunctionTimeout, and why none could be started."""
        if self._closed:
            raise NoSuchFunction(self._spec.name, "its release has ended")
        found = self._idle()
        if found is None:
            future: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            self.fill()
            try:
                async with asyncio.timeout(timeout):
                    found = await future
            except TimeoutError as error:
                raise FunctionTimeout(self._spec.name, f"no worker became free within {timeout:g} s") from error
            finally:
                if future in self._waiting:
                    self._waiting.remove(future)
                if found is None and future.done() and not future.cancelled() and future.exception() is None:
                    self.used(future.result())  # handed over in the very moment that the caller gave up
        else:
            self._taken.add(found)
        self.fill()
        return found

    def used(self, worker: WorkerProcess) -> None:
        """The caller is done with it."""
        self._taken.discard(worker)
        self._hand_over()

    async def close(self) -> None:
        """Kill all workers and wait until they are gone; callers that wait get NoSuchFunction."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._fail(NoSuchFunction(self._spec.name, "its release has ended"))
        await asyncio.gather(*(worker.close() for worker in list(self.workers)))

    def _idle(self) -> WorkerProcess | None:
        return next((w for w in self.workers if w.state == "idle" and w not in self._taken), None)

    def _hand_over(self) -> None:
        while self._waiting and (worker := self._idle()) is not None:
            future = self._waiting.popleft()
            if not future.done():
                self._taken.add(worker)
                future.set_result(worker)

    def _changed(self, worker: WorkerProcess) -> None:
        if worker.state == "idle":
            self._failures = 0
            self._hand_over()
            self.fill()
            return
        self.workers.discard(worker)
        if self._closed:
            return
        if worker.failure is not None:
            if self._retry is None:  # workers that die together count as one failure
                delay = min(FIRST_BACKOFF * 2**self._failures, MAX_BACKOFF)
                self._failures += 1
                self._retry = asyncio.get_running_loop().call_later(delay, self._try_again)
            # an import that fails will fail again; processes that were killed deserve another try
            if self._failures > 1 or not isinstance(worker.failure, FunctionCrashed):
                self._fail(worker.failure)
        self.fill()

    def _try_again(self) -> None:
        self._retry = None
        self.fill()

    def _fail(self, error: FunctionError) -> None:
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(error)
