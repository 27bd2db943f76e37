"""Reads prepared sounds for players, in one thread beside the loop: a cold disk must not cost a caller a frame."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

MAX_SOUND: Final = 8 * 1024 * 1024  # bytes; control makes none above ten minutes of µ-law, a joined prompt a bit more


class SoundSink(Protocol):
    """Where files are reported."""

    def sound_loaded(self, path: str, data: bytes) -> None:
        """The whole file."""

    def sound_failed(self, path: str, reason: str) -> None:
        """It cannot be read."""


class SoundFiles:
    """Files that are being read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: SoundSink) -> None:
        self._loop = loop
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, "sounds")
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, path: str) -> None:
        """Begin; the sink hears of it exactly once, unless `close` comes first."""
        task = self._loop.create_task(self._load(path))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Read no more."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown()

    async def _load(self, path: str) -> None:
        try:
            data = await self._loop.run_in_executor(self._thread, _read, path)
        except OSError as error:
            self._sink.sound_failed(path, f"the prepared sound cannot be read: {error.strerror or error}")
        else:
            self._sink.sound_loaded(path, data)


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        data = file.read(MAX_SOUND + 1)
    if len(data) > MAX_SOUND:
        raise OSError(0, f"more than {MAX_SOUND} bytes")
    return data
