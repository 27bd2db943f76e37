"""An ear without a network: pocketsphinx with a grammar of one's own (JSGF), in a process beside the stand-in.

One process serves all calls, an utterance after another; it lives from the first open ear to the last. It is killed
when an answer is no longer waited for, since nobody knows how long it would still think, and is started again by the
next utterance. Leaves out speech beyond the grammar: much of it is understood as nothing, some of it as a sentence that
sounds alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable
from importlib.util import find_spec
from pathlib import Path

from cordboard.line.ears.ear import Ear, EarFault, Utterance
from cordboard.line.ears.sphinx_worker import HEADER, GrammarError, Recogniser
from cordboard.line.tables import ScriptError
from cordboard.media.samples import Samples

STOP_TIMEOUT = 3.0
"""Seconds a process may take to end when its input does; then it is killed."""

INSTALL = 'pip install "cordboard[ears]"'
"""What brings pocketsphinx."""


def is_installed() -> bool:
    """Whether pocketsphinx can be imported."""
    return find_spec("pocketsphinx") is not None


class SphinxEars:
    """Ears for one grammar."""

    def __init__(self, grammar: Path) -> None:
        """Raises `ScriptError` for a grammar that cannot be used, and without pocketsphinx."""
        if not is_installed():
            raise ScriptError(f"{grammar}: pocketsphinx is not installed: {INSTALL}")
        try:
            Recogniser(grammar)
        except GrammarError as exc:
            raise ScriptError(f"{grammar}: {exc}") from exc
        except OSError as exc:
            raise ScriptError(f"{grammar}: {exc.strerror}") from exc
        self._command: tuple[str, ...] = (
            sys.executable,
            "-m",
            "cordboard.line.ears.sphinx_worker",
            str(grammar.absolute()),
        )
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._open = 0

    def open(self, rate: int, language: str = "") -> Ear:
        """Return a new call's ear; the first starts the process, which loads its model while the agent greets."""
        self._open += 1
        if self._starting is None:
            self._starting = asyncio.create_task(self._warm_up())
        return _SphinxEar(self, rate)

    async def recognise(self, samples: Samples, rate: int) -> str:
        """Return what was said; raises `EarFault`."""
        async with self._turn:
            process = await self._start()
            try:
                return await _ask(process, samples, rate)
            except asyncio.CancelledError:
                await self._end(kill=True)
                raise
            except (OSError, ValueError, KeyError) as exc:
                await self._end(kill=True)
                raise EarFault(f"the recogniser's process failed: {type(exc).__name__}") from exc

    async def close_one(self) -> None:
        """One ear fewer; with the last goes the process."""
        self._open -= 1
        if self._open:
            return
        starting, self._starting = self._starting, None
        if starting is not None:
            await asyncio.wait({starting})
        async with self._turn:
            if not self._open:
                await self._end(kill=False)

    async def _warm_up(self) -> None:
        async with self._turn:
            with contextlib.suppress(EarFault):  # the first utterance tries again, and tells
                await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end(kill=True)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is for the stand-in
            )
        except OSError as exc:
            raise EarFault(f"the recogniser's process does not start: {exc.strerror}") from exc
        return self._process

    async def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        if not kill:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _ask(process: asyncio.subprocess.Process, samples: Samples, rate: int) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    data = samples.astype("<i2").tobytes()
    process.stdin.write(HEADER.pack(rate, len(data)) + data)
    await process.stdin.drain()
    return str(json.loads(await process.stdout.readline())["text"])


class _SphinxEar:
    turns = None

    def __init__(self, ears: SphinxEars, rate: int) -> None:
        self._ears = ears
        self._rate = rate
        self._utterance = Utterance(rate)

    def receive_audio(self, samples: Samples) -> None:
        self._utterance.receive_audio(samples)

    def use_language(self, language: str) -> bool:
        """The grammar and its model have one."""
        return False

    def start(self) -> None:
        self._utterance.start()

    def finish(self) -> Awaitable[str]:
        return self._ears.recognise(self._utterance.take(), self._rate)

    async def close(self) -> None:
        await self._ears.close_one()
