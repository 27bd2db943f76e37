"""A stand-in with its platform, and a plain HTTP client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from cordboard.line.harness.harness import Harness
from cordboard.line.platform.service import Options
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.line.webhooks.sender import Webhooks

from ..line_peer import LIMIT

VERSION = "2026-03-01"
KEY = "sk_test"
HEADERS = {"Authorization": f"Bearer {KEY}", "Cartesia-Version": VERSION}

TALKER = '[agents.a]\ngreeting = "Hello"\ndelivery = "as_available"\n'


class Stage:
    """What a test has."""

    def __init__(self, server: LineServer, http: httpx.AsyncClient) -> None:
        self.server = server
        self.http = http

    async def json(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The answer's JSON; its status must be `status`."""
        response = await self.http.request(method, path, **options)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    async def fault(self, method: str, path: str, status: int, **options: Any) -> tuple[str, str]:
        """Code and message of a refusal."""
        told = await self.json(method, path, status, **options)
        assert told["status_code"] == status
        assert told["title"]
        assert told["request_id"].startswith("req_")
        return told["error_code"], told["message"]

    async def ended(self, at: int = -1) -> str:
        """The id of a call that is over."""
        record = self.server.calls[at]
        await record.finished.wait()
        return record.call_id


@asynccontextmanager
async def stage(
    script: str = TALKER,
    *,
    harnesses: Mapping[str, Harness] | None = None,
    webhooks: Webhooks | None = None,
    **options: Any,
) -> AsyncIterator[Stage]:
    """A stand-in on a free port; `options` of its platform."""
    parsed = parse('[speech]\nengine = "tones"\n' + script, Path())
    server = LineServer(
        parsed, "127.0.0.1", 0, seed=1, harnesses=harnesses, webhooks=webhooks, options=Options(**options)
    )
    try:
        await server.start()
        base = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base, headers=HEADERS, trust_env=False) as http:
            yield Stage(server, http)
    finally:
        await server.close()


Test = Callable[[Stage], Coroutine[Any, Any, None]]


def play(test: Test, script: str = TALKER, **options: Any) -> None:
    """Run a test on a stage, and see that it leaves no task."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT), stage(script, **options) as ready:
            await test(ready)
        await asyncio.sleep(0)
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(limited())
