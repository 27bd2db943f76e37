"""A WebSocket to Ink, Cartesia's speech recognition: audio out, messages in, nothing raised.

Follows reference cartesia-protocols §5.2 and §5.3. A socket is used once; its owner opens another after a loss. The key
goes in a header alone. Leaves out access tokens, which are for browsers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from cordboard.line.json_values import read
from cordboard.line.tables import ScriptError
from cordboard.media.samples import Samples

INK_URL = "wss://api.cartesia.ai"
"""The service's own address."""

VERSION = "2026-08-14"
"""`Cartesia-Version` of the AsyncAPI that is followed."""

MODEL = "ink-2"
"""The only model that both sockets offer under a version of its own."""

CONNECT_TIMEOUT = 5.0
"""Seconds for TCP, TLS and the upgrade."""

BATCH_MS = 100
"""Audio of one frame, as the documents advise."""

MAX_QUEUED = 300
"""Frames that wait to be sent: 30 s of audio; a service that takes none for so long has failed."""

MAX_MESSAGE = 1 << 18
"""Bytes of one message: minutes of words with their times."""

# The library logs headers, so keys, at DEBUG: this logger belongs to no hierarchy and cannot be switched on.
_SILENT = logging.Logger("cordboard.line.ink", level=logging.CRITICAL + 1)

Message = Mapping[str, Any]

log = logging.getLogger("cordboard.line")


def check_url(url: str) -> str:
    """Return the base URL of a service without its last slash; raise `ScriptError` for what is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.query or parts.username is not None:
        raise ScriptError("--ink-url: must be ws://host[:port] or wss://host[:port]")
    return url.rstrip("/")


class InkSocket:
    """Opens when made."""

    def __init__(
        self,
        url: str,
        key: str,
        rate: int,
        receive: Callable[[Message], None],
        lost: Callable[[str], None],
        **query: str,
    ) -> None:
        """`url` of the socket without a query; `receive` gets each message, `lost` a reason, once, unless closed."""
        fields = {"model": MODEL, "encoding": "pcm_s16le", "sample_rate": str(rate), **query}
        self._url = f"{url}?{urlencode(fields)}"
        self._headers = {"X-API-Key": key, "Cartesia-Version": VERSION}
        self._size = rate * BATCH_MS // 1000
        self._receive = receive
        self._lost = lost
        self._batch: list[Samples] = []
        self._batched = 0
        self._queue: asyncio.Queue[bytes | str] = asyncio.Queue(MAX_QUEUED)
        self._task = asyncio.create_task(self._run())

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._task.done()

    def send_audio(self, samples: Samples) -> None:
        """Send samples, in frames of `BATCH_MS`."""
        self._batch.append(samples)
        self._batched += samples.size
        if self._batched >= self._size:
            self.flush()

    def flush(self) -> None:
        """Send what is not yet a whole frame."""
        if self._batched:
            self._put(np.concatenate(self._batch).astype("<i2").tobytes())
        self._batch, self._batched = [], 0

    def send_command(self, command: str) -> None:
        """Send a text frame, behind all audio."""
        self.flush()
        self._put(command)

    def abandon(self) -> None:
        """Give the socket up without waiting; `lost` is not called. `close` is due all the same."""
        self._task.cancel()

    async def close(self) -> None:
        """Close the socket, if it is open; nothing is left of it."""
        self._task.cancel()
        await asyncio.wait({self._task})

    def _put(self, item: bytes | str) -> None:
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            if not self._task.done() and not self._task.cancelling():
                self._task.cancel()
                self._lost("Ink takes no audio")

    async def _run(self) -> None:
        try:
            reason = await self._serve()
        except InvalidStatus as exc:
            reason = f"Ink refused the socket with {exc.response.status_code}"
        except ConnectionClosed as exc:
            code = exc.rcvd.code if exc.rcvd is not None else 1006
            reason = f"Ink closed the socket with {code}"
        except TimeoutError:
            reason = f"Ink did not answer within {CONNECT_TIMEOUT:g} s"
        except (OSError, WebSocketException, EOFError) as exc:
            reason = f"Ink cannot be reached: {type(exc).__name__}"
        self._lost(reason)

    async def _serve(self) -> str:
        connection = connect(
            self._url,
            additional_headers=self._headers,
            open_timeout=CONNECT_TIMEOUT,
            close_timeout=1.0,
            max_size=MAX_MESSAGE,
            compression=None,
            logger=_SILENT,
        )
        async with connection as socket:
            writing = asyncio.create_task(self._write(socket))
            try:
                async for data in socket:
                    try:
                        message = read(data, lambda flaw: log.warning("Ink: %s", flaw))
                    except ValueError:
                        return "Ink sent what is not JSON"
                    if not isinstance(message, dict):
                        return "Ink sent what is not an object"
                    if message.get("type") == "error":
                        code = message.get("error_code") or message.get("status_code")
                        return f"Ink reports the error {str(code)[:60]!r}"
                    self._receive(message)
            finally:
                writing.cancel()
                await asyncio.wait({writing})
        return "Ink closed the socket"

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await socket.send(await self._queue.get())
        except ConnectionClosed:
            return  # the reader tells


def text_of(message: Message, key: str) -> str:
    """Return a text of a message, "" when it is none."""
    value = message.get(key)
    return value if isinstance(value, str) else ""
