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

from cordboard.line import agent_options
from cordboard.line.harness.api_address import check_public_url
from cordboard.line.harness.environment import EnvironmentFailed
from cordboard.line.harness.program import AgentHost
from cordboard.line.platform import options as platform_options
from cordboard.line.platform.options import DATA_DIR, OptionInvalid
from cordboard.line.platform.store import StoreUnusable
from cordboard.line.script import load
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
    parser.add_argument(
        "--public-url",
        metavar="URL",
        help="where agent programs on other hosts reach this API (default: the address that they are called from)",
    )
    agent_options.add_arguments(parser)
    platform_options.add_arguments(parser)
    webhook_options.add_arguments(parser)


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
        harnesses = agent_options.agent_harness(args, script, args.data_dir or DATA_DIR)
        hosts = [harness.host for harness in harnesses.values()]
        voice = voice_options.open_voice(args, script)
        public_url = "" if args.public_url is None else check_public_url(args.public_url)
        server = LineServer(
            script,
            args.host,
            args.port,
            harnesses=harnesses,
            webhooks=webhooks,
            voice=voice,
            options=options,
            public_url=public_url,
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
