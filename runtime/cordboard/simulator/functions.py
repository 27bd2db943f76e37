"""Functions in the simulated world: loaded from template.yaml, run to their answer within one step of the heap.

asyncio serves the handlers' coroutines alone, on a loop whose time is virtual: a handler that sleeps three seconds is
answered three virtual seconds later, and takes none of ours. Leaves out threads, sockets and child processes: a
handler that asks for one is told so by `NotInVirtualTime`.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, Unpack

from cordboard.contract.codec import decode
from cordboard.contract.records import DESCRIBE_SCHEMA, Description
from cordboard.contract.release import Release
from cordboard.hosts.errors import FunctionRaised, FunctionTimeout, TemplateError
from cordboard.hosts.host import read_answer
from cordboard.hosts.in_process import Function, Namespace, load_function
from cordboard.hosts.template import FunctionSpec, read_template
from cordboard.scenario import Stores

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class NotInVirtualTime(RuntimeError):
    """A handler waits for something that only real time brings: a thread, a socket, a process."""


class _Selector:
    """Stands where asyncio looks for sockets: there are none, so waiting moves the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        """Let `timeout` pass."""
        if timeout is None:
            raise NotInVirtualTime("a handler waits for something that nothing in virtual time brings about")
        self._loop.moment += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets whose time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0
        self._selector = _Selector(self)

    def time(self) -> float:
        """Virtual seconds."""
        return self.moment

    def _process_events(self, event_list: list[object]) -> None:
        return

    def _write_to_self(self) -> None:
        return

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Refused: a thread knows no virtual time."""
        raise NotInVirtualTime("a handler asked for a thread; the simulator has none")


class Functions:
    """The functions of one template, loaded once."""

    def __init__(self, template: Path, stores: Stores, *, code: Path | None = None) -> None:
        """`code`: a folder in place of the one that the template names. Raises TemplateError, FunctionRaised,
        RouteConflict."""
        self._stores = stores
        self._loop = VirtualLoop()
        self._namespaces: list[Namespace] = []
        self._functions: dict[str, Function] = {}
        try:
            specs = _from(read_template(template), template, code)
            for spec in specs:
                namespace = Namespace(spec.code)
                self._namespaces.append(namespace)
                self._functions[spec.name] = load_function(spec, namespace)
            found = {spec.name: self._describe(spec.name) for spec in specs}
            self.release = Release(_hash(template, specs), found)
        except BaseException:
            self.close()
            raise

    def invoke(
        self, function: str, payload: Mapping[str, Any], timeout: float, now: float
    ) -> tuple[dict[str, Any], float]:
        """(answer, virtual seconds it took) of one round. Raises FunctionError kinds; `took` tells their time."""
        self._loop.moment = max(self._loop.moment, now)
        began = self._loop.moment
        body = json.loads(json.dumps(payload))
        try:
            answer = self._loop.run_until_complete(self._run(function, body, timeout))
        finally:
            self.took = self._loop.moment - began
        return read_answer(function, json.dumps(answer).encode()), self.took

    took = 0.0
    """Virtual seconds of the last round, also where it brought no answer."""

    async def _run(self, function: str, body: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout):
                return await self._functions[function].run(body, stores=self._stores)
        except TimeoutError as error:
            raise FunctionTimeout(function, f"no answer within {timeout:g} s") from error
        except NotInVirtualTime:
            raise
        except Exception as error:
            raise FunctionRaised(function, f"{type(error).__name__}: {error}") from error

    def _describe(self, function: str) -> Description:
        answer, _ = self.invoke(function, {"schema": DESCRIBE_SCHEMA}, 10.0, 0.0)
        return decode(Description, answer, unknown="ignore")

    def close(self) -> None:
        """Forget the modules and the loop."""
        for namespace in self._namespaces:
            namespace.close()
        if not self._loop.is_closed():
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_soon(lambda: None)
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()


def _from(specs: tuple[FunctionSpec, ...], template: Path, code: Path | None) -> tuple[FunctionSpec, ...]:
    if code is None:
        return specs
    folders = sorted({str(spec.code) for spec in specs})
    if len(folders) > 1:
        raise TemplateError(f"{template}: its functions have the folders {', '.join(folders)}; {code} is only one")
    return tuple(replace(spec, code=code.resolve()) for spec in specs)


def _hash(template: Path, specs: tuple[FunctionSpec, ...]) -> str:
    digest = hashlib.sha256(template.read_bytes())
    for folder in sorted({spec.code for spec in specs}):
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"\0{file.relative_to(folder)}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
