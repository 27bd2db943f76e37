"""The interface of a function host, releases, and what both hosts share: snapshots, routes, sizes, lifetimes."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cordboard.contract.codec import DecodeError, decode
from cordboard.contract.records import DESCRIBE_SCHEMA, MAX_ANSWER, MAX_REQUEST, Description
from cordboard.contract.release import Release, RouteConflict

from .errors import AnswerTooLarge, FunctionError, FunctionRaised, NoSuchFunction, ReleaseError, RequestTooLarge
from .snapshot import Snapshot, sweep_snapshots, take_snapshot

OnLog = Callable[[str, str, str], None]
"""(function, request id or "", line): what a function printed."""
DESCRIBE_TIMEOUT = 10.0
"""Seconds for a function's import and description (Lambda's limit of the init phase)."""


class FunctionHost(Protocol):
    """Where functions run."""

    @property
    def current(self) -> Release:
        """The release that new sessions take. Raises RuntimeError before `start`."""

    async def start(self) -> Release:
        """Load the template and ask each function once. Raises TemplateError, ReleaseError, FunctionError."""

    async def reload(self) -> Release:
        """The new release if the code changed, for new sessions only. Raises as `start`; the old one then stays."""

    async def invoke(
        self, release_id: str, function: str, payload: Mapping[str, Any], *, timeout: float
    ) -> dict[str, Any]:
        """One round; `timeout` in seconds. Raises FunctionError kinds."""

    def retain(self, release_id: str) -> None:
        """A session takes the release. Raises NoSuchFunction if it is gone."""

    def done(self, release_id: str) -> None:
        """That session has ended; an old release ends with its last one."""

    async def close(self) -> None:
        """End everything that runs."""


class Backend(Protocol):
    """The running functions of one release."""

    async def invoke(self, function: str, body: bytes, timeout: float) -> dict[str, Any]:
        """The answer, as `read_answer` gives it. Raises FunctionError kinds."""

    async def close(self) -> None:
        """End what runs; idempotent."""


class Code(Protocol):
    """One state of the functions' code, wherever it lies."""

    @property
    def id(self) -> str:
        """Release id; the same code has the same."""

    def names(self) -> tuple[str, ...]:
        """Names of its functions."""

    def remove(self) -> None:
        """Give back what was taken for it; blocking, once only."""


AnyCode = TypeVar("AnyCode", bound=Code)


@dataclass(slots=True)
class _Held(Generic[AnyCode]):
    release: Release
    code: AnyCode
    backend: Backend
    sessions: int = 0


class ReleasingHost(Generic[AnyCode]):
    """A FunctionHost over one kind of code and backend."""

    def __init__(self) -> None:
        self._held: dict[str, _Held[AnyCode]] = {}
        self._current: Release | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._loading = asyncio.Lock()

    def _take(self) -> AnyCode:
        """The code as it is now; blocking. Raises TemplateError, ReleaseError."""
        raise NotImplementedError

    def _open(self, code: AnyCode) -> Backend:
        raise NotImplementedError

    @property
    def current(self) -> Release:
        """See FunctionHost."""
        if self._current is None:
            raise RuntimeError("the function host is not started")
        return self._current

    async def start(self) -> Release:
        """See FunctionHost."""
        return await self.reload()

    async def reload(self) -> Release:
        """See FunctionHost."""
        async with self._loading:
            code = await asyncio.to_thread(self._take)
            if code.id in self._held:  # unchanged, or back to code that sessions still hold
                code.remove()
                held = self._held[code.id]
            else:
                held = await self._load(code)
                self._held[code.id] = held
            before, self._current = self._current, held.release
            if before is not None:
                self._end_if_unused(before.id)
            return held.release

    async def _load(self, code: AnyCode) -> _Held[AnyCode]:
        backend: Backend | None = None
        try:
            backend = self._open(code)
            functions = {name: await _describe(backend, name) for name in code.names()}
            self._check(functions)
            try:
                release = Release(code.id, functions)
            except RouteConflict as error:
                raise ReleaseError(str(error)) from error
            return _Held(release, code, backend)
        except BaseException:
            if backend is not None:
                await backend.close()
            code.remove()
            raise

    def _check(self, functions: Mapping[str, Description]) -> None:
        """Raises ReleaseError for functions that are not of one state of the code."""

    async def invoke(
        self, release_id: str, function: str, payload: Mapping[str, Any], *, timeout: float
    ) -> dict[str, Any]:
        """See FunctionHost."""
        held = self._held.get(release_id)
        if held is None or function not in held.release.functions:
            raise NoSuchFunction(function, f"release {release_id!r} has no such function here")
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        if len(body) > MAX_REQUEST:
            raise RequestTooLarge(function, f"the invocation has {len(body)} bytes; the limit is {MAX_REQUEST}")
        return await held.backend.invoke(function, body, timeout)

    def retain(self, release_id: str) -> None:
        """See FunctionHost."""
        if release_id not in self._held:
            raise NoSuchFunction("*", f"release {release_id!r} is not held any more")
        self._held[release_id].sessions += 1

    def done(self, release_id: str) -> None:
        """See FunctionHost."""
        held = self._held.get(release_id)
        if held is None or held.sessions == 0:
            raise RuntimeError(f"done({release_id!r}) without retain")
        held.sessions -= 1
        self._end_if_unused(release_id)

    def _end_if_unused(self, release_id: str) -> None:
        held = self._held[release_id]
        if held.sessions or (self._current is not None and self._current.id == release_id):
            return
        del self._held[release_id]
        task = asyncio.get_running_loop().create_task(_end(held), name=f"end of release {release_id}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """See FunctionHost."""
        async with self._loading:
            held, self._held = list(self._held.values()), {}
            self._current = None
            await asyncio.gather(*(_end(item) for item in held), *self._closing)


async def _end(held: _Held[Any]) -> None:
    await held.backend.close()
    await asyncio.to_thread(held.code.remove)


class SnapshotHost(ReleasingHost[Snapshot]):
    """A FunctionHost over copies of the code that a template names."""

    def __init__(self, template: Path) -> None:
        super().__init__()
        self._template = template

    async def start(self) -> Release:
        """See FunctionHost."""
        await asyncio.to_thread(sweep_snapshots)
        return await super().start()

    def _take(self) -> Snapshot:
        return take_snapshot(self._template)


async def _describe(backend: Backend, function: str) -> Description:
    answer = await backend.invoke(function, b'{"schema":"%s"}' % DESCRIBE_SCHEMA.encode(), DESCRIBE_TIMEOUT)
    try:
        return decode(Description, answer, unknown="ignore")
    except DecodeError as error:
        raise FunctionRaised(
            function, f"its description does not fit ({error}); is it made by scenario.lambda_handler()?"
        ) from error


def read_answer(function: str, body: bytes) -> dict[str, Any]:
    """The answer's JSON object. Raises AnswerTooLarge, FunctionRaised."""
    if len(body) > MAX_ANSWER:
        raise AnswerTooLarge(function, f"the answer has {len(body)} bytes; the limit is {MAX_ANSWER}")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FunctionRaised(function, f"the answer is no JSON: {error}") from error
    if not isinstance(answer, dict):
        raise FunctionRaised(function, "the answer is no JSON object; is the handler scenario.lambda_handler()?")
    return answer


__all__ = [
    "Backend",
    "FunctionError",
    "FunctionHost",
    "OnLog",
    "Release",
    "ReleasingHost",
    "SnapshotHost",
    "read_answer",
]
