"""`cordboard line`: runs the stand-in until SIGTERM or SIGINT; one line per event on stderr.

With `--agent` or `--agent-url` one of its agents is a real `cartesia-line` program, beside those of the script.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from cordboard.line.ears import options as ear_options
from cordboard.line.harness.environment import REQUIREMENTS, EnvironmentFailed
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentHost, AgentProgram, AgentUrl
from cordboard.line.platform import options as platform_options
from cordboard.line.platform.options import DATA_DIR, OptionInvalid
from cordboard.line.platform.store import StoreUnusable
from cordboard.line.script import Script, load
from cordboard.line.server import LineServer
from cordboard.line.tables import ScriptError
from cordboard.line.voices import options as voice_options
from cordboard.line.voices.voice import VoiceUnavailable
from cordboard.line.webhooks import options as webhook_options
from cordboard.line.webhooks.outbox import OutboxUnusable
from cordboard.line.webhooks.sender import Webhooks, WebhookTargetInvalid
from cordboard.media.wav import WavError

DEMO = Path(__file__).parent / "scripts" / "demo.toml"
"""Script that comes with the program."""

STOPPING = (signal.SIGTERM, signal.SIGINT)
"""Signals that end the program."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `cordboard line`."""
    parser.add_argument(
        "--script", type=Path, default=DEMO, help="agents and what they do (TOML); default: demo agents"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8090, help="TCP port, 0 for any (default: %(default)s)")
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
    platform_options.add_arguments(parser)
    webhook_options.add_arguments(parser)


def agent_harness(args: argparse.Namespace, script: Script) -> dict[str, Harness]:
    """Return the agent program of the command line by its id, not yet started. Raises `ScriptError`."""
    if args.agent is None and args.agent_url is None:
        if args.ear is not None:
            raise ScriptError("--ear: needs --agent or --agent-url; an agent of the script understands nothing")
        return {}
    host: AgentHost
    name: str = args.agent_id or "agent"
    if args.agent is not None:
        name = args.agent_id or args.agent.absolute().parent.name
        requirements = args.agent_requirements or REQUIREMENTS
        folder = args.data_dir or DATA_DIR
        host = AgentProgram(args.agent, python=args.agent_python, requirements=requirements, folder=folder)
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


def main(args: argparse.Namespace) -> int:
    """Run; return 0 after a signal, 2 for a bad script, 1 when it cannot listen."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s line: %(message)s", "%H:%M:%S"))
    log = logging.getLogger("cordboard.line")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        return asyncio.run(run(args))
    finally:
        log.removeHandler(handler)
        handler.close()


async def run(args: argparse.Namespace) -> int:
    """As `main`, inside a running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.set)
    try:
        return await _serve_until(stop, args)
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)


async def _serve_until(stop: asyncio.Event, args: argparse.Namespace) -> int:
    log = logging.getLogger("cordboard.line")
    stopping = asyncio.create_task(stop.wait())
    starting: asyncio.Task[None] | None = None
    server: LineServer | None = None
    hosts: list[AgentHost] = []
    webhooks: Webhooks | None = None
    try:
        script = load(args.script)
        options = platform_options.open_options(args)
        webhooks = webhook_options.open_webhooks(args)
        harnesses = agent_harness(args, script)
        hosts = [harness.host for harness in harnesses.values()]
        voice = voice_options.open_voice(args, script)
        server = LineServer(
            script, args.host, args.port, harnesses=harnesses, webhooks=webhooks, voice=voice, options=options
        )
        starting = asyncio.create_task(_start(server, hosts, webhooks))
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        log.info("stopping")
    except (
        OptionInvalid,
        StoreUnusable,
        ScriptError,
        WavError,
        VoiceUnavailable,
        EnvironmentFailed,
        WebhookTargetInvalid,
        OutboxUnusable,
    ) as exc:
        log.error("%s", exc)
        return 2
    except OSError as exc:
        place = exc.filename or f"cannot listen on {args.host}:{args.port}"
        log.error("%s: %s", place, exc.strerror or exc)
        return 1
    finally:
        for task in (stopping, starting):
            if task is not None:
                task.cancel()
        await asyncio.wait({task for task in (stopping, starting) if task is not None})
        if server is not None:
            await server.close()
        for host in hosts:
            await host.close()
        if webhooks is not None:
            await webhooks.close()  # last: the ends of calls are told by now, and kept
    return 0


async def _start(server: LineServer, hosts: list[AgentHost], webhooks: Webhooks | None) -> None:
    if webhooks is not None:
        await webhooks.start()
    await server.open()
    for host in hosts:
        await host.start()
    await server.start()
