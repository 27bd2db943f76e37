"""Each fault of a client, a script, a program or the stand-in has a defined outcome in its call's record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentUrl

from ..harness.fake_agent import FakeAgent, harnessing
from ..line_peer import calling
from .platform_peer import TALKER, Stage, play, stage


async def outcome(ready: Stage) -> tuple[str, str | None, str | None]:
    told = await ready.json("GET", f"/agents/calls/{await ready.ended()}")
    return told["status"], told["end_reason"], told["error_message"]


def test_a_wrong_first_message_is_a_failed_call() -> None:
    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            await peer.send({"event": "media_input", "media": {"payload": ""}})
            assert (await peer.closed())[0] == 1008
        assert await outcome(ready) == ("failed", "error", "the first message must be start")

    play(test)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ('[{drop = {code = 1011, reason = "boom"}}]', ("failed", "error", "the script closes with 1011 boom")),
        ('[{drop = "abort"}]', ("failed", "error", "the script drops the connection")),
        ('[{end = "goodbye"}]', ("completed", "agent_hangup", None)),
    ],
)
def test_what_a_script_does_to_its_call_is_told(steps: str, told: tuple[str, str, str | None]) -> None:
    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            await peer.start()
            await peer.closed()
        assert await outcome(ready) == told

    play(test, f"[agents.a]\nsteps = {steps}\n")


def test_a_client_that_drops_or_is_idle_is_told_apart() -> None:
    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            await peer.start()
            await peer.until("ack")
            peer.socket.transport.abort()
            assert (await outcome(ready))[:2] == ("completed", "client_disconnected")
        async with calling(ready.server) as peer:
            await peer.start()
            assert await peer.closed() == (1000, "connection idle timeout")
        assert (await outcome(ready))[:2] == ("completed", "inactivity")

    play(test, "[agents.a]\nidle_seconds = 0.2\n")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash", "the program closed the call: 1000"),
        ("error", "the program failed: KeyError: 'x'"),
        ("flood", "characters wait to be spoken"),
        ("reject", "the agent rejected the call"),
        ("gone", "POST /chats: "),
    ],
)
def test_a_program_that_fails_is_a_failed_call(fault: str, message: str) -> None:
    async def test() -> None:
        agent = FakeAgent()
        listener = await asyncio.start_server(agent.serve, "127.0.0.1", 0)
        harness = Harness(AgentUrl(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"))
        async with asyncio.timeout(10), stage("[agents.b]\n", harnesses={"a": harness}) as ready:
            if fault == "reject":
                agent.status = 403
            if fault == "gone":
                listener.close()
                await listener.wait_closed()
            async with calling(ready.server) as peer:
                await peer.start()
                if fault in ("crash", "error", "flood"):
                    await peer.until("ack")
                    session = await agent.sessions.get()
                    session.send({"type": "message", "content": "One moment. ", "responding_to": "x"})
                    await session.until(type="agent_speech")
                    if fault == "error":
                        session.send({"type": "error", "content": "Traceback…\nKeyError: 'x'"})
                    for _ in range(5 if fault == "flood" else 0):
                        session.send({"type": "message", "content": "word " * 1900, "responding_to": "x"})
                    if fault != "flood":
                        session.close()
                assert (await peer.closed())[0] == (1008 if fault == "reject" else 1011)
            status, end_reason, error = await outcome(ready)
            assert (status, end_reason) == ("failed", "error")
            assert message in str(error)
            call = await ready.json("GET", f"/agents/calls/{ready.server.calls[0].call_id}")
            ends = [turn["end_reason"] for turn in call["transcript"] if turn["role"] == "assistant"]
            assert ends in (["call_ended"], ["tts_completed"], [])
            assert bool(ends) is (fault in ("crash", "error", "flood"))
        listener.close()
        await listener.wait_closed()

    asyncio.run(test())


def test_a_program_that_ends_the_call_while_it_speaks_is_heard_to_the_end() -> None:
    async def test() -> None:
        async with harnessing(settings='delivery = "as_available"\n') as (server, agent), calling(server) as peer:
            await peer.start()
            await peer.until("ack")
            session = await agent.sessions.get()
            session.send({"type": "message", "content": "Goodbye to you.", "responding_to": "x"})
            session.send({"type": "end_call", "reason": "done", "responding_to": "x"})
            assert await peer.closed() == (1000, "call ended by agent, reason: done")
            record = server.calls[0]
            await record.finished.wait()
            assert (record.end_reason, record.end_detail) == ("agent_hangup", "done")
            (turn,) = record.transcript.as_json()
            assert (turn["text"], turn["end_reason"]) == ("Goodbye to you.", "tts_completed")

    asyncio.run(test())


def test_a_stand_in_that_stops_fails_its_calls(tmp_path: Path) -> None:
    async def first(ready: Stage) -> None:
        async with connect(
            f"ws://127.0.0.1:{ready.server.port}/agents/stream/a?cartesia_version=2025-04-16&api_key=k", proxy=None
        ) as socket:
            await socket.send('{"event":"start","config":{"input_format":"mulaw_8000"}}')
            await socket.recv()
            await ready.server.close()
            await socket.wait_closed()
            assert socket.close_code == 1001

    async def second(ready: Stage) -> None:
        (call,) = (await ready.json("GET", "/agents/calls?agent_id=a"))["data"]
        assert (call["status"], call["error_message"]) == ("failed", "closed with 1001")

    play(first, TALKER, folder=tmp_path)
    play(second, TALKER, folder=tmp_path)
