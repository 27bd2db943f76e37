"""An agent program of one's own under `cordboard dev`: its options are judged and its environment made beforehand."""

import argparse
import asyncio
import logging
from pathlib import Path

from cordboard.cli.errors import BAD, USAGE, CliError
from cordboard.cli.terminal import note
from cordboard.line.agent_options import agent_harness, agent_name, requirements
from cordboard.line.harness.environment import EnvironmentFailed
from cordboard.line.harness.installing import prepare_aloud
from cordboard.line.main import DEMO
from cordboard.line.platform.options import DATA_DIR
from cordboard.line.script import load
from cordboard.line.tables import ScriptError
from cordboard.line.voices import options as voice_options
from cordboard.line.voices.voice import VoiceUnavailable
from cordboard.media.wav import WavError


def check_options(args: argparse.Namespace) -> str | None:
    """The id of the agent that answers; None: one of the script does. Raises CliError for what cannot work."""
    name = agent_name(args)
    if args.no_line and (name is not None or args.voice or args.ear):
        raise CliError(
            USAGE, "--no-line: --agent, --ear and --voice are the stand-in's", "leave out the one or the other"
        )
    if args.no_line:
        return None
    path: Path = args.script or DEMO
    logging.getLogger("cordboard.line").addHandler(logging.NullHandler())  # the stand-in itself tells the same
    try:
        script = load(path)
        agent_harness(args, script, DATA_DIR)
        voice_options.open_voice(args, script)
    except (ScriptError, WavError, VoiceUnavailable) as error:
        raise CliError(USAGE, str(error), "`cordboard line --help` says what these options take") from None
    except OSError as error:
        raise CliError(
            USAGE, f"{error.filename or path}: {error.strerror or error}", "name a file that is there"
        ) from None
    if args.agent is not None and not args.agent.is_file():
        raise CliError(USAGE, f"--agent: {args.agent}: no such file", "name the program that runs the VoiceAgentApp")
    return name


def make_environment(args: argparse.Namespace) -> None:
    """Make the program's virtual environment where it needs one and has none. Raises CliError."""
    file = requirements(args)
    if file is None:
        return
    try:
        asyncio.run(prepare_aloud(DATA_DIR.absolute() / "agents", file, note))
    except (EnvironmentFailed, OSError) as error:
        hint = "see what pip says; --agent-python runs the program with a Python of yours"
        raise CliError(BAD, f"the agent's virtual environment cannot be made: {error}", hint) from None
