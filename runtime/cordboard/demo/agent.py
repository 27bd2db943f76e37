"""The agent of the demo: the sample program `front_desk`, run by the locked `cartesia-line` behind `cordboard line`.

The SDK stands in a virtual environment of its own below `var/agents` of the clone, made once, from a package index.
"""

import re
from collections.abc import Callable
from pathlib import Path

from cordboard.line.harness.environment import REQUIREMENTS, EnvironmentFailed
from cordboard.line.harness.installing import prepare_aloud

from .stage import StageError

AGENT = "front_desk"
"""Folder of the program below samples/agents, and its agent id."""

_STARTED = re.compile(r"agent: process (\d+) started")


async def agent_python(root: Path, say: Callable[[str], None]) -> Path:
    """Return the Python of the agent's environment, made when it is missing; raise `StageError`.

    `root` is the clone; `say` hears how it goes.
    """
    try:
        return await prepare_aloud(root / "var" / "agents", REQUIREMENTS, say)
    except (EnvironmentFailed, OSError) as error:
        raise StageError(f"the agent's libraries could not be installed: {error}") from error


def agent_options(root: Path, python: Path, script: Path, ear: Path | None) -> list[str]:
    """Return the options of `cordboard line` that run the agent; `ear` hears in place of the grammar beside it."""
    program = root / "samples" / "agents" / AGENT / "main.py"
    if not program.is_file():
        raise StageError(f"no {program}")
    words = ["--agent", str(program), "--agent-id", AGENT, "--agent-python", str(python), "--script", str(script)]
    return words if ear is None else [*words, "--ear", str(ear)]


def agent_processes(log: Path) -> list[int]:
    """Return the process ids of the agent program, as the stand-in's log tells of them, the newest last."""
    return [int(number) for number in _STARTED.findall(log.read_text(encoding="utf-8", errors="replace"))]
