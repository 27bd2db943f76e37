"""The processes of the demo: the stand-in for Cartesia's service, the edge with its workers, and their keys."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_LIMIT = 40.0
"""Seconds the edge may take to say `ready`: a cold machine imports numpy four times."""

STOP_LIMIT = 12.0
"""Seconds a process may take to end after SIGTERM: the edge promises 10."""

NUMBER = "+18005550100"
"""The number called."""
CALLER = "+15551234567"
"""The caller's number."""
OUR_NUMBER = "+15550001111"
"""Shown to the consult phone."""
CONSULT = "+18339906144"
"""Where functions/line_agent.py transfers to."""


class StageError(Exception):
    """The demo could not be set up; the text says what to look at."""


class Stage:
    """Runs everything that a call needs, in a folder of its own."""

    def __init__(
        self,
        out: Path,
        template: Path,
        consult: tuple[str, int],
        scenario: str = "line-agent",
        planes: int = 1,
        line: Sequence[str] = (),
    ) -> None:
        """`consult` is where dialled numbers ring, `line` are further options of `cordboard line`."""
        self.out = out
        self.data = out / "var"
        self._template = template
        self._scenario = scenario
        self._planes = planes
        self._line = line
        self._consult = consult
        self._config = out / "cordboard.toml"
        self._children: list[tuple[str, asyncio.subprocess.Process]] = []
        self._line_port, self._http, self._admin, self._metrics = (_free_tcp() for _ in range(4))
        self._sip = _free_udp()
        self.target = f"sip:{NUMBER}@127.0.0.1:{self._sip}"

    async def __aenter__(self) -> Self:
        try:
            await self._set()
        except BaseException:
            await self._strike()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._strike()

    def log(self, name: str) -> Path:
        """What a process of the stage prints."""
        return self.out / f"{name}.log"

    async def put_key(self, name: str, value: str, *, secret: bool = False) -> None:
        """`cordboard keys put`, the value by standard input."""
        words = ["keys", "put", name, *(["--secret"] if secret else [])]
        process = await asyncio.create_subprocess_exec(
            *self._cordboard(words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await process.communicate(value.encode())
        if process.returncode != 0:
            raise StageError(f"keys put {name} failed: {complaint.decode().strip()}")

    async def _set(self) -> None:
        self._config.write_text(self._text(), encoding="utf-8")
        await self._start_line()
        await self.put_key("CARTESIA_API_KEY", "demo-key", secret=True)
        await self.put_key("CARTESIA_AGENT_ID", "demo-transfer")
        await self.put_key("PSTN_CALLER_ID", OUR_NUMBER)
        edge = await self._start("edge", ["edge"])
        await self._await_ready(edge)
        await self._await_line()

    async def _start_line(self) -> None:
        """The stand-in; whoever has one of their own on that port overrides this."""
        await self._start("line", ["line", "--port", str(self._line_port), *self._line])

    async def _await_line(self) -> None:
        """Until it listens: an agent program of its own takes seconds to import."""
        line = next((process for name, process in self._children if name == "line"), None)
        deadline = asyncio.get_running_loop().time() + START_LIMIT
        while line is not None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._line_port)
            except OSError:
                if line.returncode is not None or asyncio.get_running_loop().time() > deadline:
                    raise StageError(f"the stand-in does not listen; see {self.out}/line.log") from None
                await asyncio.sleep(0.1)
            else:
                writer.close()
                await writer.wait_closed()
                return

    async def _start(self, name: str, words: Sequence[str]) -> asyncio.subprocess.Process:
        log = os.open(self.log(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)  # people speak in it
        try:
            process = await asyncio.create_subprocess_exec(
                *self._cordboard(words, "cordboard.cli.leash"),
                stdin=asyncio.subprocess.PIPE,  # its end is the end of the child, however we die
                stdout=asyncio.subprocess.PIPE if name == "edge" else log,
                stderr=log,
                env={**os.environ, "NO_COLOR": "1"},
                start_new_session=True,
            )
        finally:
            os.close(log)
        self._children.append((name, process))
        return process

    async def _await_ready(self, edge: asyncio.subprocess.Process) -> None:
        assert edge.stdout is not None
        try:
            async with asyncio.timeout(START_LIMIT):
                while line := await edge.stdout.readline():
                    if line.startswith(b"ready"):
                        return
        except TimeoutError:
            raise StageError(f"the edge was not ready after {START_LIMIT:g} s; see {self.out}/edge.log") from None
        raise StageError(f"the edge ended before it was ready; see {self.out}/edge.log")

    async def _strike(self) -> None:
        for name, process in reversed(self._children):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
            if process.stdin is not None:
                process.stdin.close()
            try:
                async with asyncio.timeout(STOP_LIMIT):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                sys.stderr.write(f"demo: {name} did not end within {STOP_LIMIT:g} s and was killed\n")

    def _cordboard(self, words: Sequence[str], module: str = "cordboard.cli.main") -> list[str]:
        return [sys.executable, "-m", module, "--config", str(self._config), *words]

    def _text(self) -> str:
        host, port = self._consult
        first = 20_000 + 2 * (os.getpid() % 10_000)
        return f"""\
[edge]
planes = {self._planes}
data_dir = "{self.data}"
[http.public]
listen = "127.0.0.1:{self._http}"
url = "http://127.0.0.1:{self._http}"
[http.admin]
listen = "127.0.0.1:{self._admin}"
[http.metrics]
listen = "127.0.0.1:{self._metrics}"
[sip]
udp = "127.0.0.1:{self._sip}"
rtp = {{bind = "127.0.0.1", ports = "{first}-{first + 199}"}}
[[trunks]]
name = "demo"
uri = "sip:{host}:{port}"
identify = ["127.0.0.0/8"]
codecs = ["PCMU", "PCMA"]
[[routes]]
to = "{NUMBER}"
trunk = "demo"
scenario = "{self._scenario}"
[[outbound]]
to = "+1*"
trunk = "demo"
[dial]
allow = ["{CONSULT}"]
[functions]
host = "workers"
template = "{self._template}"
[agents.cartesia]
base_url = "ws://127.0.0.1:{self._line_port}"
[log]
format = "text"
"""


def _free_tcp() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_udp() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
