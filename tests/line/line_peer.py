"""A raw WebSocket client for the stand-in's tests: plain JSON over websockets, nothing of `agents`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from cordboard.line.script import parse
from cordboard.line.server import LineServer

HEADERS = {"Authorization": "Bearer token", "Cartesia-Version": "2025-04-16"}
LIMIT = 10.0
"""Seconds after which a test that waits has failed."""

SILENCE = b"\xff" * 160
LOUD = b"\x00\x80" * 80
"""20 ms of µ-law at full scale, 4 kHz."""


@asynccontextmanager
async def serving(text: str, folder: Path = Path()) -> AsyncIterator[LineServer]:
    """A server on a free port of the loop-back interface."""
    script = parse('[speech]\nengine = "tones"\n' + text, folder)
    server = LineServer(script, "127.0.0.1", 0, seed=1)
    async with asyncio.timeout(LIMIT):
        await server.start()
        try:
            yield server
        finally:
            await server.close()


class Peer:
    """One client of the wire."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send one message."""
        await self.socket.send(json.dumps(message))

    async def start(self, **fields: Any) -> None:
        """Send `start`."""
        await self.send({"event": "start", "config": {"input_format": "mulaw_8000"}, "metadata": {}, **fields})

    async def audio(self, payload: bytes, times: int = 1) -> None:
        """Send the caller's audio."""
        for _ in range(times):
            await self.send({"event": "media_input", "media": {"payload": base64.b64encode(payload).decode()}})

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        message = json.loads(await self.socket.recv())
        assert isinstance(message, dict)
        return message

    async def until(self, event: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the next message of that name (or type), and those before it."""
        before: list[dict[str, Any]] = []
        while True:
            message = await self.receive()
            if event in (message.get("event"), message.get("type")):
                return message, before
            before.append(message)

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end; return close code and reason."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def calling(
    server: LineServer, agent: str = "a", query: str = "", *, host: str = "127.0.0.1"
) -> AsyncIterator[Peer]:
    """An open socket to an agent."""
    url = f"ws://{host}:{server.port}/agents/stream/{agent}{query}"
    async with connect(url, additional_headers=HEADERS, compression=None, ping_interval=None, proxy=None) as socket:
        yield Peer(socket)


class ManagedPeer(Peer):
    """One client of the Managed wire."""

    async def create(self, audio: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Send `session_create`."""
        await self.send({"type": "session_create", "audio": audio or {"input_format": "mulaw_8000"}, **fields})

    async def audio(self, payload: bytes, times: int = 1) -> None:
        """Send the caller's audio."""
        for _ in range(times):
            await self.send({"type": "audio_input", "audio": base64.b64encode(payload).decode()})

    async def answer(self, call: Mapping[str, Any], result: str, **fields: Any) -> None:
        """Answer a client tool."""
        id = call["tool_call_id"]
        await self.send({"type": "client_tool_result", "tool_call_id": id, "result": result, **fields})


@asynccontextmanager
async def calling_managed(server: LineServer, agent: str = "a", *, token: str = "") -> AsyncIterator[ManagedPeer]:
    """An open socket to a Managed agent; with a browser's token in place of a key when one is given."""
    url = f"ws://127.0.0.1:{server.port}/v1/agents/websocket/{agent}?cartesia_version=2026-08-14"
    url, headers = (f"{url}&access_token={token}", {}) if token else (url, {"X-API-Key": "sk_key"})
    async with connect(url, additional_headers=headers, compression=None, ping_interval=None, proxy=None) as socket:
        yield ManagedPeer(socket)
