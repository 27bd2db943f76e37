"""Keeps replayed handlers from the world: no socket, no process, no word on standard output.

An audit hook (PEP 578) cannot be taken back, so it is set once and looks at a switch. Leaves out files, and C libraries
that open sockets without asking Python.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final

REFUSED: Final = frozenset(
    {"socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
     "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn"}
)  # fmt: skip
"""Audit events of Python (library reference, "Audit events table")."""

_offline: list[bool] = []
_hooked: list[bool] = []


class _Nowhere(io.TextIOBase):
    """Takes what handlers print, which is not the replay's result."""

    def write(self, text: str) -> int:
        return len(text)


class Offline(BaseException):
    """A handler reached for the world outside of the call. Not an Exception, so that no handler goes on without it."""


@contextmanager
def offline() -> Iterator[None]:
    """Inside, what REFUSED names raises Offline, and what is printed is lost."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_refuse)
    _offline.append(True)
    try:
        with redirect_stdout(_Nowhere()):
            yield
    finally:
        _offline.pop()


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in REFUSED and _offline:
        raise Offline(f"{event} in a replay: what a handler does outside of the call belongs into session.once")
