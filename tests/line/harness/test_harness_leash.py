"""What is left of an agent program, and of what it started, when its stand-in is killed: nothing, whatever it does."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cordboard.line.harness import leash, program

LIMIT = 30.0
SLACK = 5.0
"""Seconds beyond the program's grace in which a loaded machine kills processes."""

PROGRAM = """
import http.server, os, pathlib, re, signal, subprocess, sys, threading
stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
(pathlib.Path(sys.argv[0]).parent / "pids").write_text(f"{{os.getpid()}} {{child.pid}}")
signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # a handler waits for the interpreter, unlike the default
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.close()
        {then}
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SPIN = "re.match(r'(a+)+$', 'a' * 60 + 'b')  # holds the interpreter lock for years"
WAIT = "pass"

STAND_IN = """
import asyncio, pathlib, sys
from cordboard.line.harness.program import AgentProgram
agent = AgentProgram(pathlib.Path(sys.argv[1]), python=pathlib.Path(sys.executable))
loop = asyncio.new_event_loop()
loop.run_until_complete(agent.start())
print(agent.url, flush=True)
loop.run_forever()
"""


@contextmanager
def watched(pids: list[int]) -> Iterator[list[int]]:
    """Descriptors that become readable when the processes end; those that have not are killed."""
    watches = [os.pidfd_open(pid) for pid in pids]
    try:
        yield watches
    finally:
        for watch in watches:
            if not select.select([watch], [], [], 0)[0]:
                signal.pidfd_send_signal(watch, signal.SIGKILL)
            os.close(watch)


def left(watches: list[int], seconds: float) -> list[int]:
    """Places of the processes that run after so many seconds."""
    deadline = time.monotonic() + seconds
    return [
        at
        for at, watch in enumerate(watches)
        if not select.select([watch], [], [], max(0.0, deadline - time.monotonic()))[0]
    ]


@pytest.mark.parametrize("then", [WAIT, SPIN])
def test_nothing_is_left_of_a_killed_stand_in(then: str, tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(PROGRAM.format(then=then))
    command = [sys.executable, "-c", STAND_IN, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://")
            pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
            with watched(pids) as watches:
                assert left(watches, 0) == [0, 1]
                process.kill()
                assert left(watches, leash.GRACE + SLACK) == []
        finally:
            process.kill()


def test_a_program_ends_with_its_leash(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    command = [sys.executable, str(program.LEASH), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with watched([int(process.stdout.readline())]) as watches:
            process.kill()
            assert left(watches, SLACK) == []


@pytest.mark.parametrize(
    ("body", "returncode"),
    [
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
        ("import sys; sys.exit(sys.argv != [__file__, 'word'] or __name__ != '__main__')", 0),
        ("import pathlib, sys; sys.exit(sys.path[0] != str(pathlib.Path(__file__).parent))", 0),
        ("import sys; sys.exit(sys.stdin.read() != '')", 0),
        ("import os; os.kill(os.getppid(), 15); import signal; signal.pause()", -signal.SIGTERM),
    ],
)
def test_a_program_runs_as_by_python_and_its_end_is_told(body: str, returncode: int, tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(body)
    with subprocess.Popen([sys.executable, str(program.LEASH), str(path), "word"], stdin=subprocess.PIPE) as process:
        try:
            assert process.wait(LIMIT) == returncode
        finally:
            process.kill()
