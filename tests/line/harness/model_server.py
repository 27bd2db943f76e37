"""A language model's server that answers by script: OpenAI's chat completions, streamed, on the loopback interface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

Reply = str | tuple[str, Mapping[str, Any]]
"""Words, or a tool's name with its arguments."""


class ModelServer:
    """Takes the replies in their order."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = ""
        self._replies = list(reversed(replies))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("POST /v1/chat/completions "), head
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            self.keys.append(headers["authorization"])
            self.requests.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            for delta, end in _deltas(self._replies.pop()):
                choice = {"index": 0, "delta": delta, "finish_reason": end}
                chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
                writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            writer.write(b"data: [DONE]\n\n")
            await writer.drain()
        finally:
            writer.close()


def _deltas(reply: Reply) -> list[tuple[dict[str, Any], str | None]]:
    if isinstance(reply, str):
        words = [{"content": f"{word} "} for word in reply.split()]
        return [({"role": "assistant", "content": ""}, None), *((word, None) for word in words), ({}, "stop")]
    name, arguments = reply
    text = json.dumps(arguments)
    opened = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
    halves = [{"index": 0, "function": {"arguments": part}} for part in (text[:3], text[3:])]
    parts: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [opened]}]
    return [*((delta, None) for delta in [*parts, *({"tool_calls": [half]} for half in halves)]), ({}, "tool_calls")]


@asynccontextmanager
async def model(*replies: Reply) -> AsyncIterator[ModelServer]:
    """A model that says this."""
    server = ModelServer(replies)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()
