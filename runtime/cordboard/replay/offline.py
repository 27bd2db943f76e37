"""Keeps replayed handlers from the world: no socket, process or thread, no file but in a folder that is thrown away, no
word on standard output.

An audit hook (PEP 578) cannot be taken back, so it is set once and looks at a switch. Leaves out what is read from
files, and libraries in C that do any of it without asking Python.
"""

import _thread
import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, Final

REFUSED: Final = frozenset(
    {"_thread.start_new_thread", "_thread.start_joinable_thread", "subprocess.Popen", "pty.spawn", "os.system",
     "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "os.killpg",
     "signal.pthread_kill", "os.link", "os.symlink", "syslog.openlog", "syslog.syslog"}
)  # fmt: skip
"""Audit events of Python (library reference, "Audit events table")."""
SOCKETS: Final = frozenset(
    {"socket.__new__", "socket.gethostname", "socket.getservbyname", "socket.getservbyport"}
)  # fmt: skip
"""The events of sockets that reach nobody; all others are refused."""
FILES: Final[Mapping[str, tuple[tuple[int, int | None], ...]]] = {
    "open": ((0, None),),
    "sqlite3.connect": ((0, None),),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.chflags": ((0, None),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, None),),
    "os.removexattr": ((0, None),),
}
"""Event → where its arguments have a path, and the folder's descriptor from which that counts."""
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Offline(BaseException):
    """A handler reached for the world outside of the call. Not an Exception, so that no handler goes on without it."""


@dataclass(slots=True, eq=False)
class _Inside:
    folder: str
    refused: list[str] = field(default_factory=list)


_inside: list[_Inside] = []
_hooked: list[bool] = []


class _Nowhere(io.TextIOBase):
    """Takes what handlers print, which is not the replay's result."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def offline(folder: str) -> Iterator[list[str]]:
    """As `closed`, and what is printed is lost, what is temporary goes to `folder`, and no import writes a file."""
    outer = tempfile.tempdir, sys.dont_write_bytecode
    with closed(folder) as refused, redirect_stdout(_Nowhere()):
        tempfile.tempdir, sys.dont_write_bytecode = folder, True
        try:
            yield refused
        finally:
            tempfile.tempdir, sys.dont_write_bytecode = outer


@contextmanager
def closed(folder: str) -> Iterator[list[str]]:
    """Inside, what reaches out of the process raises Offline, in whatever thread, and files are written in `folder`
    alone. Gives what was refused, also where the raised error was caught."""
    inside = _Inside(os.path.realpath(folder))
    _enter(inside)
    try:
        yield inside.refused
    finally:
        _inside.remove(inside)


def stay_closed() -> None:
    """The same until the process ends, with no folder at all: what a handler left for its exit is not performed."""
    _enter(_Inside(""))


def _enter(inside: _Inside) -> None:
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_audit)
        if sys.version_info < (3, 12):  # later ones raise the event themselves
            for module, name in ((threading, "_start_new_thread"), (_thread, "start_new_thread")):
                setattr(module, name, _audited(getattr(module, name)))
    _inside.append(inside)


def _audited(start: Callable[..., int]) -> Callable[..., int]:
    def start_new_thread(*args: Any) -> int:
        sys.audit("_thread.start_new_thread", *args)
        return start(*args)

    return start_new_thread


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _inside or not _reaches_out(event, args, _inside[-1].folder):
        return
    message = f"{event} in a replay: what a handler does outside of the call belongs into session.once"
    _inside[-1].refused.append(message)
    raise Offline(message)


def _reaches_out(event: str, args: tuple[Any, ...], folder: str) -> bool:
    if event in REFUSED:
        return True
    if event == "socket.bind" and isinstance(args[1], tuple) and args[1][1:2] == (0,):
        return False  # a port that nobody knows: urllib3 finds out at its import whether there is IPv6
    if event.startswith("socket."):
        return event not in SOCKETS
    places = FILES.get(event)
    if places is None or (event == "open" and not (isinstance(args[2], int) and args[2] & _WRITES)):
        return False
    return any(not _is_in(args[at], None if base is None else args[base], folder) for at, base in places)


def _is_in(path: Any, base: Any, folder: str) -> bool:
    """A descriptor is that of a file that was opened before: in the folder."""
    if isinstance(path, int):
        return True
    name = os.fsdecode(path)
    if name in (os.devnull, ":memory:"):
        return True
    if isinstance(base, int) and base >= 0:
        try:
            name = os.path.join(os.readlink(f"/proc/self/fd/{base}"), name)
        except OSError:
            return False
    found = os.path.realpath(name)
    return bool(folder) and (found == folder or found.startswith(folder + os.sep))
