"""The agents of one stand-in: those of the script, those made over REST, and what was changed of them.

Follows reference cartesia-protocols §4.2 and §4.3. A `self_hosted_deployment_url` makes an agent's next calls run the
protocol of §3 against it. An agent made over REST without one greets its callers and says no more: there is no model.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentUrl
from cordboard.line.platform.deployments import Deployments
from cordboard.line.platform.store import MAX_AGENTS, Store, StoreFull
from cordboard.line.platform.values import AgentRow
from cordboard.line.platform.worker import Worker
from cordboard.line.script import Agent
from cordboard.line.steps import Text

URL: Final = "self_hosted_deployment_url"
"""The field that makes an agent a program."""


class Callee(NamedTuple):
    """What answers a call."""

    agent: Agent
    """How it speaks on the wire."""
    harness: Harness | None
    """Its program; None: the script's steps."""
    fields: Mapping[str, Any]
    """What was set of it over REST."""


class Agents:
    """All agents, by id."""

    def __init__(
        self,
        worker: Worker,
        store: Store,
        deployments: Deployments,
        script: Mapping[str, Agent],
        harnesses: Mapping[str, Harness],
        *,
        webhook_id: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Agents with an address of their own hear as the first of `harnesses` does. `webhook_id` is that of all
        agents that have no other. `clock`: wall clock, seconds since 1970."""
        self.webhook_id = webhook_id
        self._worker = worker
        self._store = store
        self._deployments = deployments
        self._script = script
        self._harnesses = dict(harnesses)
        self._like = next(iter(harnesses.values()), None)
        self._clock = clock
        self._rows: dict[str, AgentRow] = {}
        self._connected: dict[str, Harness] = {}

    async def load(self) -> None:
        """Take what is stored, and add the script's agents and the programs."""
        self._rows = {row.id: row for row in await self._worker.run(self._store.agents)}
        now = self._clock()
        for at, id in enumerate(dict.fromkeys([*self._script, *self._harnesses])):
            if id not in self._rows:
                self._put(AgentRow(id, now + at / 1e6, now, None, {}))
        for id, harness in self._harnesses.items():
            self._deployments.follow(id, harness.host)
        for row in list(self._rows.values()):
            if row.fields.get(URL) and row.deleted_at is None:
                self._connect(row.id, row.fields[URL])

    def __iter__(self) -> Iterator[AgentRow]:
        """Agents that are not deleted."""
        return iter([row for row in self._rows.values() if row.deleted_at is None])

    def get(self, id: str) -> AgentRow | None:
        """An agent that is not deleted."""
        row = self._rows.get(id)
        return None if row is None or row.deleted_at is not None else row

    def name(self, id: str) -> str:
        """An agent's name, also of one that is deleted."""
        row = self._rows.get(id)
        return str((row.fields.get("name") if row is not None else None) or id)

    def webhook_of(self, row: AgentRow) -> str | None:
        """The webhook that is told of an agent's calls."""
        webhook_id: str | None = row.fields.get("webhook_id", self.webhook_id)
        return webhook_id if webhook_id == self.webhook_id else None  # one of an earlier life is gone

    def callee(self, id: str) -> Callee | None:
        """What answers a call for an agent; None: there is no such agent."""
        row = self.get(id)
        if row is None:
            return None
        agent = self._script.get(id) or Agent(id)
        harness = self._connected.get(id) or self._harnesses.get(id)
        introduction = row.fields.get("llm_introduce")
        if introduction is not None and harness is None:
            agent = dataclasses.replace(agent, greeting=Text(introduction) if introduction.strip() else None)
        return Callee(agent, harness, row.fields)

    def create(self, fields: Mapping[str, Any]) -> AgentRow:
        """Make an agent. Raises StoreFull."""
        if len(self._rows) >= MAX_AGENTS:
            raise StoreFull(f"{MAX_AGENTS} agents exist already")
        now = self._clock()
        row = AgentRow(f"agent_{secrets.token_hex(11)}", now, now, None, dict(fields))
        self._put(row)
        return row

    def change(self, id: str, changes: Mapping[str, Any]) -> AgentRow:
        """Change fields of an agent that exists; an address takes its next calls, None gives them back."""
        row = self._rows[id]
        row = row._replace(updated_at=self._clock(), fields={**row.fields, **changes})
        self._put(row)
        if URL in changes:
            self._connected.pop(id, None)
            self._deployments.disconnect(id)
            if changes[URL]:
                self._connect(id, changes[URL])
            elif id in self._harnesses:
                self._deployments.follow(id, self._harnesses[id].host)
        return row

    def delete(self, id: str) -> None:
        """Take an agent away: it answers no more calls; calls that it had stay."""
        now = self._clock()
        self._put(self._rows[id]._replace(deleted_at=now, updated_at=now))
        self._connected.pop(id, None)
        if id not in self._harnesses:
            self._deployments.disconnect(id)

    def _connect(self, id: str, url: str) -> None:
        host = AgentUrl(url if "://" in url else f"https://{url}")
        self._connected[id] = Harness(host) if self._like is None else dataclasses.replace(self._like, host=host)
        self._deployments.connect(id, host.url)

    def _put(self, row: AgentRow) -> None:
        self._rows[row.id] = row
        self._worker.post(self._store.put_agent, row)
