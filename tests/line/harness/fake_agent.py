"""An agent program for tests, written from the documents alone: HTTP and WebSocket on one port, without the SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from cordboard.line.ears.ear import Ears
from cordboard.line.ears.scripted import ScriptedEars
from cordboard.line.ears.turns import Turns, energy
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentUrl
from cordboard.line.platform.service import Options
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.line.voices.voice import Voice

from ..line_peer import LIMIT

VERSIONED = {"websocket_url": "/ws", "cartesia_version": "2026-04-03", "metadata": {}}


class Session:
    """The program's side of one call."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.protocol = ServerProtocol()
        self.received: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.frozen = False
        """Whether nothing is read or answered any more, though the connection stands."""
        self._writer = writer
        self._news = asyncio.Event()

    def send(self, message: Mapping[str, Any] | str) -> None:
        """Send one message."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.protocol.send_text(text.encode())
        self.flush()

    def close(self, code: int = 1000) -> None:
        """Close as the SDK does."""
        self.protocol.send_close(code)
        self.flush()

    def flush(self) -> None:
        """Write what the protocol wants written."""
        for data in self.protocol.data_to_send():
            if data:
                self._writer.write(data)
            else:
                self._writer.close()

    async def until(self, **fields: object) -> dict[str, Any]:
        """Return the next message with these fields; those before it are dropped."""
        while True:
            while self.received:
                message = self.received.pop(0)
                if fields.items() <= message.items():
                    return message
            if self.close_code is not None:
                raise AssertionError(f"closed without {fields}")
            await self._wait()

    async def closed(self) -> int:
        """Return the close code that was received."""
        while self.close_code is None:
            await self._wait()
        return self.close_code

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def receive(self, data: bytes) -> None:
        """Take bytes of the harness."""
        if self.frozen:
            self.close_code = None if data else 1006
            return
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.protocol.send_response(self.protocol.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.received.append(json.loads(bytes(event.data)))
        self.flush()
        if self.protocol.close_rcvd is not None or not data:
            self.close_code = self.protocol.close_rcvd.code if self.protocol.close_rcvd else 1006
        self._news.set()


class FakeAgent:
    """The program."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = VERSIONED
        self.silent = False
        self.chats: list[dict[str, Any]] = []
        self.targets: list[str] = []
        self.sessions: asyncio.Queue[Session] = asyncio.Queue()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST /chats "):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.chats.append(json.loads(await reader.readexactly(length)))
                if self.silent:
                    await reader.read()
                    return
                body = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            elif head.startswith(b"GET /status "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            else:
                self.targets.append(head.split()[1].decode())
                session = Session(writer)
                session.receive(head)
                self.sessions.put_nowait(session)
                while session.close_code is None:
                    session.receive(await reader.read(65536))
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def harnessing(
    *utterances: str,
    settings: str = "",
    ears: bool | Ears = True,
    turns: Turns = energy,
    dtmf_turns: bool = True,
    voice: Voice | None = None,
    options: Options | None = None,
    host: str = "127.0.0.1",
    public_url: str = "",
) -> AsyncIterator[tuple[LineServer, FakeAgent]]:
    """A stand-in whose agent `a` is a fake program; `settings` are as in a script. It hears `utterances`, or by other
    ears, or not at all."""
    agent = FakeAgent()
    async with asyncio.timeout(LIMIT):
        listener = await asyncio.start_server(agent.serve, "127.0.0.1", 0)
        agent.port = listener.sockets[0].getsockname()[1]
        harness = Harness(
            AgentUrl(f"http://127.0.0.1:{agent.port}"),
            ScriptedEars(utterances) if ears is True else ears or None,
            turns,
            dtmf_turns=dtmf_turns,
        )
        script = parse(f'[speech]\nengine = "tones"\n[agents.a]\n{settings}', Path())
        server = LineServer(
            script,
            host,
            0,
            seed=1,
            harnesses={"a": harness},
            voice=voice,
            options=options,
            public_url=public_url,
        )
        await server.start()
        try:
            yield server, agent
        finally:
            await server.close()
            listener.close()
            await listener.wait_closed()
