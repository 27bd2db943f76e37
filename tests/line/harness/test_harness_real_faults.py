"""A real agent program that fails in mid-call: the caller hears a defined end, the record says why, no process is left.

Between the program and these tests is the stand-in alone; `make demo` kills the program behind a whole edge.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cordboard.line.harness.program import AgentProgram, Watch
from cordboard.line.server import LineServer

from ..line_peer import calling
from .real_agent import assistant, program, run, speak

PROGRAM = """
import asyncio, os, time
from line import *

class Faulty:
    async def process(self, env, event):
        if isinstance(event, CallStarted):
            yield AgentSendText(text="Hello.")
        elif isinstance(event, UserTurnEnded):
            word = event.content[0].content
            if word == "crash":
                yield AgentSendText(text="One moment, ")
                os._exit(7)
            elif word == "raise":
                yield AgentSendText(text="One moment, ")
                raise KeyError("no such room")
            elif word == "block":
                time.sleep(3600)
            elif word == "hang":
                await asyncio.sleep(3600)
            elif word == "flood":
                while True:
                    yield AgentSendText(text="and so on " * 100)
            elif word == "leave":
                yield AgentSendText(text="I am going now, and this sentence is heard to its end.")
                yield AgentEndCall()
            elif word == "child":
                os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "3600")
                os._exit(7)

async def get_agent(env, request):
    return Faulty()

VoiceAgentApp(get_agent).run()
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(PROGRAM)
    return tmp_path / "main.py"


def host_of(server: LineServer) -> AgentProgram:
    host = server._harnesses["a"].host
    assert isinstance(host, AgentProgram)
    return host


def processes_that_name(path: Path) -> list[str]:
    """Command lines of live processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            home = os.readlink(entry / "cwd")
        except OSError:
            continue
        if str(path) in words or home == str(path.parent):
            found.append(words)
    return found


async def ends_with(server: LineServer, code: int, reason: str, told: str) -> None:
    """One call in which the caller speaks once, and how it ends."""
    async with calling(server) as peer:
        await peer.start()
        assert (await assistant(peer))["text"] == "Hello."
        await speak(peer)
        assert await peer.closed() == (code, reason)
    record = server.calls[-1]
    await record.finished.wait()
    assert (record.close_code, record.close_reason) == (code, reason)
    assert any(told in warning for warning in record.warnings), record.warnings


async def serves_again(server: LineServer) -> None:
    """After a death the program is started again and takes the next call."""
    host = host_of(server)
    while host.starts < 2 or not host.url:  # noqa: ASYNC110 - the test's limit ends this
        await asyncio.sleep(0.01)
    async with calling(server) as peer:
        await peer.start()
        assert (await assistant(peer))["text"] == "Hello."


def test_a_crash_in_mid_turn_is_1011_and_the_next_call_is_served(
    python: Path, faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.line.harness.program.BACKOFF", (0.01, 0.01))

    async def test() -> None:
        async with program(faulty, python, "crash") as server:
            reason = "the program closed the call: 1006"
            await ends_with(server, 1011, reason, f"agent: {reason}")
            await serves_again(server)
        assert processes_that_name(faulty) == []

    run(test())


def test_a_blocked_program_is_killed_and_its_caller_told(python: Path, faulty: Path) -> None:
    watch = Watch(interval=0.2, timeout=1.0, strikes=4, stop=0.5)  # a busy machine answers once in four looks

    async def test() -> None:
        async with program(faulty, python, "block", watch=watch) as server:
            reason = "the program closed the call: 1006"
            await ends_with(server, 1011, reason, f"agent: {reason}")
        assert processes_that_name(faulty) == []

    run(test())


def test_what_a_live_program_does_wrong_ends_its_call_alone(python: Path, faulty: Path) -> None:
    async def test() -> None:
        async with program(faulty, python, calls=[["raise"], ["leave"], ["flood"]]) as server:
            reason = "the program failed: KeyError: 'no such room'"
            await ends_with(server, 1011, reason, f"agent: {reason}")
            async with calling(server) as peer:
                await peer.start()
                await assistant(peer)
                await speak(peer)
                assert (await assistant(peer))["text"] == "I am going now, and this sentence is heard to its end."
                assert await peer.closed() == (1000, "call ended by agent")
            reason = "more than 20000 characters wait to be spoken"
            await ends_with(server, 1011, reason, f"agent: {reason}")
            assert host_of(server).starts == 1
        assert processes_that_name(faulty) == []

    run(test())


def test_a_program_that_never_answers_is_told_of_and_can_be_spoken_to_again(
    python: Path, faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.line.harness.patience.PATIENCE", 0.1)

    async def test() -> None:
        async with program(faulty, python, calls=[["hang", "leave"]]) as server, calling(server) as peer:
            await peer.start()
            await assistant(peer)
            await speak(peer)
            told = "agent: nothing came for 0.1 s after the caller's turn"
            while told not in server.calls[0].warnings:  # noqa: ASYNC110 - the test's limit ends this
                await asyncio.sleep(0.01)
            await speak(peer)
            assert await peer.closed() == (1000, "call ended by agent")
        assert processes_that_name(faulty) == []

    run(test())


def test_children_of_a_program_go_with_it(python: Path, faulty: Path) -> None:
    async def test() -> None:
        async with program(faulty, python, "child") as server:
            reason = "the program closed the call: 1006"
            await ends_with(server, 1011, reason, f"agent: {reason}")
        assert processes_that_name(faulty) == []

    run(test())
