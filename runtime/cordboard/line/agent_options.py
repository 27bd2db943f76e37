"""The options of `cordboard line` for an agent of one's own and its voice; `cordboard dev` hands them on.

Secrets are none of them: what talks to Cartesia reads its key from the environment.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from cordboard.line.ears import options as ear_options
from cordboard.line.harness.environment import REQUIREMENTS
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentHost, AgentProgram, AgentUrl
from cordboard.line.script import Script
from cordboard.line.tables import ScriptError
from cordboard.line.voices import options as voice_options

_NAMES: Final = (
    *("agent", "agent_url", "agent_id", "agent_python", "agent_requirements", "agent_dtmf"),
    *("ear", "ink_url", "vad", "vad_model", "voice", "voice_name", "sonic_url"),
)
"""All that `add_arguments` declares."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    voice_options.add_arguments(parser)
    group = parser.add_argument_group("an agent of your own: a cartesia-line program")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--agent", type=Path, metavar="MAIN.PY", help="run this program, as one more agent")
    where.add_argument("--agent-url", metavar="URL", help="use a program that runs already, http://host:port")
    group.add_argument("--agent-id", metavar="ID", help="its agent id (default: the program's folder, or `agent`)")
    group.add_argument("--agent-python", type=Path, metavar="PYTHON", help="run it with this Python, as it is")
    group.add_argument(
        "--agent-requirements",
        type=Path,
        metavar="FILE",
        help="what a virtual environment for it is filled with (default: the locked cartesia-line)",
    )
    group.add_argument(
        "--agent-dtmf",
        choices=("turn", "bare"),
        default="turn",
        help="digits make turns of the caller, or are told and no more (default: %(default)s)",
    )
    ear_options.add_arguments(group)


def as_words(args: argparse.Namespace) -> list[str]:
    """The options as a command line has them."""
    given = ((name, getattr(args, name)) for name in _NAMES)
    return [f"--{name.replace('_', '-')}={value}" for name, value in given if value not in (None, "")]


def agent_name(args: argparse.Namespace) -> str | None:
    """The agent's id; None: there is no agent of one's own."""
    if args.agent is not None:
        return args.agent_id or str(args.agent.absolute().parent.name)
    return None if args.agent_url is None else args.agent_id or "agent"


def requirements(args: argparse.Namespace) -> Path | None:
    """What the program's virtual environment is filled with; None: it has none of ours."""
    return None if args.agent is None or args.agent_python is not None else args.agent_requirements or REQUIREMENTS


def agent_harness(args: argparse.Namespace, script: Script, folder: Path) -> dict[str, Harness]:
    """Return the agent program of the command line by its id, not yet started; `folder` is to hold its virtual
    environment. Raises `ScriptError`."""
    name = agent_name(args)
    if name is None:
        if args.ear is not None:
            raise ScriptError("--ear: needs --agent or --agent-url; an agent of the script understands nothing")
        return {}
    host: AgentHost
    if args.agent is not None:
        host = AgentProgram(args.agent, python=args.agent_python, requirements=requirements(args), folder=folder)
    else:
        try:
            host = AgentUrl(args.agent_url)
        except ValueError as exc:
            raise ScriptError(f"--agent-url: {exc}") from exc
    told = script.agents.get(name)
    if told is not None and (told.steps or told.greeting is not None):
        raise ScriptError(f"agents.{name}: is a program by --agent, so it has neither greeting nor steps")
    ears = ear_options.open_ears(args)
    return {name: Harness(host, ears, ear_options.open_turns(args), dtmf_turns=args.agent_dtmf == "turn")}
