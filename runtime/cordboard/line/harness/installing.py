"""Makes an agent program's virtual environment while somebody waits for it, and tells how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cordboard.line.harness.environment import place, prepare

PROGRESS = 10.0
"""Seconds between two words about an installation that takes minutes on a slow link."""


async def prepare_aloud(folder: Path, requirements: Path, say: Callable[[str], None]) -> Path:
    """As `prepare`; `say` hears how it goes, and nothing where the environment is there."""
    if (place(folder, requirements) / ".installed").exists():
        return await prepare(folder, requirements)
    say(f"installing {requirements.name} into {folder}: once, one to several minutes, from your package index")
    async with _telling(say):
        return await prepare(folder, requirements)


@asynccontextmanager
async def _telling(say: Callable[[str], None]) -> AsyncIterator[None]:
    async def tell() -> None:
        began = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(PROGRESS)
            say(f"  … still installing, {asyncio.get_running_loop().time() - began:.0f} s")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait({telling})
