"""A real `cartesia-line` program as a test's peer: its environment, the program as an agent, a call's turns.

The SDK stands in an environment of its own below `var/`, made by the first of these tests (minutes without a cache of
packages); it needs a package index once. CORDBOARD_AGENT_PYTHON names another, with another release of the SDK.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cordboard.line.ears.scripted import ScriptedEars
from cordboard.line.harness.environment import REQUIREMENTS, prepare
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentHost, AgentProgram, Watch
from cordboard.line.script import parse
from cordboard.line.server import LineServer

from ..line_peer import LOUD, SILENCE, Peer

ROOT = Path(__file__).parents[3]
LIMIT = 60.0
"""Seconds for a whole test: a program's imports take several on a busy machine."""


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(limited())


def agent_python() -> Path:
    """The Python of an environment with the SDK."""
    other = os.environ.get("CORDBOARD_AGENT_PYTHON")
    return Path(other) if other else asyncio.run(prepare(ROOT / "var" / "agents", REQUIREMENTS))


@asynccontextmanager
async def serving_host(
    host: AgentHost, *utterances: str, calls: Sequence[Sequence[str]] = ()
) -> AsyncIterator[LineServer]:
    """A stand-in whose agent `a` answers at a host; what all its callers say, or call by call."""
    script = parse('[speech]\nengine = "tones"\n[agents.a]\ndelivery = "as_available"\n', Path())
    server = LineServer(script, "127.0.0.1", 0, seed=1, harnesses={"a": Harness(host, ScriptedEars(utterances, calls))})
    try:
        await host.start()
        assert host.url
        await server.start()
        yield server
    finally:
        await server.close()
        await host.close()


@asynccontextmanager
async def program(
    path: Path, python: Path, *utterances: str, calls: Sequence[Sequence[str]] = (), watch: Watch | None = None
) -> AsyncIterator[LineServer]:
    """A stand-in with a real program, started here, as its agent `a`."""
    host = AgentProgram(path, python=python, watch=watch or Watch())
    async with serving_host(host, *utterances, calls=calls) as server:
        yield server


async def assistant(peer: Peer) -> dict[str, Any]:
    """Return the agent's next turn that ended."""
    while True:
        ended, _ = await peer.until("turn_ended")
        turn: dict[str, Any] = ended["turn_ended"]
        if turn["role"] == "assistant":
            return turn


async def speak(peer: Peer) -> None:
    """The caller says something."""
    await peer.audio(LOUD, 10)
    await peer.audio(SILENCE, 40)


def notes(server: LineServer, kind: str) -> list[dict[str, Any]]:
    """Messages of the first call's program of that type, without `type` and `responding_to`."""
    found = [item.message for item in server.calls[0].agent_messages if item.direction == "in"]
    kept = [message for message in found if message["type"] == kind]
    return [{key: value for key, value in m.items() if key not in ("type", "responding_to")} for m in kept]
