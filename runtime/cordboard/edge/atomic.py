"""Private files that appear whole or not at all.

A file is written beside its place and renamed (POSIX rename), so that a reader or a later life never meets half of it.
Leaves out fsync: the death of a process is survived, a loss of power may lose what the kernel still held.
"""

import json
import os
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600  # calls, dialogs and keys are the owner's alone
DIRECTORY_MODE: Final = 0o700


def private_directory(path: Path) -> Path:
    """The folder, made with its parents and closed to other users. Raises OSError."""
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    path.chmod(DIRECTORY_MODE)
    return path


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step, mode 0600. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Replace `path` by one JSON document. Raises OSError."""
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")
