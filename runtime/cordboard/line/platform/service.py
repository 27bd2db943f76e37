"""The platform as a whole: opens the store, has its parts, forgets what is older than its retention."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cordboard.line.harness.harness import Harness
from cordboard.line.platform.agents import Agents
from cordboard.line.platform.calls import Calls
from cordboard.line.platform.deployments import Deployments
from cordboard.line.platform.gate import Gate
from cordboard.line.platform.knowledge import Knowledge
from cordboard.line.platform.store import FILE
from cordboard.line.platform.worker import Worker
from cordboard.line.script import Agent
from cordboard.line.webhooks.outbox import FILE as OUTBOX
from cordboard.line.webhooks.outbox import OutboxUnusable
from cordboard.line.webhooks.sender import Webhooks

SWEEP_INTERVAL: Final = 3600.0
"""Seconds between two looks for calls that are too old; one more at the start."""

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}

log = logging.getLogger("cordboard.line")


@dataclass(frozen=True, slots=True)
class Options:
    """What a stand-in's platform is to do; by default it lives in memory, for ever, and takes any key."""

    folder: Path | None = None
    """Where the store and the recordings stand; None: in memory, and nothing is recorded."""
    api_key: str | None = None
    """The only key that is taken; None: any."""
    retain: float | None = None
    """Seconds after its end until a call is redacted; None: never."""
    outbound: str | None = None
    """Where an outbound call is asked for; None: nowhere, so there are none."""
    knowledge: Path | None = None
    """Folder of the agents' knowledge; None: none."""


def duration(text: str) -> float:
    """Seconds of `90m`, `12h` or `30d`; raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration like 90m, 12h or 30d")
    return int(match[1]) * _UNITS[match[2]]


class Platform:
    """Made by `open`."""

    def __init__(
        self, worker: Worker, options: Options, gate: Gate, agents: Agents, deployments: Deployments, calls: Calls
    ) -> None:
        self._worker = worker
        self.options = options
        self.gate = gate
        self.agents = agents
        self.deployments = deployments
        self.calls = calls
        self.knowledge = None if options.knowledge is None else Knowledge(options.knowledge)
        self._sweeping: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        options: Options,
        script: Mapping[str, Agent],
        harnesses: Mapping[str, Harness],
        webhooks: Webhooks | None = None,
    ) -> Platform:
        """Open the store and begin; raises StoreUnusable, or OSError for a folder that cannot be used."""
        worker = Worker()
        try:
            folder = options.folder
            store = await worker.open(None if folder is None else folder / FILE)
            deployments = Deployments(worker, store)
            webhook_id = None if webhooks is None else webhooks.webhook_id
            agents = Agents(worker, store, deployments, script, harnesses, webhook_id=webhook_id)
            recordings = None if folder is None else folder / "recordings"
            outbox = None if folder is None else folder / OUTBOX
            calls = Calls(worker, store, agents, deployments, recordings=recordings, webhooks=webhooks, outbox=outbox)
            await agents.load()
            await calls.load()
        except BaseException:
            await worker.close()
            raise
        platform = cls(worker, options, Gate(worker, store, options.api_key), agents, deployments, calls)
        if options.retain is not None:
            platform._sweeping = asyncio.create_task(platform._sweep(options.retain))
        return platform

    async def close(self) -> None:
        """All calls are over: write down what waits."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
        await self.deployments.close()
        await self.calls.close()
        await self._worker.close()

    async def _sweep(self, retain: float) -> None:
        while True:
            try:
                if count := await self.calls.sweep(retain):
                    log.info("retention: %d calls are redacted", count)
            except (sqlite3.Error, OSError, OutboxUnusable) as exc:
                log.error("retention: %s: %s", type(exc).__name__, exc)
            await asyncio.sleep(SWEEP_INTERVAL)
