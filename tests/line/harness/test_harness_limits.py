"""Programs that flood, freeze or send what is too large: the call ends by name, and no other call waits for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.harness import link as harness_link
from cordboard.line.harness import notes as harness_notes
from cordboard.line.harness.allowance import AT_ONCE
from cordboard.line.harness.messages import MAX_SETTING, MAX_SETTINGS
from cordboard.line.harness.program import AgentProgram, AgentUrl, Watch
from cordboard.line.server import LineServer

from ..line_peer import Peer, calling
from .fake_agent import FakeAgent, Session, harnessing
from .harness_talk import FAST, run, talk
from .real_agent import run as run_real
from .real_agent import serving_host

FLOODS: list[dict[str, Any] | str] = [
    {"type": "custom", "metadata": {"i": 1}},
    {"type": "log_metric", "name": "m", "value": 1},
    {"type": "log_event", "event": "e", "metadata": {}},
    {"type": "tool_call", "name": "t", "arguments": {}, "result": None, "id": None},
    {"type": "config", "language": "es"},
    {"type": "response_end", "responding_to": "x"},
    {"type": "message", "content": ""},
    {"type": "zz"},
]


@pytest.mark.parametrize("message", FLOODS, ids=lambda message: message["type"])
def test_a_flood_of_any_message_ends_the_call_by_name(message: dict[str, Any]) -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        reading = asyncio.create_task(peer.closed())
        text = json.dumps(message)
        for _ in range(2 * AT_ONCE):
            session.protocol.send_text(text.encode())
        session.flush()
        code, reason = await reading
        assert code == 1011
        known = ("the program sent 2000 messages at once and more than 200 a second", "more than 1000 things wait")
        assert reason.startswith(known)
        assert server.calls[0].end_reason == "error"

    talk(test)


def test_other_work_goes_on_between_the_messages_of_a_flood() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        record, most = server.calls[0], 0

        async def count() -> None:
            nonlocal most
            while not record.finished.is_set():
                before = len(record.agent_messages)
                await asyncio.sleep(0)
                most = max(most, len(record.agent_messages) - before)

        counting = asyncio.create_task(count())
        for _ in range(2 * AT_ONCE):
            session.protocol.send_text(b'{"type":"log_metric","name":"m","value":1}')
        session.flush()
        await peer.closed()
        await counting
        assert len(record.agent_messages) > AT_ONCE // 2
        assert 1 <= most <= 2

    talk(test)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({f"k{at}": 1 for at in range(MAX_SETTINGS + 1)}, f"config: more than {MAX_SETTINGS} settings"),
        ({"tts": {"voice_id": "v" * MAX_SETTING}}, f"config: tts.voice_id has more than {MAX_SETTING} characters"),
        ({"k" * 100: 1}, "config: a setting's name has more than 80 characters"),
    ],
)
def test_a_configuration_that_is_too_large_is_refused_or_ends_the_opening(config: dict[str, Any], reason: str) -> None:
    async def test() -> None:
        async with harnessing() as (server, agent):
            async with calling(server) as peer:
                await peer.start()
                await peer.until("ack")
                session = await agent.sessions.get()
                session.send({"type": "config", **config})
                assert (await session.until(type="validation_error"))["error_message"] == reason
                session.send({"type": "end_call"})
                assert (await peer.closed())[0] == 1000
            agent.answer = {**agent.answer, "config": config}
            async with calling(server) as peer:
                await peer.start()
                assert await peer.closed() == (1011, reason)

    run(test())


def test_settings_that_add_up_end_the_call() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        for at in range(MAX_SETTINGS + 1):
            session.send({"type": "config", f"k{at}": 1})
        assert await peer.closed() == (1011, f"config: more than {MAX_SETTINGS} settings")

    talk(test)


def test_notes_beyond_a_limit_are_told_of_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_notes, "MAX_NOTES", 1 << 20)

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        for _ in range(12):
            session.send({"type": "log_metric", "name": "m", "value": "x" * 100_000})
        session.send({"type": "end_call"})
        assert (await peer.closed())[0] == 1000
        record = server.calls[0]
        assert len(record.transcript.entries) == 10
        assert "agent: tool calls, events and metrics beyond 1 MiB are not kept" in record.warnings

    talk(test, settings=FAST)


def test_a_message_that_is_too_large_is_told_as_such() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "log_metric", "name": "m", "value": "x" * (1 << 18)})
        assert await peer.closed() == (1011, "the program sent a message of more than 262144 bytes")

    talk(test)


def test_what_is_no_websocket_is_told_as_such() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.protocol.writes.append(struct.pack("!BB", 0x81, 2) + b"\xff\xff")  # a text that is no UTF-8
        session.flush()
        code, reason = await peer.closed()
        assert code == 1011
        assert reason.startswith("the program sent what is no WebSocket message: 1007")

    talk(test)


@pytest.mark.parametrize("path", ["/ws#x", "/ws?a=1#x", "/ws [", "/ws\n"])
def test_a_target_that_is_none_is_refused_by_name(path: str) -> None:
    async def test() -> None:
        async with harnessing() as (server, agent), calling(server) as peer:
            agent.answer = {**agent.answer, "websocket_url": path}
            await peer.start()
            assert await peer.closed() == (1011, "POST /chats: websocket_url is not a path on the same host")

    run(test())


def test_a_program_that_answers_no_ping_ends_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_link, "PING_INTERVAL", 0.05)
    monkeypatch.setattr(harness_link, "PING_TIMEOUT", 0.1)

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.frozen = True
        assert await peer.closed() == (1011, "the program did not answer a ping within 0.1 s")
        assert server.calls[0].end_reason == "error"

    talk(test)


PROGRAM = """
from line import *

class Talker:
    async def process(self, env, event):
        if isinstance(event, CallStarted):
            yield AgentSendText(text="Hello.")

async def get_agent(env, request):
    return Talker()

VoiceAgentApp(get_agent).run()
"""


def test_a_frozen_program_that_runs_elsewhere_ends_its_call(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness_link, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(harness_link, "PING_TIMEOUT", 1.0)
    (tmp_path / "main.py").write_text(PROGRAM)

    async def test() -> None:
        elsewhere = AgentProgram(tmp_path / "main.py", python=python, watch=Watch(interval=3600.0))
        await elsewhere.start()
        try:
            async with serving_host(AgentUrl(elsewhere.url)) as server, calling(server) as peer:
                await peer.start()
                await peer.until("turn_ended")
                stopped = frozen(tmp_path / "main.py")
                assert await peer.closed() == (1011, "the program did not answer a ping within 1 s")
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
        finally:
            await elsewhere.close()

    run_real(test())


def frozen(program: Path) -> list[int]:
    """Stop the processes that run a program; returns them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(program).encode() in words:
            found.append(int(entry.name))
            os.kill(found[-1], signal.SIGSTOP)
    assert found
    return found
