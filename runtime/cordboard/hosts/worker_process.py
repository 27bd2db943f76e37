"""One worker process, awslambdaric or another program: its start, one event at a time, its output, its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final, Literal

from .errors import AnswerTooLarge, FunctionCrashed, FunctionError, FunctionRaised, FunctionTimeout
from .host import OnLog
from .runtime_api import RESPONSE_TOO_LARGE, Fault, Response, RuntimeApi
from .template import FunctionSpec
from .worker import LAYERS_VARIABLE

INIT_TIMEOUT: Final = 10.0  # seconds until the worker asks for its first event; Lambda's limit of the init phase
MAX_LINE: Final = 8 * 1024  # bytes of one line of output; longer ones are cut into several
PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")
"""Variables of the edge that a worker sees; all others stay with the edge."""

State = Literal["starting", "idle", "busy", "dead"]


class WorkerProcess:
    """A worker of one function. `on_change` is called when it becomes idle and when it is dead."""

    def __init__(
        self,
        spec: FunctionSpec,
        environment: Mapping[str, str],
        on_log: OnLog,
        on_change: Callable[["WorkerProcess"], None],
        *,
        init_timeout: float = INIT_TIMEOUT,
    ) -> None:
        self.spec = spec
        self.state: State = "starting"
        self.failure: FunctionError | None = None
        """Why it died before its first event."""
        self._environment = environment
        self._on_log = on_log
        self._on_change = on_change
        self._init_timeout = init_timeout
        self._api = RuntimeApi(self._ready, self._answered, self._faulted)
        self._answer: asyncio.Future[bytes] | None = None
        self._request_id = ""
        self._process: asyncio.subprocess.Process | None = None
        self._init_timer: asyncio.TimerHandle | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, once it was spawned."""
        return None if self._process is None else self._process.pid

    @property
    def waits(self) -> bool:
        """It asks for an event at this moment."""
        return self.state == "idle" and self._api.ready

    def start(self) -> None:
        """Spawn in the background; `on_change` tells when it is idle or dead."""
        loop = asyncio.get_running_loop()
        self._init_timer = loop.call_later(self._init_timeout, self._init_too_long)
        self._life = loop.create_task(self._live(), name=f"worker of {self.spec.name}")

    async def invoke(self, request_id: str, body: bytes, timeout: float) -> bytes:
        """One event; the worker must be idle. A worker that is late, or whose caller gives up, is killed.

        Raises FunctionTimeout, FunctionCrashed, FunctionRaised, AnswerTooLarge.
        """
        assert self.state == "idle"
        self.state = "busy"
        self._request_id = request_id
        self._answer = asyncio.get_running_loop().create_future()
        if not self._api.dispatch(request_id, self.spec.name, body, timeout):
            self.kill()
            raise FunctionCrashed(self.spec.name, "the worker was gone before it took the event")
        try:
            async with asyncio.timeout(timeout):
                return await self._answer
        except TimeoutError as error:
            self.kill()
            raise FunctionTimeout(self.spec.name, f"no answer within {timeout:g} s; the worker was killed") from error
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._answer = None

    def kill(self) -> None:
        """End it and its children at once; nobody may use it any more, and `on_change` follows when it is gone."""
        self.state = "dead"
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill it and wait until nothing of it is left."""
        self.kill()
        if self._life is not None:
            if self._process is None:
                self._life.cancel()
            await asyncio.wait({self._life})

    # -- the Runtime API's callbacks

    def _ready(self) -> None:
        if self._init_timer is not None:
            self._init_timer.cancel()
            self._init_timer = None
        if self.state in ("starting", "busy"):
            self.state = "idle"
            self._on_change(self)

    def _answered(self, response: Response) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response.body)

    def _faulted(self, fault: Fault) -> None:
        error: FunctionError
        if fault.kind == RESPONSE_TOO_LARGE:
            error = AnswerTooLarge(self.spec.name, fault.message)
        else:
            error = FunctionRaised(self.spec.name, f"{fault.kind}: {fault.message}")
        if not fault.request_id:
            self.failure = error
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # -- life

    async def _live(self) -> None:
        try:
            address = await self._api.start()
            self._process = process = await asyncio.create_subprocess_exec(
                *(self.spec.command or (sys.executable, "-m", "cordboard.hosts.worker", self.spec.handler)),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=self.spec.code, env=worker_environment(self.spec, address, self._environment, os.environ),
                start_new_session=True,
            )  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            await asyncio.gather(self._read(process.stdout), self._read(process.stderr), self._wait(process))
        except OSError as error:
            self.failure = FunctionCrashed(self.spec.name, f"the worker cannot be started: {error}")
        finally:
            await self._end()

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):  # children that hold its pipes
            os.killpg(process.pid, signal.SIGKILL)
        crashed = FunctionCrashed(self.spec.name, f"the worker ended with code {code}")
        if self.state == "starting" and self.failure is None:
            self.failure = crashed
        self.state = "dead"
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(crashed)

    async def _end(self) -> None:
        self.state = "dead"
        if self._init_timer is not None:
            self._init_timer.cancel()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        await self._api.close()
        self._on_change(self)

    def _init_too_long(self) -> None:
        self._init_timer = None
        self.failure = FunctionTimeout(self.spec.name, f"asked for no event within {self._init_timeout:g} s")
        self.kill()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while data := await stream.read(MAX_LINE):
            # awslambdaric puts the lines of an error behind one another with \r
            *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                self._log(line)
            if len(rest) >= MAX_LINE:
                self._log(rest)
                rest = b""
        self._log(rest)

    def _log(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._on_log(self.spec.name, self._request_id, text)


def worker_environment(
    spec: FunctionSpec, address: str, given: Mapping[str, str], edge: Mapping[str, str]
) -> dict[str, str]:
    """A worker's whole environment: little of the edge's, what Lambda sets, and what the edge was told to give."""
    return {
        **{name: edge[name] for name in PASSED_ON if name in edge},
        **spec.variables,
        "TZ": ":UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "LAMBDA_TASK_ROOT": str(spec.code),
        "_HANDLER": spec.handler,
        LAYERS_VARIABLE: os.pathsep.join(map(str, spec.layers)),
        # AWS_EXECUTION_ENV stays unset: for 3.12 and later it makes the client poll in a thread, which costs ms
        **given,
    }


def silent(function: str, request_id: str, line: str) -> None:
    """An OnLog that drops lines."""
