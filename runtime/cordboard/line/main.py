"""`cordboard line`: runs the stand-in until SIGTERM or SIGINT; one line per event on stderr."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from cordboard.line.script import load
from cordboard.line.server import LineServer
from cordboard.line.tables import ScriptError
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
    try:
        server = LineServer(load(args.script), args.host, args.port)
        starting = asyncio.create_task(server.start())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        log.info("stopping")
    except (ScriptError, WavError) as exc:
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
    return 0
