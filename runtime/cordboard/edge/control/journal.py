"""The journal of each call: `calls/ID/journal.jsonl`, appended line by line (contract/journal.py).

Each line is one write(2): when control is killed with SIGKILL, what was written stays, and at most the line at hand is
torn. Leaves out fsync (a loss of power may cost the last lines) and redaction, which the engine did.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cordboard.contract.journal import MAX_JOURNAL, MAX_LINE, JournalFull, JournalLine, write_line
from cordboard.edge.atomic import FILE_MODE
from cordboard.edge.data_dir import JOURNAL

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_LAST: Final = write_line(JournalFull())


@dataclass(slots=True)
class _Open:
    handle: int
    size: int = 0
    over: bool = False
    """Full, or broken by a full disk: half a line must stay the last one."""


class JournalFiles:
    """Appends to journals. A failure costs the rest of that journal, never a call; `complain` is told of it."""

    def __init__(self, folder: Callable[[str], Path], complain: Callable[[str, OSError], None]) -> None:
        """`folder`: of a session's call; may raise FileNotFoundError."""
        self._folder = folder
        self._complain = complain
        self._open: dict[str, _Open] = {}

    def write(self, session: str, line: JournalLine) -> None:
        """Append a line; a journal above MAX_JOURNAL gets `full` as its last one."""
        try:
            file = self._open.get(session)
            if file is None:
                file = self._open[session] = _Open(os.open(self._folder(session) / JOURNAL, _APPEND, FILE_MODE))
        except OSError as error:
            self._complain(session, error)
            return
        if file.over:
            return
        whole = write_line(line)
        if len(whole) > MAX_LINE or file.size + len(whole) + len(_LAST) > MAX_JOURNAL:
            whole, file.over = _LAST, True
        try:
            written = os.write(file.handle, whole)
            file.size += written
            if written < len(whole):
                raise OSError(errno.ENOSPC, f"{JOURNAL} took {written} of {len(whole)} bytes")
        except OSError as error:
            file.over = True
            self._complain(session, error)

    def ended(self, session: str) -> None:
        """That call is over."""
        file = self._open.pop(session, None)
        if file is not None:
            os.close(file.handle)

    def close(self) -> None:
        """Close all."""
        for session in list(self._open):
            self.ended(session)
