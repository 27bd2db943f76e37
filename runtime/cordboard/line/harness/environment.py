"""The virtual environment of an agent program, apart from ours: `cartesia-line` pins websockets 13 and an old fastapi.

`<folder>/<hash>/venv`, where the hash covers the requirements and the Python release, so that changed requirements
make a new one and equal ones share it. Nothing deletes old ones. The lock file with hashes is installed with
`--require-hashes`; a file without hashes, a user's own, as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

INSTALL_TIMEOUT = 900.0
"""Seconds for one command; the lock names some seventy packages, which take minutes on a slow link."""

LOCK_RETRY = 0.5
"""Seconds between looks at a lock that another process holds while it installs."""

MAX_COMPLAINT = 2000
"""Characters of a failed command's output that are shown."""

_PACKAGED = Path(__file__).with_name("agent.txt")
_SOURCE = Path(__file__).parents[4] / "requirements" / "agent.txt"

REQUIREMENTS = _PACKAGED if _PACKAGED.exists() else _SOURCE
"""The locked `cartesia-line`: beside this file in an installed wheel, in `requirements/` of a source tree."""

log = logging.getLogger("cordboard.line")


class EnvironmentFailed(Exception):
    """The environment could not be made; the text says why."""


def place(folder: Path, requirements: Path) -> Path:
    """Return where the environment of a requirements file stands. Raises OSError for a file that cannot be read."""
    release = f"{sys.implementation.cache_tag}-{sys.platform}"
    digest = hashlib.sha256(release.encode() + b"\0" + requirements.read_bytes()).hexdigest()
    return folder / digest[:16] / "venv"


async def prepare(folder: Path, requirements: Path) -> Path:
    """Return the environment's Python, made and filled when it is missing; raise `EnvironmentFailed` or OSError."""
    venv = place(folder, requirements)
    python, installed = venv / "bin" / "python", venv / ".installed"
    if installed.exists():
        return python
    venv.parent.mkdir(parents=True, exist_ok=True)
    async with _locked(venv.parent / "lock"):
        if not installed.exists():
            log.info("agent: installing %s into %s", requirements.name, venv)
            await _run(sys.executable, "-m", "venv", "--clear", str(venv))
            hashes = ("--require-hashes",) if _has_hashes(requirements) else ()
            options = ("--quiet", "--disable-pip-version-check", "--no-input", *hashes)
            await _run(str(python), "-m", "pip", "install", *options, "-r", str(requirements))
            installed.touch()
    return python


def _has_hashes(requirements: Path) -> bool:
    return b"--hash=" in requirements.read_bytes()


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock that ends with the process which holds it."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(LOCK_RETRY)
            else:
                break
        yield


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    name = " ".join(command[1:4])
    try:
        output, _ = await asyncio.wait_for(process.communicate(), INSTALL_TIMEOUT)
    except TimeoutError:
        raise EnvironmentFailed(f"python {name} took longer than {INSTALL_TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        raise EnvironmentFailed(f"python {name} failed: {output.decode('utf-8', 'replace')[-MAX_COMPLAINT:].strip()}")
