"""The edge's clients of both agents' sockets on a real TCP stream, for tests against the stand-in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from cordboard.agents.connection import AgentConnection, connect
from cordboard.agents.events import AgentEvent, Closed
from cordboard.agents.state import InputFormat
from cordboard.line.server import LineServer

from .line_peer import LIMIT

E = TypeVar("E", bound=AgentEvent)


class Shell:
    """The smallest possible shell: moves bytes between a agent connection and a TCP stream."""

    def __init__(self, line: AgentConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.line = line
        self.events: list[AgentEvent] = []
        self._reader = reader
        self._writer = writer

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def flush(self) -> None:
        """Write what the protocol wants written."""
        for data in self.line.data_to_send(self.now):
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()

    async def next(self) -> AgentEvent:
        """Return the next event."""
        while (event := self.line.next_event()) is None:
            try:
                data = await self._reader.read(65536)
            except ConnectionResetError as exc:
                self.line.connection_lost(str(exc), self.now)
                continue
            if data:
                self.line.receive_data(data, self.now)
            else:
                self.line.receive_eof(self.now)
            self.flush()
        self.events.append(event)
        return event

    async def until(self, kind: type[E]) -> E:
        """Return the next event of a kind."""
        while True:
            event = await self.next()
            if isinstance(event, kind):
                return event


@asynccontextmanager
async def connected(
    server: LineServer, agent: str = "a", input_format: InputFormat = "mulaw_8000", version: str = "2025-04-16"
) -> AsyncIterator[Shell]:
    """A client of that version whose handshake is under way."""
    line = connect(
        version,
        base_url=f"ws://127.0.0.1:{server.port}",
        agent_id=agent,
        api_key="sk_test",
        input_format=input_format,
        rng=random.Random(5),
        now=asyncio.get_running_loop().time(),
    )
    reader, writer = await asyncio.open_connection(line.host, line.port)
    shell = Shell(line, reader, writer)
    line.connected(shell.now)
    shell.flush()
    try:
        yield shell
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionResetError:
            assert any(isinstance(event, Closed) and event.by == "network" for event in shell.events)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test for ten seconds at most."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test

    asyncio.run(limited())
