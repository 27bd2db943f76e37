"""The agent program as a process: started with PORT set, asked for its health, restarted after a crash, ended with us.

Follows reference cartesia-protocols §3.1 (`GET /status`). The SDK listens on all interfaces; only a program that asks
for another host does otherwise. What the program prints becomes lines of the log, without the secret part of URLs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cordboard.line.harness.environment import EnvironmentFailed, prepare

START_TIMEOUT = 60.0
"""Seconds from the start to a good `GET /status`: litellm alone takes many to import on a slow machine."""

START_POLL = 0.1
"""Seconds between two looks while it starts."""

HEALTH_TIMEOUT = 3.0
"""Seconds for an answer; the loop of a healthy program is never blocked for so long."""

BACKOFF = (0.5, 30.0)
"""First and longest pause, in seconds, before a crashed program is started again; it doubles with each crash."""

STABLE = 60.0
"""Seconds of health after which a crash is the first again."""

KILL_TIMEOUT = 10.0
"""Seconds that a killed process may take to be gone: a machine that swaps."""

MAX_LINE = 2000
"""Characters of one printed line that are logged."""

LEASH = Path(__file__).with_name("leash.py")

log = logging.getLogger("cordboard.line")


News = Literal["building", "build_error", "deployed", "ready", "deploy_error", "inactive", "line"]
"""What becomes of a program: its environment is made or cannot be; it runs; it answers; it never did; it has ended;
it printed a line."""


@dataclass(frozen=True, slots=True)
class Watch:
    """When a program that runs is taken for hung, and how long it may take to end."""

    interval: float = 5.0
    """Seconds between two looks."""
    timeout: float = HEALTH_TIMEOUT
    """Seconds for an answer."""
    strikes: int = 3
    """Looks without an answer in a row until it is killed."""
    stop: float = 3.0
    """Seconds between SIGTERM and SIGKILL."""


_WATCH = Watch()


class AgentHost(Protocol):
    """Where an agent program answers."""

    @property
    def url(self) -> str:
        """`http://host:port` without a path, or "" while it does not run."""

    async def start(self) -> None:
        """Return when it answers, or is known not to; raise what makes it impossible."""

    async def close(self) -> None:
        """End what was started."""


class AgentUrl:
    """A program that somebody else runs."""

    def __init__(self, url: str) -> None:
        """Raises ValueError for what is not http(s)://host[:port][/]."""
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/") and not parts.query
        if not good or parts.username is not None or parts.port == 0:
            raise ValueError("must be http://host:port or https://host")
        self.url = f"{parts.scheme}://{parts.netloc}"

    async def start(self) -> None:
        """Warn when it does not answer yet: it may come later."""
        if not await healthy(self.url):
            log.warning("agent: nothing answers GET /status at the given URL yet")

    async def close(self) -> None:
        """Nothing was started."""


class AgentProgram:
    """A program that runs here, restarted until closed."""

    def __init__(
        self,
        path: Path,
        *,
        python: Path | None = None,
        requirements: Path | None = None,
        folder: Path = Path("var"),
        watch: Watch = _WATCH,
    ) -> None:
        """`python` runs it; without one, an environment with `requirements` is made below `folder`."""
        self._path = path.absolute()
        self._python = python
        self._requirements = requirements
        self._folder = folder
        self._patience = watch
        self._keeper: asyncio.Task[None] | None = None
        self.on_news: Callable[[News, str], None] = lambda news, text: None
        """Hears what becomes of the program, with what went wrong or was printed."""
        self._ready = asyncio.Event()
        self._closing = asyncio.Event()
        self._healthy_at = 0.0
        self.url = ""
        self.starts = 0

    async def start(self) -> None:
        """Make the environment and start the program; return at its first good status or its first crash.

        Raises `EnvironmentFailed`, or OSError for files that cannot be read or run.
        """
        if not self._path.is_file():
            raise FileNotFoundError(2, "no such agent program", str(self._path))
        if self._python is None:
            if self._requirements is None:
                raise EnvironmentFailed("neither a Python nor requirements for the agent program")
            self.on_news("building", "")
            try:
                self._python = await prepare(self._folder.absolute() / "agents", self._requirements)
            except EnvironmentFailed as exc:
                self.on_news("build_error", str(exc))
                raise
        self._keeper = asyncio.create_task(self._keep(self._python))
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({self._keeper, ready}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._keeper.done():
            self._keeper.result()

    async def close(self) -> None:
        """End the program and all that it started."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._closing.set()  # not cancelled: one that is ending its program must not be disturbed
            await asyncio.wait({keeper})

    async def _keep(self, python: Path) -> None:
        pause = BACKOFF[0]
        while not self._closing.is_set():
            await self._run_once(python)
            self._ready.set()
            if self._closing.is_set():
                return
            if self._healthy_at and asyncio.get_running_loop().time() - self._healthy_at > STABLE:
                pause = BACKOFF[0]
            log.warning("agent: starts again in %g s", pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            pause = min(2 * pause, BACKOFF[1])

    async def _run_once(self, python: Path) -> None:
        """Run the program to its end."""
        port = _free_port()
        environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", **os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        process = await asyncio.create_subprocess_exec(
            *(str(python), str(LEASH), str(self._path)),
            cwd=self._path.parent,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=1 << 16,
        )
        self.starts += 1
        self.on_news("deployed", "")
        log.info("agent: process %s started, PORT %s", process.pid, port)
        self._healthy_at = 0.0
        reading = asyncio.create_task(self._log_lines(process))
        watching = asyncio.create_task(self._watch(f"http://127.0.0.1:{port}"))
        ending = asyncio.create_task(process.wait())
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({watching, ending, closing}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                log.warning("agent: process %s ended with %s", process.pid, process.returncode)
        finally:
            self.url = ""
            watching.cancel()
            await _end(process, self._patience.stop)
            ended = f"the process ended with {process.returncode}"
            self.on_news("inactive" if self._healthy_at else "deploy_error", ended)
            ending.cancel()
            closing.cancel()
            await asyncio.wait({reading}, timeout=1.0)  # a grandchild that escaped may hold the pipe
            reading.cancel()
            await asyncio.wait({watching, ending, closing, reading})

    async def _watch(self, url: str) -> None:
        """Look after the program's health; return when it did not become healthy or is no longer."""
        patience = self._patience
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT
        while not await healthy(url, patience.timeout):
            if loop.time() > deadline:
                log.error("agent: no good GET /status within %g s", START_TIMEOUT)
                return
            await asyncio.sleep(START_POLL)
        self.url = url
        self._healthy_at = loop.time()
        self._ready.set()
        self.on_news("ready", "")
        log.info("agent: healthy at %s", url)
        strikes = 0
        while strikes < patience.strikes:
            await asyncio.sleep(patience.interval)
            strikes = 0 if await healthy(url, patience.timeout) else strikes + 1
        log.error("agent: no answer to %s looks at its status, it is killed", patience.strikes)

    async def _log_lines(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                log.warning("agent | (a line that is too long)")
                continue
            if not line:
                return
            text = clean(line.decode("utf-8", "replace"))
            if text and not _OF_HEALTH.search(text):
                log.info("agent | %s", text)
                self.on_news("line", text)


_OF_HEALTH = re.compile(r"Health check endpoint called|\"GET /status HTTP")
_START = re.compile(r"(Received start message:).*")
_URL = re.compile(r"(\b(?:https?|wss?)://[^\s/?#'\"<>]+)/[^\s'\"<>]+")
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def clean(line: str) -> str:
    """Return a printed line as it may be logged: a URL's path may be a capability (the control URL of a call), and the
    SDK prints the metadata of each call."""
    return _URL.sub(r"\1/…", _START.sub(r"\1 …", _CONTROL.sub("", line[: 4 * MAX_LINE]))).rstrip()[:MAX_LINE]


async def healthy(url: str, timeout: float = HEALTH_TIMEOUT) -> bool:
    """Whether `GET /status` is answered with 200."""
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if secure else 80), ssl=secure or None
            )
            try:
                writer.write(f"GET /status HTTP/1.0\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
                words = (await reader.readline()).split()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, ValueError):  # TimeoutError is an OSError
        return False
    return len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1] == b"200"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    """SIGTERM, then SIGKILL, to the whole group: the program may have started others."""
    for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, KILL_TIMEOUT)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):  # wait_for of Python 3.11 may lose a cancellation here
                    await process.wait()
    if process.stdin is not None:
        process.stdin.close()
