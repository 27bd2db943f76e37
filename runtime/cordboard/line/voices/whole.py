"""Voices that make the speech of a text in one go: their readings, and how their programs are run.

A program is a process of its own per text: engines may be GPL, hang or crash. Leaves out any quality of speech.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from cordboard.line.voices.timing import word_times
from cordboard.line.voices.voice import Piece, VoiceFailed, VoiceUnavailable
from cordboard.media.prompt import change_rate
from cordboard.media.samples import Samples

MAX_COMPLAINT = 200
"""Characters of a program's last line of complaint that are told."""

MAX_OUTPUT = 32 << 20
"""Bytes that a program may say: six minutes at 44.1 kHz; the longest text allowed takes two."""

CHUNK = 1 << 16
"""Bytes read from a program at a time."""

KILL_TIMEOUT = 1.0
"""Seconds for a killed program to be gone: a child that left its group may hold its pipes."""


class WholeReading:
    """Reads each text for itself."""

    def __init__(self, make: Callable[[str], Awaitable[tuple[Samples, int]]], rate: int) -> None:
        """`make` returns the speech of a text and its rate in Hz, or raises `VoiceFailed`."""
        self._make = make
        self._rate = rate

    async def speak(self, text: str) -> AsyncGenerator[Piece]:
        """Yield all at once."""
        samples, rate = await self._make(text)
        yield await asyncio.to_thread(_finish, text, samples, rate, self._rate)

    async def close(self) -> None:
        """Nothing to do: a text that is being made ends with its generator."""


def _finish(text: str, samples: Samples, source: int, sink: int) -> Piece:
    return Piece(change_rate(samples, source, sink), word_times(text, samples, source))


def find_program(name: str, remedy: str) -> str:
    """Return the path of an installed program; raise `VoiceUnavailable`, which ends with the remedy."""
    found = shutil.which(name)
    if found is None:
        raise VoiceUnavailable(f"{name} is not installed: {remedy}")
    return found


async def run_program(command: Sequence[str], text: str) -> bytes:
    """Give `text` to a program, return what it prints; raise `VoiceFailed`. Leaves no process, cancelled or not."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a group of its own, which is killed whole
        )
    except OSError as exc:
        raise VoiceFailed(f"{command[0]}: {exc.strerror or exc}") from exc
    try:
        complaining = asyncio.ensure_future(_last_line(process))
        try:
            output = await _talk(process, text)
            await process.wait()
            complaint = await complaining
        finally:
            complaining.cancel()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            try:
                await asyncio.wait_for(process.wait(), KILL_TIMEOUT)
            except TimeoutError:
                process._transport.close()  # type: ignore[attr-defined]  # asyncio offers no other way
    if process.returncode != 0:
        raise VoiceFailed(f"the program ended with {process.returncode}{complaint and ': '}{complaint}")
    return output


async def _talk(process: asyncio.subprocess.Process, text: str) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text.encode("utf-8", "replace"))
    process.stdin.close()
    output = bytearray()
    while data := await process.stdout.read(CHUNK):
        output += data
        if len(output) > MAX_OUTPUT:
            raise VoiceFailed(f"the program said more than {MAX_OUTPUT} bytes")
    return bytes(output)


async def _last_line(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    tail = b""
    while data := await process.stderr.read(CHUNK):
        tail = (tail + data)[-CHUNK:]
    lines = [line for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    return "".join(letter if letter.isprintable() else " " for letter in lines[-1][:MAX_COMPLAINT]) if lines else ""
