"""`python -m cordboard.edge.media`: one media plane, started by the supervisor, configured by its command line."""

import argparse
import asyncio
import logging
import os
import random
import sys
import time
from pathlib import Path
from typing import Final

from cordboard.edge import log as edge_log
from cordboard.edge.lifeline import LifeLine, ignore_interrupt
from cordboard.edge.link import socket_path
from cordboard.edge.media.plane import Plane
from cordboard.edge.media.ports import share_of
from cordboard.plane.engine import PlaneEngine

NICENESS: Final = -10  # audio before all else; measured under three busy processes: 7 ms late instead of 60
LINGER: Final = 5.0  # seconds a plane waits for control to end its calls once the supervisor is gone

log = logging.getLogger(__name__)


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m cordboard.edge.media")
    parser.add_argument("--plane", type=int, required=True)
    parser.add_argument("--planes", type=int, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--bind", required=True)
    parser.add_argument("--ports", type=int, nargs=2, required=True)
    parser.add_argument("--connect-timeout", type=float, required=True)
    parser.add_argument("--log-format", choices=("text", "json"), required=True)
    parser.add_argument("--log-level", required=True)
    args = parser.parse_args()
    ignore_interrupt()
    edge_log.set_up(f"plane-{args.plane}", args.log_format, args.log_level)
    try:
        os.nice(NICENESS)
    except PermissionError:
        log.info("no right to raise the priority of audio; CAP_SYS_NICE gives it")
    try:
        asyncio.run(_run(args))
    except OSError as error:
        log.error("the plane cannot run: %s", error)
        return 1
    return 0


async def _run(args: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    engine = PlaneEngine(
        index=args.plane,
        pid=os.getpid(),
        rng=random.SystemRandom(),  # SSRCs and sequence numbers must not be guessed (RFC 3550 section 9)
        now=loop.time(),
        connect_timeout=args.connect_timeout,
    )
    engine.set_wall_clock(lambda moment: moment + time.time() - time.monotonic())
    plane = Plane(
        engine,
        socket_path=socket_path(args.run_dir, args.plane),
        host=args.bind,
        ports=share_of(args.ports[0], args.ports[1], args.plane, args.planes),
    )

    def end(reason: str) -> None:
        log.info("ending: %s", reason)
        if not plane.linked:
            ended.set()
            return
        plane.on_link_lost = ended.set  # control still says BYE and reads the ledgers
        loop.call_later(LINGER, ended.set)

    life_line = LifeLine(loop, end)
    try:
        await plane.start()
        await ended.wait()
    finally:
        life_line.close()
        await plane.close()


if __name__ == "__main__":
    sys.exit(main())
