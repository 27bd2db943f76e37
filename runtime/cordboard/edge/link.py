"""Unix stream sockets between control and the planes, one JSON line per message (DESIGN §1, contract/link.py).

A plane listens (`run/plane-0.sock`), control connects, so that a new control meets planes that outlived the old one.
Lines are bounded, writes never block: a link whose peer does not read is closed. Leaves out the messages' meaning.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cordboard.contract.link import LINK_LINE

MAX_UNSENT: Final = 4 * 1024 * 1024  # bytes waiting for a peer that does not read; seconds of a full edge's messages
MAX_SOCKET_PATH: Final = 107  # bytes; sockaddr_un holds 108 with the zero (Linux; 104 on macOS)

log = logging.getLogger(__name__)


class LineTooLong(ValueError):
    """A peer sent more than LINK_LINE bytes without a newline."""


class SocketPathTooLong(OSError):
    """The data folder's path leaves no room for the socket's name."""


class LineFramer:
    """Cuts a byte stream into lines. After LineTooLong the stream cannot be used again."""

    def __init__(self, limit: int = LINK_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, each with its newline. Raises LineTooLong."""
        searched = len(self._rest)
        self._rest += data
        lines: list[bytes] = []
        start = 0
        while (end := self._rest.find(b"\n", max(start, searched))) >= 0:
            if end + 1 - start > self._limit:
                raise LineTooLong(f"a line of {end + 1 - start} bytes; the limit is {self._limit}")
            lines.append(bytes(self._rest[start : end + 1]))
            start = end + 1
        del self._rest[:start]
        if len(self._rest) >= self._limit:
            raise LineTooLong(f"{len(self._rest)} bytes without a newline; the limit is {self._limit}")
        return lines


class Link(asyncio.Protocol):
    """One end of a link. `on_lost(link, reason)` is called once, after which nothing arrives."""

    def __init__(
        self,
        on_open: "Callable[[Link], None]",
        on_line: Callable[[bytes], None],
        on_lost: "Callable[[Link, str], None]",
        max_unsent: int = MAX_UNSENT,
    ) -> None:
        self._on_open = on_open
        self._on_line = on_line
        self._on_lost = on_lost
        self._max_unsent = max_unsent
        self._framer = LineFramer()
        self._transport: asyncio.Transport | None = None
        self._reason = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        try:
            lines = self._framer.receive(data)
        except LineTooLong as error:
            self.close(str(error))
            return
        self._deliver(lines)

    def _deliver(self, lines: list[bytes]) -> None:
        for line in lines:
            if self.closing:
                return
            try:
                self._on_line(line)
            except Exception:  # a mistake at one message must not end the link and every call on it
                log.exception("a message on the link was not understood")

    @property
    def closing(self) -> bool:
        """The link is being dropped."""
        return bool(self._reason)

    def write(self, line: bytes) -> None:
        """Send a line; closes the link when its peer does not read."""
        if self._transport is None or self._reason:
            return
        self._transport.write(line)
        unsent = self._transport.get_write_buffer_size()
        if unsent > self._max_unsent:
            self.close(f"the peer left {unsent} bytes unread")

    def close(self, reason: str) -> None:
        """Drop the link; `on_lost` follows from the loop."""
        if self._transport is not None and not self._reason:
            self._reason = reason
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._reason = self._reason or (str(exc) if exc else "closed by the peer")
        self._on_lost(self, self._reason)


def socket_path(run_dir: Path, plane: int) -> Path:
    """Where a plane listens."""
    return run_dir / f"plane-{plane}.sock"


def bind_unix(path: Path) -> socket.socket:
    """A bound socket of mode 0600 in place of any older one. Raises SocketPathTooLong, OSError."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise SocketPathTooLong(f"{path} is longer than {MAX_SOCKET_PATH} bytes; choose a shorter edge.data_dir")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
    except BaseException:
        listener.close()
        raise
    return listener
