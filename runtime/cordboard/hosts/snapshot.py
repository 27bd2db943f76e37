"""A copy of the functions' code, so that a later edit cannot leak into a release that calls still hold.

Each copy holds a lock while its edge lives; what an edge that was killed has left is removed by the next one.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .errors import TemplateError
from .template import FunctionSpec, read_template

MAX_CODE: Final = 250 * 1024 * 1024  # bytes; Lambda's limit of an unpacked function
_PREFIX: Final = "cordboard-release-"
_LOCK: Final = ".lock"
YOUNG: Final = 60.0  # seconds in which a copy may be without its lock, since it is just being made
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The code of one release."""

    id: str
    """12 hex digits of a hash over every file and the template."""
    root: Path
    """Folder of its own, removed with the release."""
    functions: tuple[FunctionSpec, ...]
    """With `code` and `layers` inside of `root`."""
    lock: int
    """Descriptor of the lock, open as long as the copy is in use."""

    def names(self) -> tuple[str, ...]:
        """Names of its functions, in the template's order."""
        return tuple(spec.name for spec in self.functions)

    def remove(self) -> None:
        """Delete the copy; once only."""
        shutil.rmtree(self.root, ignore_errors=True)
        os.close(self.lock)


def take_snapshot(template: Path) -> Snapshot:
    """Copy and hash. Blocking: files are read. Raises TemplateError."""
    specs = read_template(template)
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(root / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        copies: dict[Path, Path] = {}
        for folder in (folder for spec in specs for folder in (spec.code, *spec.layers)):
            if folder not in copies:
                copy = root / str(len(copies))
                _check_size(folder)
                shutil.copytree(folder, copy, ignore=_IGNORED)
                copies[folder] = copy
        digest = hashlib.sha256(template.read_bytes())
        for copy in copies.values():
            for file in sorted(path for path in copy.rglob("*") if path.is_file()):
                digest.update(f"\0{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
        functions = tuple(
            replace(spec, code=copies[spec.code], layers=tuple(copies[layer] for layer in spec.layers))
            for spec in specs
        )
        return Snapshot(digest.hexdigest()[:12], root, functions, lock)
    except (OSError, shutil.Error) as error:
        _discard(root, lock)
        raise TemplateError(f"{template}: the code cannot be copied: {error}") from error
    except BaseException:
        _discard(root, lock)
        raise


def sweep_snapshots() -> None:
    """Remove the copies of edges that are gone. Blocking."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or removed at this moment
            if time.time() - root.stat().st_mtime < YOUNG:
                continue
            lock = os.open(root / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)
            finally:
                os.close(lock)


def _discard(root: Path, lock: int) -> None:
    shutil.rmtree(root, ignore_errors=True)
    os.close(lock)


def _check_size(folder: Path) -> None:
    size = 0
    for path in folder.rglob("*"):
        if path.is_file():
            size += path.stat().st_size
            if size > MAX_CODE:
                raise TemplateError(f"{folder}: more than {MAX_CODE} bytes of code; is CodeUri the right folder?")
