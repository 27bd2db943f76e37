"""`/tts/websocket`: Sonic's socket, spoken by the stand-in's own voice, faster than real time.

Follows reference cartesia-protocols §5.1: many contexts on a socket, continuations joined verbatim, flush, cancel, word
timings, errors that end their context alone. Text is spoken by whole sentences, or when it was flushed, ended, or has
waited for `max_buffer_delay_ms`. Leaves out limits by plan, and voices that the engine does not have.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

from cordboard.line.services import tts_messages as messages
from cordboard.line.services.tts_messages import Cancel, Generation, RequestFault
from cordboard.line.voices.sentences import split
from cordboard.line.voices.voice import Piece, Reading, Voice, VoiceFailed, speak

IDLE_SECONDS = 300.0
"""Seconds without a request after which a socket is closed (§5.1)."""

CONTEXT_SECONDS = 1.0
"""Seconds after its last audio that a context lives without new text (§5.1)."""

SILENT_SECONDS = 60.0
"""Seconds that a context lives which has not spoken yet; our choice."""

MAX_CONTEXTS = 50
"""Contexts of a socket at once."""

MAX_PIECES = 1000
"""Requests of a context that wait."""

MAX_SPEAKING = 4
"""Pieces of speech made at once, of all sockets: each may be a process."""

CHUNK_SECONDS = 0.2
"""Audio of one message."""


def version_of(request: Request) -> str:
    """Return the client's `Cartesia-Version`: of the query, else of the header."""
    query = parse_qs(urlsplit(request.path).query)
    return query.get("cartesia_version", [""])[0] or request.headers.get("Cartesia-Version", "")


class TtsService:
    """Serves sockets by one voice."""

    def __init__(self, voice: Voice) -> None:
        """`voice` is started by then."""
        self._voice = voice
        self._slots = asyncio.Semaphore(MAX_SPEAKING)

    async def serve(self, socket: ServerConnection, request: Request) -> None:
        """Serve one socket to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                client = _Client(socket, version_of(request), self._voice, self._slots, group)
                await client.receive()
                client.close()
        except* ConnectionClosed:
            pass


class _Client:
    def __init__(
        self,
        socket: ServerConnection,
        version: str,
        voice: Voice,
        slots: asyncio.Semaphore,
        group: asyncio.TaskGroup,
    ) -> None:
        self._socket = socket
        self._version = version
        self._group = group
        self._contexts: dict[str, _Context] = {}
        self.voice = voice
        self.slots = slots

    async def receive(self) -> None:
        """Take requests until the socket ends."""
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await self._socket.recv()
            except ConnectionClosed:
                return
            except TimeoutError:
                await self._socket.close(1000, "connection idle timeout")
                return
            try:
                self._take(messages.parse(data, self._version))
            except RequestFault as fault:
                await self.fail(fault)

    def close(self) -> None:
        """End all contexts."""
        for context in self._contexts.values():
            context.task.cancel()

    async def send(self, message: messages.Message) -> None:
        """Send a message."""
        await self._socket.send(json.dumps(message))

    async def fail(self, fault: RequestFault) -> None:
        """Tell of an error, which ends its context."""
        context = self._contexts.pop(fault.context_id, None)
        if context is not None and context.task is not asyncio.current_task():
            context.task.cancel()
        await self.send(messages.error(fault, self._version))

    def forget(self, context: _Context) -> None:
        """A context has ended by itself."""
        if self._contexts.get(context.id) is context:
            del self._contexts[context.id]

    def _take(self, request: Generation | Cancel) -> None:
        context = self._contexts.get(request.context_id)
        if isinstance(request, Cancel):
            if context is None:
                raise RequestFault("Invalid context ID", context_id=request.context_id, code="invalid_context_id")
            del self._contexts[request.context_id]
            context.task.cancel()
            return
        if context is None:
            if len(self._contexts) >= MAX_CONTEXTS:
                text = f"more than {MAX_CONTEXTS} contexts are open"
                raise RequestFault(text, context_id=request.context_id, status=429, code="too_many_contexts")
            context = self._contexts[request.context_id] = _Context(self, request, self._group)
        context.take(request)


class _Context:
    def __init__(self, client: _Client, first: Generation, group: asyncio.TaskGroup) -> None:
        self.id = first.context_id
        self._client = client
        self._manner = first.manner
        self._pieces: asyncio.Queue[Generation] = asyncio.Queue(MAX_PIECES)
        self._waiting = 0
        self._finished = False
        self._flushes = 0
        self._length = 0  # samples spoken
        self.task = group.create_task(self._run())

    def take(self, request: Generation) -> None:
        """Queue more text; raises `RequestFault`."""
        self._waiting += len(request.transcript)
        if request.manner != self._manner:
            raise RequestFault("model_id, voice, language and output_format must stay the same", context_id=self.id)
        if self._finished:
            raise RequestFault("the context was finished before", context_id=self.id, code="invalid_context_id")
        if self._pieces.full() or self._waiting > messages.MAX_TRANSCRIPT:
            raise RequestFault("too much text waits", context_id=self.id, status=429, code="too_much_text")
        self._finished = not request.continues
        self._pieces.put_nowait(request)

    async def _run(self) -> None:
        manner = self._manner
        reading = self._client.voice.open(manner.sample_rate, name=manner.voice_id, language=manner.language)
        try:
            await self._converse(reading)
        except VoiceFailed as exc:
            fault = RequestFault(str(exc), context_id=self.id, status=500, code="generation_failed")
            await self._client.fail(fault)
        finally:
            self._client.forget(self)
            await reading.close()

    async def _converse(self, reading: Reading) -> None:
        text, delay, stamps = "", 0.0, False
        while True:
            patience = delay if text.strip() else CONTEXT_SECONDS if self._length else SILENT_SECONDS
            try:
                async with asyncio.timeout(patience):
                    piece = await self._pieces.get()
            except TimeoutError:
                if not text.strip():
                    break
                await self._speak(reading, text, 0, stamps)
                text = ""
                continue
            self._waiting -= len(piece.transcript)
            delay, stamps = piece.delay, piece.timestamps
            sentences, text = split(text + piece.transcript)
            for sentence in sentences:
                await self._speak(reading, sentence, 0, stamps)
            if piece.flush or not piece.continues:
                flush_id = self._flushes = self._flushes + piece.flush
                await self._speak(reading, text, flush_id if piece.flush else 0, stamps)
                text = ""
            if piece.flush:
                await self._client.send(messages.flush_done(self.id, self._flushes))
            if not piece.continues:
                break
        self._client.forget(self)
        await self._client.send(messages.done(self.id))

    async def _speak(self, reading: Reading, text: str, flush_id: int, stamps: bool) -> None:
        """Send the speech of a text; raises `VoiceFailed`."""
        if not text.strip():
            return
        rate, begin = self._manner.sample_rate, self._length
        began = time.monotonic()
        async with aclosing(speak(reading, text.strip())) as pieces:
            while True:
                async with self._client.slots:
                    piece: Piece | None = await anext(pieces, None)
                if piece is None:
                    return
                if stamps and piece.words:
                    await self._client.send(messages.timestamps(self.id, piece.words, begin / rate))
                size = round(rate * CHUNK_SECONDS)
                for at in range(0, piece.samples.size, size):
                    audio = messages.encoded(piece.samples[at : at + size], self._manner)
                    step_ms = (time.monotonic() - began) * 1000
                    await self._client.send(messages.chunk(self.id, audio, step_ms, flush_id))
                    began = time.monotonic()
                self._length += piece.samples.size
