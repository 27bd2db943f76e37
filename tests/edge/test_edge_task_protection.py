"""ECS's agent, on a real socket, hears when calls begin and end, and control goes on where it refuses."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cordboard.edge.control import task_protection
from cordboard.edge.control.http import HttpServer, bind_tcp
from cordboard.edge.control.task_protection import protect

PATIENCE = 10.0


class Agent:
    """Answers as the scripted ones say, then as ECS does."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.script: list[Response] = []

    async def _put(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.asked.put_nowait(body)
        if self.script:
            return self.script.pop(0)
        return JSONResponse({"protection": {"ProtectionEnabled": body["ProtectionEnabled"], "TaskArn": "arn"}})

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.asked.get()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        listener = bind_tcp("127.0.0.1", 0)
        app = Starlette(routes=[Route("/api/t1/task-protection/v1/state", self._put, methods=["PUT"])])
        server = HttpServer(app, listener)
        await server.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/t1"
        finally:
            await server.close()


@asynccontextmanager
async def protecting(agent: Agent, calls: list[int]) -> AsyncIterator[None]:
    async with agent.serving() as address:
        task = asyncio.create_task(protect(address, lambda: len(calls), poll=0.01))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


ON = {"ProtectionEnabled": True, "ExpiresInMinutes": 60}
OFF = {"ProtectionEnabled": False}


def test_it_follows_the_calls_and_clears_what_a_former_life_left() -> None:
    async def body() -> None:
        agent, calls = Agent(), list[int]()
        async with protecting(agent, calls):
            assert await agent.next() == OFF
            calls.append(1)
            assert await agent.next() == ON
            calls.append(2)
            calls.pop()
            calls.pop()
            assert await agent.next() == OFF
        assert agent.asked.empty()

    asyncio.run(body())


def test_a_long_call_renews_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        agent = Agent()
        async with protecting(agent, [1]):
            for _ in range(3):
                assert await agent.next() == ON

    monkeypatch.setattr(task_protection, "RENEWAL", 0.02)
    asyncio.run(body())


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (JSONResponse({"error": {"Code": "AccessDeniedException", "Message": "no role"}}, 400), "HTTP 400 AccessDen"),
        (JSONResponse({"failure": {"Reason": "TASK_NOT_VALID", "Detail": "no service"}}), "HTTP 200 TASK_NOT_VALID no"),
        (JSONResponse({"protection": {"ProtectionEnabled": False}}), "HTTP 200"),
        (Response("<html>", 502), "HTTP 502"),
        (JSONResponse([1]), "HTTP 200"),
    ],
)
def test_a_refusal_is_told_once_and_asked_again(
    caplog: pytest.LogCaptureFixture, response: Response, told: str
) -> None:
    async def body() -> None:
        agent = Agent()
        agent.script = [response, response]
        async with protecting(agent, [1]):
            for _ in range(3):
                assert await agent.next() == ON

    with caplog.at_level(logging.ERROR):
        asyncio.run(body())
    (message,) = [record.message for record in caplog.records]
    assert message.startswith(f"calls are not protected from ECS: {told}")


def test_an_agent_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        task = asyncio.create_task(protect("http://127.0.0.1:1", lambda: 1, poll=0.001))
        async with asyncio.timeout(PATIENCE):
            while not caplog.records:  # noqa: ASYNC110 - a log says no word
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.ERROR):
        asyncio.run(body())
    assert "the agent does not answer (ConnectError)" in caplog.text
