"""Cartesia Sonic as the stand-in's voice: one socket, a context per reply, its texts as continuations.

Follows reference cartesia-protocols §5.1: each text is flushed, so that it is spoken without waiting for the next;
word timings are asked for, of the words as they were written (§3.6); a reply that is cut short is cancelled, and what
still comes of it is dropped (§7 row 26). A context that expired between two texts (1 s) is followed by a fresh one; a
lost socket fails what is being read, and the next text opens another.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from cordboard.line.json_values import read
from cordboard.line.voices.timing import word_times
from cordboard.line.voices.voice import Piece, SpokenWord, VoiceFailed, VoiceUnavailable
from cordboard.media.samples import Samples

BASE_URL: Final = "wss://api.cartesia.ai"
"""The service."""

VERSION: Final = "2026-08-14"
"""Version that this wire was documented with last (§6)."""

MODEL: Final = "sonic-3"
"""Model that is asked for."""

RATES: Final = (8000, 16000, 22050, 24000, 44100, 48000)
"""Rates in Hz that the service makes: all that any caller of the stand-in may ask for."""

CONNECT_TIMEOUT: Final = 3.0
"""Seconds for the WebSocket's handshake: part of the time in which a text has to be heard."""

CLOSE_TIMEOUT: Final = 0.5
"""Seconds for the service to answer a close frame."""

MAX_MESSAGE: Final = 1 << 20
"""Bytes of one message: a second of 44.1 kHz PCM in base64 is 118 KB."""

MAX_QUEUE: Final = 2000
"""Messages of one context that wait to be taken: minutes of speech, and it is taken as it comes."""

MAX_BUFFER_DELAY: Final = 0
"""Milliseconds that the service may wait for more text: none, as each text is a sentence."""

# The library logs headers, so the key, at DEBUG: this logger belongs to no hierarchy and cannot be switched on.
_SILENT = logging.Logger("cordboard.line.voices.websocket", level=logging.CRITICAL + 1)

Message = dict[str, Any]

log = logging.getLogger("cordboard.line")


class _Lost(VoiceFailed):
    """The socket is gone."""


class SonicVoice:
    """Speaks by Sonic."""

    paid = True

    def __init__(self, api_key: str, name: str, *, language: str = "en", base_url: str = BASE_URL) -> None:
        """`name` is the id of a voice; `base_url` is ws(s)://host[:port]."""
        self._key = api_key
        self._name = name
        self._language = language
        self._url = f"{base_url.rstrip('/')}/tts/websocket"
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._contexts: dict[str, asyncio.Queue[Message | None]] = {}

    async def start(self) -> None:
        """Check what was given; raises `VoiceUnavailable`. The service is not called before there is text."""
        if not self._key:
            raise VoiceUnavailable("sonic: set CARTESIA_API_KEY to a key of play.cartesia.ai, or take another --voice")
        if not self._name:
            raise VoiceUnavailable("sonic: name a voice: --voice-name ID (play.cartesia.ai lists them)")
        parts = urlsplit(self._url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.query or parts.fragment:
            raise VoiceUnavailable("sonic: its address must be ws(s)://host[:port]")

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> SonicReading:
        """Return a reading."""
        if rate not in RATES:
            raise ValueError(f"Sonic makes no speech at {rate} Hz")
        return SonicReading(self, rate, name or self._name, language or self._language, pronunciation)

    async def close(self) -> None:
        """Close the socket; readings fail."""
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader

    # For readings

    async def send(self, message: Message) -> None:
        """Send a message of an open context; raises `VoiceFailed`."""
        if self._socket is None:
            raise _Lost("Sonic's socket is closed")
        try:
            await self._socket.send(json.dumps(message))
        except ConnectionClosed as exc:
            raise _Lost(_why(exc)) from None

    async def enter(self, context_id: str) -> asyncio.Queue[Message | None]:
        """Return where the messages of a new context will come, the socket being open; None is the last."""
        async with self._opening:
            if self._socket is None:
                self._socket = await self._connect()
                self._reader = asyncio.create_task(self._read(self._socket))
        queue = self._contexts[context_id] = asyncio.Queue(MAX_QUEUE)
        return queue

    def leave(self, context_id: str) -> None:
        """What still comes of a context is dropped."""
        self._contexts.pop(context_id, None)

    # Within

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self._url,
                additional_headers={"X-API-Key": self._key, "Cartesia-Version": VERSION},
                open_timeout=CONNECT_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
                max_size=MAX_MESSAGE,
                compression=None,
                logger=_SILENT,
            )
        except InvalidStatus as exc:
            raise VoiceFailed(f"Sonic refused the socket with {exc.response.status_code}") from None
        except (OSError, InvalidHandshake) as exc:  # a time-out is an OSError
            raise VoiceFailed(f"Sonic's socket could not be opened: {type(exc).__name__}") from None

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for data in socket:
                self._take(data)
        except ConnectionClosed:
            pass
        finally:
            self._socket = None
            for queue in self._contexts.values():
                _end(queue)
            self._contexts.clear()

    def _take(self, data: str | bytes) -> None:
        try:
            message = read(data, lambda flaw: log.warning("Sonic: %s", flaw))
        except ValueError:
            return  # the text that it was about fails by its time-out
        context_id = message.get("context_id") if isinstance(message, dict) else None
        queue = self._contexts.get(context_id) if isinstance(context_id, str) else None
        if queue is None:
            return
        try:
            queue.put_nowait(message)
        except asyncio.QueueFull:
            self.leave(str(context_id))
            _end(queue)


class SonicReading:
    """One reply read by Sonic: a context, or several when it pauses."""

    def __init__(self, voice: SonicVoice, rate: int, name: str, language: str, pronunciation: str) -> None:
        self._voice = voice
        self._rate = rate
        self._request: Message = {
            "model_id": MODEL,
            "voice": {"mode": "id", "id": name},
            "language": language,
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": rate},
            "continue": True,
            "add_timestamps": True,
            "use_normalized_timestamps": False,
            "max_buffer_delay_ms": MAX_BUFFER_DELAY,
        }
        if pronunciation:
            self._request["pronunciation_dict_id"] = pronunciation
        self._context_id = ""
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._length = 0  # samples of the context so far
        self._speaking = False

    async def speak(self, text: str) -> AsyncGenerator[Piece]:
        """Yield speech as it comes."""
        try:
            await self._say(text)
            self._speaking = True
            collected: list[Samples] = []
            waiting: deque[SpokenWord] = deque()
            begin, timed = self._length, False
            async for message in self._messages():
                samples, words = _audio(message), _words(message, begin / self._rate)
                timed |= bool(words)
                waiting += words
                self._length += samples.size
                collected.append(samples)
                heard = (self._length - begin) / self._rate
                begun = [waiting.popleft() for _ in range(sum(word.start < heard for word in waiting))]
                if samples.size or begun:
                    yield Piece(samples, tuple(begun))
            if not timed:
                yield Piece(np.empty(0, np.int16), word_times(text, np.concatenate(collected), self._rate))
            self._speaking = False
        finally:
            if self._speaking:
                await self.close()

    async def close(self) -> None:
        """Finish the open context, or cancel it while it speaks."""
        context_id, speaking, self._speaking = self._context_id, self._speaking, False
        self._forget()
        if context_id:
            finish = {**self._request, "context_id": context_id, "transcript": "", "continue": False}
            with contextlib.suppress(VoiceFailed):  # then the context is over, too
                await self._voice.send({"context_id": context_id, "cancel": True} if speaking else finish)

    def _forget(self) -> None:
        """The context is over."""
        self._voice.leave(self._context_id)
        self._context_id = ""

    async def _say(self, text: str) -> None:
        """Send a text and have it spoken at once, in the open context or in a fresh one."""
        while not self._queue.empty():  # what came since the last text: its context may have expired
            if (message := self._queue.get_nowait()) is None or message.get("type") in ("done", "error"):
                self._forget()
        if not self._context_id:
            context_id = uuid.uuid4().hex
            self._queue = await self._voice.enter(context_id)
            self._context_id, self._length = context_id, 0
        request = {**self._request, "context_id": self._context_id}
        await self._voice.send({**request, "transcript": f"{text} "})
        await self._voice.send({**request, "transcript": "", "flush": True})

    async def _messages(self) -> AsyncGenerator[Message]:
        """Yield the messages of the text that was sent, up to its end; raises `VoiceFailed`."""
        while True:
            message = await self._queue.get()
            if message is None:
                self._forget()
                raise _Lost("Sonic's socket was lost")
            yield message
            match message.get("type"):
                case "error":
                    self._forget()
                    raise VoiceFailed(f"Sonic: {_complaint(message)}")
                case "done":
                    self._forget()
                    return
                case "flush_done":
                    return


def _end(queue: asyncio.Queue[Message | None]) -> None:
    """Have the queue's reader find its end, whatever waits."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


def _why(exc: ConnectionClosed) -> str:
    close = exc.rcvd
    return f"Sonic's socket was closed: {close.code} {close.reason}".rstrip() if close else "Sonic's socket was lost"


def _complaint(message: Message) -> str:
    for key in ("message", "error", "title"):
        if isinstance(text := message.get(key), str) and text:
            return text[:200]
    return "an error without a text"


def _audio(message: Message) -> Samples:
    """Return the audio of a message, none for any but a chunk; raises `VoiceFailed` for what is no audio."""
    if message.get("type") != "chunk":
        return np.empty(0, np.int16)
    try:
        return np.frombuffer(base64.b64decode(message["data"], validate=True), "<i2").astype(np.int16)
    except (LookupError, TypeError, ValueError):
        raise VoiceFailed("Sonic: a chunk without audio") from None


def _words(message: Message, offset: float) -> list[SpokenWord]:
    """Return the words of a message of timings, `offset` seconds before their context's time; else none."""
    timings = message.get("word_timestamps")
    if message.get("type") != "timestamps" or not isinstance(timings, dict):
        return []
    try:
        rows = zip(timings["words"], timings["start"], timings["end"], strict=True)
        return [SpokenWord(str(word), float(start) - offset, float(end) - offset) for word, start, end in rows]
    except (LookupError, TypeError, ValueError):
        return []
