"""Deployments: each start of an agent's program and each address of one, with what the program prints.

Follows reference cartesia-protocols §4.4. Leaves out versions, pins and regions, of which a stand-in has one.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from cordboard.line.harness.program import AgentHost, AgentProgram, AgentUrl, News, healthy
from cordboard.line.platform.store import Store
from cordboard.line.platform.values import DeploymentRow, DeploymentStatus, Line
from cordboard.line.platform.worker import Worker

FLUSH: Final = 0.2
"""Seconds that printed lines are gathered before they are written down."""

MAX_GATHERED: Final = 500
"""Lines of one program gathered in that time; a program that floods loses the others."""


class Deployments:
    """Follows the programs of all agents."""

    def __init__(self, worker: Worker, store: Store, clock: Callable[[], float] = time.time) -> None:
        """`clock`: wall clock, seconds since 1970."""
        self._worker = worker
        self._store = store
        self._clock = clock
        self._current: dict[str, DeploymentRow] = {}
        self._lines: defaultdict[str, list[Line]] = defaultdict(list)
        self._flushing: asyncio.TimerHandle | None = None
        self._looking: set[asyncio.Task[None]] = set()
        self._programs: list[AgentProgram] = []

    def current(self, agent_id: str) -> DeploymentRow | None:
        """The deployment that takes an agent's calls, or that tries to."""
        return self._current.get(agent_id)

    async def of_agent(self, agent_id: str) -> list[DeploymentRow]:
        """An agent's deployments, the newest first."""
        return await self._worker.run(self._store.deployments, agent_id)

    async def get(self, id: str) -> DeploymentRow | None:
        """One deployment."""
        return await self._worker.run(self._store.deployment, id)

    async def lines(self, id: str) -> list[Line]:
        """What its program printed."""
        self._flush()
        return await self._worker.run(self._store.lines, id)

    def follow(self, agent_id: str, host: AgentHost) -> None:
        """Hear of what becomes of an agent's program; before its start."""
        if isinstance(host, AgentProgram):
            self._programs.append(host)
            host.on_news = functools.partial(self._hear, agent_id)
        elif isinstance(host, AgentUrl):
            self.connect(agent_id, host.url)

    def connect(self, agent_id: str, url: str) -> None:
        """An agent's program answers at `url` from now on."""
        self.disconnect(agent_id)
        self._begin(agent_id, "deployed")
        task = asyncio.get_running_loop().create_task(self._look(agent_id, url))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    def disconnect(self, agent_id: str) -> None:
        """The agent's program is no longer called."""
        if agent_id in self._current:
            self._change(agent_id, "inactive")
            del self._current[agent_id]

    async def close(self) -> None:
        """All programs end, and nobody asks how."""
        for program in self._programs:
            program.on_news = lambda news, text: None
        looking = set(self._looking)
        for task in looking:
            task.cancel()
        if looking:
            await asyncio.wait(looking)
        for agent_id in list(self._current):
            self.disconnect(agent_id)
        self._flush()

    async def _look(self, agent_id: str, url: str) -> None:
        mine = self._current[agent_id].id
        good = await healthy(url)
        if (now := self._current.get(agent_id)) is not None and now.id == mine:
            if good:
                self._change(agent_id, "ready")
            else:
                self._change(agent_id, "deploy_error", "nothing answers GET /status; calls try it all the same")

    def _hear(self, agent_id: str, news: News, text: str) -> None:
        current = self._current.get(agent_id)
        if news == "line":
            if current is not None and len(gathered := self._lines[current.id]) < MAX_GATHERED:
                gathered.append(Line(self._clock(), text))
                if self._flushing is None:
                    self._flushing = asyncio.get_running_loop().call_later(FLUSH, self._flush)
        elif news == "building" or (news == "deployed" and (current is None or current.status != "building")):
            self._begin(agent_id, news)
        elif current is not None:
            self._change(agent_id, news, "" if news == "inactive" else text)

    def _begin(self, agent_id: str, status: DeploymentStatus) -> None:
        now = self._clock()
        row = DeploymentRow(f"ad_{secrets.token_hex(8)}", agent_id, "queued", True, now, now)
        self._worker.post(self._store.put_deployment, row)
        self._current[agent_id] = row
        self._change(agent_id, status)

    def _change(self, agent_id: str, status: DeploymentStatus, message: str = "") -> None:
        live = status in ("queued", "building", "deployed", "ready")
        row = self._current[agent_id]._replace(
            status=status, is_live=live, updated_at=self._clock(), message=message[:1000]
        )
        self._current[agent_id] = row
        self._worker.post(self._store.put_deployment, row)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        for id, lines in self._lines.items():
            self._worker.post(self._store.add_lines, id, lines)
        self._lines = defaultdict(list)
