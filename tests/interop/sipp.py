"""sipp as a peer: one scenario file, judged by its exit code. Its scenarios stand in `sipp/`.

It plays headerless µ-law from its working folder: `tone.ul` holds 1500 Hz. It cannot record; what it is sent is seen
at the edge.
"""

import asyncio
from pathlib import Path
from typing import Self

from .peers import HOST, end, free_ports, require, udp_port_bound, write_ulaw

SCENARIOS = Path(__file__).parent / "sipp"

TONE = 1500.0
"""Hz of what every scenario plays."""

TIMEOUT = 25
"""Seconds until it gives up by itself."""


class Sipp:
    """One run of one scenario. Use as `async with Sipp(...) as sipp:`, then `await sipp.passed()`."""

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *,
        target: str = "",
        port: int | None = None,
        keys: dict[str, str] | None = None,
        calls: int = 1,
    ) -> None:
        """`target` is `user@host:port` for one that calls; none for one that is called. `keys` fill [words]; so many
        `calls` are begun within a second."""
        program = require("sipp")
        first = free_ports()
        self.port = port or first
        self._folder = folder / f"sipp-{scenario}-{first}"
        self._folder.mkdir(parents=True)
        write_ulaw(self._folder / "tone.ul", TONE)
        user, _, place = target.partition("@")
        self._words = [
            program, "-sf", str(SCENARIOS / f"{scenario}.xml"), *([place, "-s", user] if target else []),
            "-i", HOST, "-p", str(self.port), "-mi", HOST, "-mp", str(first + 4), "-m", str(calls), "-r", str(calls),
            "-nostdin", "-timeout", f"{TIMEOUT}s", "-timeout_error", "-trace_err", "-error_file", "errors",
            "-trace_msg", "-message_file", "messages",
        ]  # fmt: skip
        for name, value in (keys or {}).items():
            self._words += ["-key", name, value]
        self._called = not target
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with (self._folder / "screen").open("wb") as screen:
            self._process = await asyncio.create_subprocess_exec(
                *self._words, cwd=self._folder, stdin=asyncio.subprocess.DEVNULL, stdout=screen, stderr=screen,
                env={"TERM": "dumb", "PATH": "/usr/bin:/bin"}, start_new_session=True,
            )  # fmt: skip
        try:
            async with asyncio.timeout(10):
                while self._called and not udp_port_bound(self.port):
                    assert self._process.returncode is None, self.story()
                    await asyncio.sleep(0.05)  # a port tells nobody that it is bound
        except BaseException:
            await end(self._process)
            raise
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._process is None:
            return
        code = self._process.returncode
        await end(self._process)
        if error is not None:
            error.add_note(f"sipp {'was still there' if code is None else f'had ended with {code}'}\n{self.story()}")

    async def passed(self) -> None:
        """Until it is done; every step of its scenario must have come as written."""
        assert self._process is not None
        code = await self._process.wait()
        assert code == 0, f"sipp ended with {code}\n{self.story()}"

    def story(self) -> str:
        """What to read when it failed."""
        parts = [path.read_text(errors="replace")[-6000:] for path in self._folder.glob("*") if path.name != "tone.ul"]
        return "\n".join(parts)


async def run_sipp(
    folder: Path, scenario: str, target: str, *, keys: dict[str, str] | None = None, calls: int = 1
) -> None:
    """Runs a calling scenario to its good end, in so many calls at once."""
    async with Sipp(folder, scenario, target=target, keys=keys, calls=calls) as sipp:
        await sipp.passed()
