"""Control's ends of the links to all planes: connects, and connects again after a plane's or its own death."""

import asyncio
import logging
from pathlib import Path
from typing import Final, Protocol

from cordboard.edge.link import Link, socket_path

RETRY: Final = 0.1  # seconds between attempts; a plane's process takes some tenths to start

log = logging.getLogger(__name__)


class PlaneSink(Protocol):
    """Where links report."""

    def plane_connected(self, index: int) -> None:
        """A link is up."""

    def plane_lost(self, index: int, reason: str) -> None:
        """It is gone."""

    def receive_link(self, index: int, line: bytes) -> None:
        """A line of a plane."""


class PlaneLinks:
    """Links to planes 0 to `count` - 1."""

    def __init__(self, run_dir: Path, count: int, sink: PlaneSink) -> None:
        self._run_dir = run_dir
        self._sink = sink
        self._links: dict[int, Link] = {}
        self._lost = {index: asyncio.Event() for index in range(count)}
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to connect."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(index)) for index in self._lost]

    def write(self, index: int, line: bytes) -> None:
        """Send a line; without a link it is lost, as `plane_lost` has said or will say."""
        link = self._links.get(index)
        if link is not None:
            link.write(line)

    async def close(self) -> None:
        """Drop all links."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._closing = True
        for index, link in tuple(self._links.items()):
            link.close("control ends")
            await self._lost[index].wait()

    async def _keep(self, index: int) -> None:
        loop = asyncio.get_running_loop()
        path = socket_path(self._run_dir, index)
        while True:
            self._lost[index].clear()
            try:
                await loop.create_unix_connection(
                    lambda: Link(
                        lambda link: self._up(index, link),
                        lambda line: self._sink.receive_link(index, line),
                        lambda _, reason: self._down(index, reason),
                    ),
                    str(path),
                )
            except OSError:  # not started yet, or dead and soon started again
                await asyncio.sleep(RETRY)
                continue
            await self._lost[index].wait()

    def _up(self, index: int, link: Link) -> None:
        self._links[index] = link
        self._sink.plane_connected(index)

    def _down(self, index: int, reason: str) -> None:
        self._links.pop(index, None)
        self._lost[index].set()
        if self._closing:
            return
        log.warning("the link to plane %d is gone: %s", index, reason)
        self._sink.plane_lost(index, reason)
