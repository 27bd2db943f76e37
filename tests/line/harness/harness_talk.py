"""One call between a fake program and a raw client, up to the point where a test begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from cordboard.line.server import LineServer

from ..line_peer import LIMIT, Peer, calling
from .fake_agent import FakeAgent, Session, harnessing

FAST = 'delivery = "as_available"\n'


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    asyncio.run(limited())


async def begin(peer: Peer, agent: FakeAgent, **fields: Any) -> Session:
    await peer.start(**fields)
    assert (await peer.receive())["event"] == "ack"
    session = await agent.sessions.get()
    await session.until(type="start")
    return session


Talk = Callable[[LineServer, FakeAgent, Peer, Session], Awaitable[None]]


def talk(test: Talk, *utterances: str, **options: Any) -> None:
    """One call that has begun; `test` does the rest."""

    async def whole() -> None:
        async with harnessing(*utterances, **options) as (server, agent), calling(server) as peer:
            await test(server, agent, peer, await begin(peer, agent))

    run(whole())
