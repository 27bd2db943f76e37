"""The key that signs control URLs: `data_dir/control.key`, mode 0600, made at first start (DESIGN §6)."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

KEY_BYTES: Final = 32  # bytes; as long as the HMAC-SHA256 output that it keys (RFC 2104 section 3)


class KeyUnusable(Exception):
    """The key's file is exposed to other users, or too short; the message says what to do."""


def load_control_key(path: Path) -> bytes:
    """The key, made where there is none. Raises KeyUnusable, OSError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read(path)
    key = secrets.token_bytes(KEY_BYTES)
    with open(handle, "wb") as file:
        file.write(key)
    return key


def _read(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyUnusable(f"{path} has mode {mode:04o}, so that others can read it\nrun: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise KeyUnusable(
            f"{path} holds {len(key)} bytes instead of {KEY_BYTES}\nremove it; the next start makes another"
        )
    return key
