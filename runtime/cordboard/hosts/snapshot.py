"""A copy of the functions' code, so that a later edit cannot leak into a release that calls still hold."""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .errors import TemplateError
from .template import FunctionSpec, read_template

MAX_CODE: Final = 250 * 1024 * 1024  # bytes; Lambda's limit of an unpacked function
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The code of one release."""

    id: str
    """12 hex digits of a hash over every file and the template."""
    root: Path
    """Folder of its own, removed with the release."""
    functions: tuple[FunctionSpec, ...]
    """With `code` inside of `root`."""

    def remove(self) -> None:
        """Delete the copy."""
        shutil.rmtree(self.root, ignore_errors=True)


def take_snapshot(template: Path) -> Snapshot:
    """Copy and hash. Blocking: files are read. Raises TemplateError."""
    specs = read_template(template)
    root = Path(tempfile.mkdtemp(prefix="cordboard-release-"))
    try:
        copies: dict[Path, Path] = {}
        for spec in specs:
            if spec.code not in copies:
                copy = root / str(len(copies))
                _check_size(spec.code)
                shutil.copytree(spec.code, copy, ignore=_IGNORED)
                copies[spec.code] = copy
        digest = hashlib.sha256(template.read_bytes())
        for copy in copies.values():
            for file in sorted(path for path in copy.rglob("*") if path.is_file()):
                digest.update(f"\0{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
        functions = tuple(replace(spec, code=copies[spec.code]) for spec in specs)
        return Snapshot(digest.hexdigest()[:12], root, functions)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(root, ignore_errors=True)
        raise TemplateError(f"{template}: the code cannot be copied: {error}") from error
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def _check_size(folder: Path) -> None:
    size = 0
    for path in folder.rglob("*"):
        if path.is_file():
            size += path.stat().st_size
            if size > MAX_CODE:
                raise TemplateError(f"{folder}: more than {MAX_CODE} bytes of code; is CodeUri the right folder?")
