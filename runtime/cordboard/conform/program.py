"""The function's processes: two kept warm behind the Runtime API that every worker polls, one event at a time each.

Leaves out pools and releases (`hosts.workers`): who is asked, and when it dies, is what conformance plays with.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final

from cordboard.hosts.errors import AnswerTooLarge, FunctionCrashed, FunctionError, FunctionTimeout
from cordboard.hosts.host import OnLog, read_answer
from cordboard.hosts.template import FunctionSpec
from cordboard.hosts.worker_process import INIT_TIMEOUT, State, WorkerProcess

from .judge import Violation

FIRST: Final = 0
SECOND: Final = 1
"""The two processes."""
KEPT_LINES: Final = 3  # of a process's output, for the row that tells of its death


class Program:
    """A function's processes, started when they are needed."""

    def __init__(
        self,
        spec: FunctionSpec,
        environment: Mapping[str, str],
        on_log: OnLog,
        *,
        timeout: float | None = None,
        start_limit: float = INIT_TIMEOUT,
    ) -> None:
        """`timeout`: seconds of a round in place of the function's own."""
        self.spec = spec
        self.started_in = 0.0
        """Seconds that its slowest start took."""
        self.took = 0.0
        """Seconds of its last round."""
        self.slowest = 0.0
        """Seconds of its slowest round."""
        self.largest = 0
        """Bytes of its largest answer."""
        self._environment = environment
        self._on_log = on_log
        self._timeout = timeout
        self._start_limit = start_limit
        self._workers: dict[int, WorkerProcess] = {}
        self._changed = asyncio.Event()
        """Some worker has become idle or is dead."""
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._number = 0

    async def __aenter__(self) -> "Program":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))

    async def worker(self, which: int) -> WorkerProcess:
        """One of the processes, idle; started if it is not there. Raises Violation."""
        worker = self._workers.get(which)
        if worker is not None and worker.state != "dead":
            return worker
        if worker is not None:
            await worker.close()
        worker = self._workers[which] = WorkerProcess(
            self.spec, self._environment, self._log, lambda _: self._changed.set(), init_timeout=self._start_limit
        )
        began = monotonic()
        worker.start()
        await self._while("starting", worker)  # its own limit ends it
        if worker.state == "dead":
            raise self._no_start(worker)
        self.started_in = max(self.started_in, monotonic() - began)
        return worker

    async def ask(self, which: int, payload: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """One event, and its answer. Raises Violation; FunctionRaised for an error that the program reported."""
        worker = await self.worker(which)
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        began = monotonic()
        try:
            raw = await worker.invoke(self._request_id(), body, self._timeout or timeout)
            self.took = monotonic() - began
            self.slowest = max(self.slowest, self.took)
            self.largest = max(self.largest, len(raw))
            answer = read_answer(self.spec.name, raw)
        except FunctionTimeout as error:
            advice = "answer sooner, or give the handler a longer time in its description; the edge kills what is late"
            raise Violation("late", error.message, advice) from None
        except AnswerTooLarge as error:
            advice = "answer less: keep data in a store of your own and pass its key"
            raise Violation("size", error.message, advice) from None
        except FunctionCrashed as error:
            advice = "report an error at the Runtime API and poll for the next event"
            raise Violation("answer", f"{error.message}{self._last_words()}", advice) from None
        finally:
            await self._next(worker)
        if answer.get("replace_worker") is True:
            await worker.close()
        elif worker.state == "dead":
            advice = "poll for the next event after each answer: who ends makes each event a cold start"
            raise Violation("answer", f"ended after its answer{self._last_words()}", advice)
        return answer

    async def kill_in_mid_round(self, which: int, payload: Mapping[str, Any], timeout: float, after: float) -> None:
        """Hand over an event, and kill the process `after` seconds; an answer that came by then is lost.

        Raises Violation if it cannot start.
        """
        worker = await self.worker(which)
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        asked = asyncio.ensure_future(worker.invoke(self._request_id(), body, self._timeout or timeout))
        await asyncio.wait({asked}, timeout=after)
        worker.kill()
        await asyncio.wait({asked})
        if not isinstance(error := asked.exception(), FunctionError | None):
            raise error
        await worker.close()

    async def _next(self, worker: WorkerProcess) -> None:
        """Until it asks for its next event, or is gone. Raises Violation."""
        try:
            async with asyncio.timeout(self._start_limit):
                await self._while("busy", worker)
        except TimeoutError:
            await worker.close()
            advice = "poll for the next event after each answer"
            raise Violation("answer", f"asked for no further event within {self._start_limit:g} s", advice) from None

    async def _while(self, state: State, worker: WorkerProcess) -> None:
        while worker.state == state:
            self._changed.clear()
            await self._changed.wait()

    def _request_id(self) -> str:
        self._number += 1
        return f"conform-{self._number}"

    def _no_start(self, worker: WorkerProcess) -> Violation:
        failure = worker.failure
        what = "the worker ended" if failure is None else failure.message
        if isinstance(failure, FunctionTimeout):
            return Violation("start", what, "import less, or connect at the first event: the edge gives a start 10 s")
        folder = f" in {self.spec.code}" if self.spec.command else ""
        words = self._last_words()
        return Violation(
            "start", f"{what}{words}", f"correct what it says{folder}; it must poll AWS_LAMBDA_RUNTIME_API"
        )

    def _last_words(self) -> str:
        return f"; it said: {' / '.join(self._said)}" if self._said else ""

    def _log(self, function: str, request: str, line: str) -> None:
        self._said.append(line[:200])
        self._on_log(function, request, line)


def program_of(command: tuple[str, ...], folder: Path) -> FunctionSpec:
    """A program that polls the Runtime API itself."""
    return FunctionSpec("program", "program.handler", folder.resolve(), 3.0, command)
