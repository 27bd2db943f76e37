"""A new release for new calls: under `dev` whenever a file changes, with AWS Lambda whenever an alias moves."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cordboard.contract.release import Release
from cordboard.edge.control.turns import FunctionHost

POLL: Final = 0.5  # seconds between two looks; shorter than switching from the editor to the phone
ALIAS_POLL: Final = 15.0  # seconds between two looks at the aliases: a request a function, of 100 each second
MAX_FILES: Final = 5_000  # files looked at; a project with more is watched in part
_SUFFIXES: Final = frozenset((".py", ".json", ".toml", ".yaml", ".yml", ".txt"))
_SKIPPED: Final = frozenset((".venv", "venv", "node_modules", "__pycache__", "var", "out"))

log = logging.getLogger(__name__)


async def watch(template: Path, host: FunctionHost, on_release: Callable[[Release], None]) -> None:
    """Poll the template and `functions/` beside it, until cancelled. A broken state of the code leaves the old one."""
    seen = await asyncio.to_thread(_moments, template)
    while True:
        await asyncio.sleep(POLL)
        now = await asyncio.to_thread(_moments, template)
        if now == seen:
            continue
        seen = now
        try:
            release = await host.reload()
        except Exception as error:  # noqa: BLE001 (any mistake in the user's code; the old release stays)
            log.error("the functions are not reloaded: %s", error)
            continue
        log.info("release %s takes new calls", release.id[:12])
        on_release(release)


async def follow(host: FunctionHost, on_release: Callable[[Release], None], every: float = ALIAS_POLL) -> None:
    """Ask the host anew until cancelled. What stands in the way is told once, and the old release stays meanwhile."""
    current = host.current.id
    told = ""
    while True:
        await asyncio.sleep(every)
        try:
            release = await host.reload()
        except Exception as error:  # noqa: BLE001 (whatever it is, the next look may go well)
            if str(error) != told:
                log.error("new calls stay with release %s: %s", current, error)
            told = str(error)
            continue
        told = ""
        if release.id != current:
            current = release.id
            log.info("release %s takes new calls", current)
            on_release(release)


def _moments(template: Path) -> dict[str, int]:
    """Path → time of last change."""
    found: dict[str, int] = {}
    folders = [template.parent / "functions"]
    _note(template, found)
    while folders and len(found) < MAX_FILES:
        try:
            entries = sorted(folders.pop().iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.name in _SKIPPED or entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry)
            elif entry.suffix in _SUFFIXES:
                _note(entry, found)
    return found


def _note(path: Path, found: dict[str, int]) -> None:
    try:
        found[str(path)] = path.stat().st_mtime_ns
    except OSError:  # gone since it was listed: its absence is the change
        return
