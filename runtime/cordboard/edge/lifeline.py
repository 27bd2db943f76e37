"""The life line between the supervisor and a child: a socket pair that is the child's standard input.

Its end of file tells the child that the supervisor is gone (DESIGN §6); the child's few reports go the other way as
lines of JSON: `{"ready": {...}}` once it serves, `{"alive": {}}` each second from a child whose loop turns,
`{"kill": {"name": ..., "pid": ...}}` for a plane past its lease.
"""

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

MAX_REPORT: Final = 4096  # bytes of one report; the longest kind takes some hundred
ALIVE_EVERY: Final = 1.0  # seconds between two reports of life; as the heartbeat of planes (DESIGN §1)
_STDIN: Final = 0


def ignore_interrupt() -> None:
    """A Ctrl-C reaches the whole foreground group; only the supervisor acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def report(kind: str, what: Mapping[str, Any]) -> None:
    """Tell the supervisor; without one (standard input is no socket) the report goes to stderr."""
    line = json.dumps({kind: what}).encode() + b"\n"
    assert len(line) <= MAX_REPORT
    try:
        os.write(_STDIN, line)
    except OSError:
        sys.stderr.write(line.decode())


class LifeLine:
    """Calls `on_end` once: when the supervisor is gone, or at SIGTERM. For a child with an asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[str], None]) -> None:
        self._loop = loop
        self._on_end: Callable[[str], None] | None = on_end
        self._watched = True
        loop.add_signal_handler(signal.SIGTERM, self._end, "SIGTERM")
        try:
            loop.add_reader(_STDIN, self._read)
        except OSError:  # a regular file or /dev/null cannot be watched and never ends
            self._watched = False

    def close(self) -> None:
        """Stop watching."""
        if self._watched:
            self._loop.remove_reader(_STDIN)
            self._watched = False

    def _read(self) -> None:
        try:
            data = os.read(_STDIN, MAX_REPORT)
        except OSError:
            data = b""
        if not data:
            self.close()
            self._end("the supervisor is gone")

    def _end(self, reason: str) -> None:
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(reason)


async def report_alive() -> None:
    """Say each second that this loop turns; without a supervisor there is nobody to tell."""
    while stat.S_ISSOCK(os.fstat(_STDIN).st_mode):
        try:
            os.write(_STDIN, b'{"alive": {}}\n')
        except OSError:  # the supervisor is gone; the life line says so
            return
        await asyncio.sleep(ALIVE_EVERY)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """(the supervisor's end, the child's end)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    return ours, theirs
