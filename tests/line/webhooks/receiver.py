"""A receiver of webhooks on a real port: answers what it is told to, and remembers what came."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

Answer = Callable[[dict[str, Any]], int | None]
"""Status for an event; None: never answers."""


class Receiver:
    """HTTP/1.1, one request a connection."""

    def __init__(self, answer: Answer = lambda event: 204) -> None:
        self.answer = answer
        self.came: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/webhooks/cartesia"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None
        tasks = tuple(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def types(self) -> list[str]:
        return [event["type"] for event in self.taken]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            event = json.loads(await reader.readexactly(int(headers["content-length"])))
            self.headers.append(headers)
            self.came.append(event)
            status = self.answer(event)
            self._changed.set()
            if status is None:
                await reader.read()  # until the sender gives up
                return
            if 200 <= status < 300:
                self.taken.append(event)
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.at_once -= 1
            self._changed.set()
            writer.close()


@contextlib.asynccontextmanager
async def receiver(answer: Answer = lambda event: 204) -> AsyncIterator[Receiver]:
    found = Receiver(answer)
    await found.open()
    try:
        yield found
    finally:
        if found._server is not None:
            await found.close()
