"""Programs that reject, crash, hang, flood or do not read: the caller's side gets a defined end of the call."""

from __future__ import annotations

import asyncio

import pytest

from cordboard.line.ears.scripted import ScriptedEar
from cordboard.line.harness import call as harness_call
from cordboard.line.harness import link as harness_link
from cordboard.line.harness.link import AgentLink
from cordboard.line.server import LineServer

from ..line_peer import LOUD, SILENCE, Peer, calling
from .fake_agent import FakeAgent, Session, harnessing
from .harness_talk import run, talk


def test_a_rejected_call_is_an_error_and_1008() -> None:
    async def test() -> None:
        async with harnessing() as (server, agent), calling(server) as peer:
            agent.status, agent.answer = 403, {"detail": "Call rejected"}
            await peer.start()
            error = await peer.receive()
            assert (error["type"], error["error_code"]) == ("error", "call_rejected")
            assert await peer.closed() == (1008, "the agent rejected the call")

    run(test())


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (500, {"detail": "Server error"}, "POST /chats was answered with 500"),
        (200, "nonsense", "POST /chats: the answer is not JSON"),
        (200, {"websocket_url": "http://elsewhere/ws"}, "POST /chats: websocket_url is not a path on the same host"),
        (200, {"websocket_url": "//elsewhere/ws"}, "POST /chats: websocket_url is not a path on the same host"),
        (200, {"websocket_url": "/ws", "metadata": []}, None),
        (200, {"websocket_url": "/ws", "metadata": [1]}, "POST /chats: metadata or config is not an object"),
    ],
)
def test_a_program_that_cannot_take_the_call_is_1011(status: int, answer: object, reason: str | None) -> None:
    async def test() -> None:
        async with harnessing() as (server, agent), calling(server) as peer:
            agent.status, agent.answer = status, answer
            await peer.start()
            first = await peer.receive()
            if reason is None:
                assert first["event"] == "ack"
            else:
                assert first["error_code"] == "agent_failed"
                assert await peer.closed() == (1011, reason)

    run(test())


def test_a_program_that_does_not_answer_or_is_gone_is_1011(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_link, "CHATS_TIMEOUT", 0.1)

    async def test() -> None:
        async with harnessing() as (server, agent):
            agent.silent = True
            async with calling(server) as peer:
                await peer.start()
                assert (await peer.closed())[0] == 1011
            assert any("no answer within" in warning for warning in server.calls[0].warnings)

    run(test())


@pytest.mark.parametrize("error", [True, False])
def test_a_program_that_crashes_in_mid_turn_is_1011(error: bool) -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "message", "content": "One moment. ", "interruptible": True, "responding_to": "x"})
        await session.until(type="agent_speech")
        if error:
            session.send({"type": "error", "content": "Traceback…\nKeyError: 'x'"})
        session.close()
        code, reason = await peer.closed()
        assert code == 1011
        assert ("KeyError" in reason) is error

    talk(test)


def test_messages_against_the_protocol_are_answered_and_at_last_end_the_call() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "dtmf", "button": "55"})
        answer = await session.until(type="validation_error")
        assert answer["error_message"] == "dtmf: button is not one of 0-9, * and #"
        for _ in range(harness_call.MAX_FAULTS):
            session.send("not JSON")
        assert await peer.closed() == (1011, "message is not JSON")

    talk(test)


def test_a_flood_of_text_ends_the_call() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        for _ in range(5):
            session.send({"type": "message", "content": "word " * 1900, "responding_to": "x"})
        assert (await peer.closed())[0] == 1011
        assert any("wait to be spoken" in warning for warning in server.calls[0].warnings)

    talk(test)


def test_the_client_hanging_up_closes_the_program_with_1000() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await peer.socket.close()
        assert await session.closed() == 1000

    talk(test)


def test_the_knowledge_base_is_refused_clearly() -> None:
    async def test() -> None:
        async with harnessing() as (server, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /agents/a/documents/query?query=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert answer.startswith(b"HTTP/1.1 501")
            assert b"no knowledge base" in answer

    run(test())


def test_an_ear_that_hangs_costs_the_turn_its_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_call, "EAR_TIMEOUT", 0.05)

    async def hang(ear: ScriptedEar) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(ScriptedEar, "finish", hang)

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await peer.audio(LOUD, 10)
        await peer.audio(SILENCE, 80)
        await session.until(type="user_state", value="speaking")
        assert (await session.until())["value"] == "idle"
        assert "the ear took longer than 0.05 s" in server.calls[0].warnings

    talk(test)


def test_a_program_that_does_not_read_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_link, "MAX_QUEUE", 5)

    async def stuck(link: AgentLink) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        async with harnessing() as (server, _), calling(server) as peer:
            monkeypatch.setattr(AgentLink, "write", stuck)
            await peer.start()
            await peer.until("ack")
            for _ in range(10):
                await peer.send({"event": "custom", "metadata": {}})
            code, reason = await peer.closed()
            assert (code, "does not read" in reason) == (1011, True)

    run(test())


def test_a_program_that_is_not_running_is_1011() -> None:
    async def test() -> None:
        async with harnessing() as (server, _), calling(server) as peer:
            server._harnesses["a"].host.url = ""  # type: ignore[misc]
            await peer.start()
            assert await peer.closed() == (1011, "the agent program does not run")

    run(test())
