"""The connection of one call to its agent program: `POST /chats`, then the WebSocket.

Follows reference cartesia-protocols §3.1, §3.2 and §3.7. What is to be sent waits in a bounded queue, so that a program
that does not read holds up no speech; when the queue is full the program has failed. It has, too, when it answers no
ping, whoever started it, and when it sends more than `allowance` allows.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode

from cordboard.line.harness import messages
from cordboard.line.harness.allowance import AT_ONCE, PER_SECOND, Allowance
from cordboard.line.harness.messages import AgentFault, Caller, Message, Opening
from cordboard.line.tool import post_json

CHATS_TIMEOUT = 5.0
"""Seconds for `POST /chats`: for about so long an inbound call rings while the program decides (§3.1)."""

CONNECT_TIMEOUT = 5.0
"""Seconds for the WebSocket's handshake (§3.7)."""

CLOSE_TIMEOUT = 0.5
"""Seconds for the program to answer a close frame; its clean-up goes on without us."""

MAX_MESSAGE = 1 << 18
"""Bytes of one message: the SDK cuts results and arguments at 30,000 characters (§3.4), six bytes each when escaped."""

PING_INTERVAL = 20.0
"""Seconds between two pings, as the SDK's own server has it: the only sign of life of a program that runs elsewhere."""

PING_TIMEOUT = 20.0
"""Seconds for the answer: a loop that was blocked for so long has kept its caller waiting for as long."""

MAX_QUEUE = 1000
"""Messages that wait to be read by the program: minutes of words and turns."""

# The library logs messages, so metadata, at DEBUG: this logger belongs to no hierarchy and cannot be switched on.
_SILENT = logging.Logger("cordboard.line.harness.websocket", level=logging.CRITICAL + 1)


async def open_chat(url: str, caller: Caller, complain: Callable[[str], None]) -> Opening:
    """Ask the program at `url` (no path) to take a call; raise `CallRejected` or `AgentFault`.

    `complain` hears of values in its answer that had to be replaced.
    """
    result = await post_json(f"{url}/chats", messages.chat(caller), CHATS_TIMEOUT)
    if result.error:
        raise AgentFault(f"POST /chats: {result.error}")
    return messages.opening(result.status, result.body, complain)


class AgentLink:
    """The WebSocket of one call. `send` may be called from anywhere in the loop; the rest runs as tasks."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUE)
        self._full = asyncio.Event()
        self._allowance = Allowance(asyncio.get_running_loop().time)

    @classmethod
    async def open(cls, url: str, opening: Opening) -> AgentLink:
        """Connect to the program at `url` (no path); raise `AgentFault`."""
        target = "ws" + url.removeprefix("http") + opening.path
        try:
            socket = await connect(
                target,
                open_timeout=CONNECT_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
                max_size=MAX_MESSAGE,
                compression=None,
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_TIMEOUT,
                proxy=None,
                logger=_SILENT,
            )
        except (OSError, WebSocketException) as exc:
            raise AgentFault(f"the WebSocket could not be opened: {type(exc).__name__}") from None
        return cls(socket)

    @property
    def local_host(self) -> str:
        """The address that the connection leaves from."""
        return str(self._socket.local_address[0])

    def send(self, message: Message) -> None:
        """Queue a message. One too many is lost, and `watch` raises."""
        try:
            self._queue.put_nowait(json.dumps(message, separators=(",", ":")))
        except asyncio.QueueFull:
            self._full.set()

    async def watch(self) -> None:
        """Raise `AgentFault` as soon as the program has not read for too long."""
        await self._full.wait()
        raise AgentFault(f"the program does not read: {MAX_QUEUE} messages wait")

    async def write(self) -> None:
        """Send what is queued, for ever; raise `AgentFault` when the program has closed."""
        while True:
            text = await self._queue.get()
            try:
                await self._socket.send(text)
            except ConnectionClosed:
                raise AgentFault(self._closed()) from None

    async def read(self) -> AsyncIterator[str | bytes]:
        """Yield messages; raise `AgentFault` when the program has closed, or sends too many."""
        try:
            async for data in self._socket:
                if not self._allowance.take(len(data)):
                    raise AgentFault(f"the program sent {AT_ONCE} messages at once and more than {PER_SECOND} a second")
                yield data
                await asyncio.sleep(0)  # many may wait, and other calls' audio is due
        except ConnectionClosed:
            pass
        raise AgentFault(self._closed())

    async def close(self) -> None:
        """Close with 1000: for the program the call has ended."""
        await self._socket.close()

    def _closed(self) -> str:
        """Who closed the socket, and why."""
        protocol = self._socket.protocol
        if (ours := protocol.close_sent) is None or protocol.close_rcvd_then_sent:
            code, reason = self._socket.close_code, self._socket.close_reason or ""
            return f"the program closed the call: {code} {reason}".rstrip()
        match ours.code:
            case CloseCode.MESSAGE_TOO_BIG:
                return f"the program sent a message of more than {MAX_MESSAGE} bytes"
            case CloseCode.INTERNAL_ERROR:
                return f"the program did not answer a ping within {PING_TIMEOUT:g} s"
        return f"the program sent what is no WebSocket message: {ours.code} {ours.reason}".rstrip()
