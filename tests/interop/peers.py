"""What every peer of these tests needs: its program, ports of its own, an end by its pid, and ears.

A port is free when it can be bound; each is handed out once in a run, so that no peer of one test meets another's.
What a peer heard is cut into stretches of one sound each, so that tests speak of tones and their order.
"""

import asyncio
import os
import shutil
import signal
import socket
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from cordboard.media.analysis import dominant_tone, tone_share
from cordboard.media.g711 import ulaw_encode
from cordboard.media.samples import Samples, level_dbfs
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav, write_pcm16

HOST = "127.0.0.1"
RATE = 8000
"""Hz of everything that is said and heard here."""

PATIENCE = 15.0
"""Seconds until a wait fails; every wait ends as soon as its event is there."""

PURE = 0.9
"""Share of the energy that a tone must hold to count as heard."""

END_LIMIT = 3.0
"""Seconds a peer may take to end after SIGTERM before it is killed."""

WINDOW = RATE // 10
"""Samples of one look at a recording: 100 ms."""

QUIET_DBFS = -45.0
"""Below this there is silence."""

ROOT = Path(__file__).resolve().parents[2]
_REQUIRED = ROOT / ".ci" / "peers"
_FIRST, _LAST = 10_000, 19_900
_steps = count(_FIRST + (os.getpid() * 40) % (_LAST - _FIRST), 10)


def require(program: str) -> str:
    """Path of a peer's program. Skips the test without it; fails where .ci/peers promises it."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI") == "true" and program in _REQUIRED.read_text().split():
            pytest.fail(f"{program} is missing, and .ci/peers requires it")
        pytest.skip(f"{program} is not installed")
    return path


def free_ports() -> int:
    """First of ten ports that nobody uses, neither UDP nor TCP; below those that systems hand out by themselves."""
    while True:
        first = _FIRST + (next(_steps) - _FIRST) % (_LAST - _FIRST)
        if all(_is_free(first + more) for more in range(10)):
            return first


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def udp_port_bound(port: int) -> bool:
    """Whether somebody holds this UDP port: how a SIP peer says that it is ready."""
    wanted = f":{port:04X} "
    return any(wanted in line[:30] for line in Path("/proc/net/udp").read_text().splitlines()[1:])


async def end(process: asyncio.subprocess.Process) -> None:
    """Ends a child by its pid: SIGTERM, then SIGKILL."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_LIMIT):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def tone(hz: float, seconds: float) -> Samples:
    """A tone as a peer says it."""
    return sine(hz, seconds, RATE, -12.0)


def silence(seconds: float) -> Samples:
    """Nothing, for a while."""
    return np.zeros(round(seconds * RATE), np.int16)


def write_wav(path: Path, *sounds: Samples) -> Path:
    """The sounds one after another."""
    write_pcm16(path, np.concatenate(sounds), RATE)
    return path


def write_ulaw(path: Path, hz: float, seconds: float = 2.0) -> Path:
    """A tone as headerless µ-law; a whole number of periods in it makes the loop smooth."""
    path.write_bytes(ulaw_encode(tone(hz, seconds)))
    return path


def read_sound(path: Path) -> Samples:
    """A mono recording; what is there of one that is still being written."""
    wav = read_wav(path)
    assert wav.rate == RATE, wav.rate
    return wav.samples[:, 0]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One sound of a recording."""

    name: str
    """Its frequency in Hz rounded to ten, "ringback", "silence", or "mixed" where no tone is pure."""
    seconds: float
    """How long it lasted."""


def stretches(sound: Samples) -> list[Stretch]:
    """A recording as a row of sounds; those of a single window between others are dropped as seams."""
    names = [_name(part) for part in np.split(sound[: sound.size // WINDOW * WINDOW], max(1, sound.size // WINDOW))]
    found: list[list[str]] = []
    for name in names:
        if found and found[-1][0] == name:
            found[-1].append(name)
        else:
            found.append([name])
    merged: list[Stretch] = []
    for run in found:
        seconds = len(run) * WINDOW / RATE
        if merged and merged[-1].name == run[0]:
            merged[-1] = Stretch(run[0], merged[-1].seconds + seconds)
        elif len(run) > 1:
            merged.append(Stretch(run[0], seconds))
    return merged


def longest(found: list[Stretch], name: str) -> float:
    """Seconds of the longest stretch of that name; 0 when there is none."""
    return max((each.seconds for each in found if each.name == name), default=0.0)


def _name(part: Samples) -> str:
    if part.size < WINDOW or level_dbfs(part) < QUIET_DBFS:
        return "silence"
    hz, share = dominant_tone(part, RATE)
    # 440 and 480 Hz stand four bins apart in 100 ms: each lobe holds its half, and together they hold all.
    if tone_share(part, RATE, 440.0) + tone_share(part, RATE, 480.0) > PURE and abs(hz - 460) < 40 and share < PURE:
        return "ringback"
    return f"{round(hz, -1):.0f}" if share >= PURE else "mixed"
