"""Runs an agent program that must not outlive `cordboard line`: `python leash.py path/to/main.py`.

Executed by the program's own Python, so by path, and with the standard library alone. Standard input is a pipe from
`cordboard line`; its end is the end of the program and of all that it started, even when `cordboard line` was killed
and the program hears of nothing, for it computes. So the program is a process of its own, `python path/to/main.py`,
in the group that the leash leads, and on Linux it ends with the leash, should only that be killed. Leaves out what a
program puts into another session.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import NoReturn

GRACE = 3.0
"""Seconds for the program to finish its calls after SIGTERM."""

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""


def _end_with_leash() -> None:
    """In the program's process, before the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


def _end_like(returncode: int) -> NoReturn:
    if returncode < 0:
        if returncode != -signal.SIGKILL:
            signal.signal(-returncode, signal.SIG_DFL)
        os.kill(os.getpid(), -returncode)
    os._exit(returncode & 0xFF)


def run(program: list[str]) -> NoReturn:
    """Run the program to its end, or to the pipe's, and end as it did."""
    if os.getpgrp() != os.getpid():
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for `cordboard line`
    child = subprocess.Popen(  # noqa: S603 (what was asked for)
        [sys.executable, *program],
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_leash,  # no thread runs yet
    )
    signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    threading.Thread(target=_watch, name="leash", daemon=True).start()
    returncode = child.wait()
    if select.select([0], [], [], 0)[0]:  # the pipe has ended: nobody else ends what the program started
        os.killpg(0, signal.SIGKILL)
    _end_like(returncode)


if __name__ == "__main__":
    run(sys.argv[1:])
