"""Raw files of recordings: appended block by block while a call lives, finished by the finisher afterwards.

One `os.write` of about a second of sound into the page cache; nothing here waits for the disk on purpose.
"""

import os
from typing import Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


class RawFiles:
    """Open raw files by recording."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def append(self, recording: str, path: str, data: bytes) -> None:
        """Append a block; the first one makes the file, mode 0600. Raises OSError, after which the file is closed."""
        handle = self._open.get(recording)
        if handle is None:
            handle = self._open[recording] = os.open(path, _NEW, 0o600)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
        except OSError:
            self.close(recording)
            raise

    def close(self, recording: str) -> None:
        """No more blocks; an unknown recording is nothing."""
        handle = self._open.pop(recording, None)
        if handle is not None:
            os.close(handle)

    def close_all(self) -> None:
        """Close every file."""
        for recording in tuple(self._open):
            self.close(recording)
