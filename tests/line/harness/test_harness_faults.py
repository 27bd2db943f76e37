"""Programs that reject, crash, hang, flood or do not read: the caller's side gets a defined end of the call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from cordboard.line.ears.scripted import ScriptedEar
from cordboard.line.harness import call as harness_call
from cordboard.line.harness import caller_side
from cordboard.line.harness import link as harness_link
from cordboard.line.harness.link import AgentLink
from cordboard.line.platform.service import Options
from cordboard.line.server import LineServer
from cordboard.line.voices.tones import WORD_GAP, WORD_SECONDS
from cordboard.media.wav import read_wav

from ..line_peer import LOUD, SILENCE, ManagedPeer, Peer, calling, calling_managed
from ..platform.platform_peer import HEADERS
from .fake_agent import FakeAgent, Session, harnessing
from .harness_talk import FAST, begin, run, talk


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


@pytest.mark.parametrize("managed", [False, True])
def test_what_was_sent_before_a_crash_is_told_word_for_word(managed: bool, tmp_path: Path) -> None:
    text = "One moment please, I look for a table."

    async def test() -> None:
        async with harnessing(settings=FAST, options=Options(folder=tmp_path)) as (server, agent):
            connected = calling_managed(server) if managed else calling(server)
            async with connected as peer:
                await (peer.create() if isinstance(peer, ManagedPeer) else peer.start())
                session = await agent.sessions.get()
                session.send({"type": "message", "content": f"{text} ", "interruptible": True, "responding_to": "x"})
                _, sent = await peer.until("turn_output_text_delta")  # all of the audio came before it
                audio = [item for item in sent if "audio_output" in item.values() or "media_output" in item.values()]
                session.close()
                ended, between = await peer.until("turn_ended")
                turn = ended if managed else ended["turn_ended"]
                assert (turn["text"], turn["interrupted" if managed else "was_interrupted"]) == (text, False)
                assert "error" not in {item.get("type") for item in between}
                assert (await peer.receive())["type"] == "error"
                assert (await peer.closed())[0] == 1011
            record = server.calls[0]
            await record.finished.wait()
            (entry,) = record.transcript.as_json()
            assert (entry["text"], entry["end_reason"]) == (text, "call_ended")
            assert [chunk["text"] for chunk in entry["text_chunks"]] == text.split()
            assert record.recording is not None
            recorded = record.recording.path
        assert audio
        length = read_wav(recorded).samples.shape[0] / 8000
        assert length >= entry["end_timestamp"] - 0.05 >= len(text.split()) * (WORD_SECONDS + WORD_GAP) - 0.1

    run(test())


def test_a_call_that_is_cancelled_tells_what_was_sent() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "message", "content": "One moment please. ", "interruptible": True, "responding_to": "x"})
        await peer.until("turn_output_text_delta")
        await server.calls[0].cancel()  # type: ignore[misc]
        ended, _ = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "One moment please."
        assert await peer.closed() == (1000, "connection cancelled")

    talk(test, settings=FAST)


def test_messages_against_the_protocol_are_answered_and_at_last_end_the_call() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "dtmf", "button": "55"})
        answer = await session.until(type="validation_error")
        assert answer["error_message"] == "dtmf: button is not one of 0-9, * and #"
        for _ in range(harness_call.MAX_FAULTS):
            session.send("not JSON")
        assert await peer.closed() == (1011, "message is not JSON")

    talk(test)


def test_what_is_no_json_is_replaced_and_the_call_and_its_record_go_on(tmp_path: Path) -> None:
    sent = [
        '{"type":"log_metric","name":"ratio","value":NaN}',
        '{"type":"custom","metadata":{"score":1e999}}',
        r'{"type":"tool_call","name":"\ud800","arguments":{"a":"\ud800"},"result":"\udfff"}',
        r'{"type":"log_event","event":"e","metadata":{"\ud800":-Infinity}}',
        r'{"type":"config","tts":{"voice_id":"\ud800"}}',
        r'{"type":"zz\ud800"}',
        r'{"type":"message","content":"Hello \ud83d there. "}',
    ]

    async def test() -> None:
        async with (
            harnessing(settings=FAST, options=Options(folder=tmp_path)) as (server, agent),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=HEADERS, trust_env=False) as http,
        ):
            async with calling(server) as peer:
                session = await begin(peer, agent)
                for text in sent:
                    session.send(text)
                custom, _ = await peer.until("custom")
                assert custom["metadata"] == {"score": None}
                ended, _ = await peer.until("turn_ended")
                assert ended["turn_ended"]["text"] == "Hello ? there."
                session.send(r'{"type":"end_call","reason":"\ud800 bye"}')
                assert await peer.closed() == (1000, "call ended by agent, reason: ? bye")
            record = server.calls[0]
            await record.finished.wait()
            page = await http.get("/agents/calls?agent_id=a&expand=transcript")
            call = await http.get(f"/agents/calls/{record.call_id}")
            assert (page.status_code, call.status_code) == (200, 200)
            metrics = [entry["log_metric"]["value"] for entry in call.json()["transcript"] if "log_metric" in entry]
            assert metrics == [None]
            warned = [warning for warning in record.warnings if "stands in its place" in warning]
            assert warned[:2] == [
                "agent: 'log_metric': value is no finite number, null stands in its place",
                "agent: 'custom': metadata.score is no finite number, null stands in its place",
            ]
            assert len(warned) == len(sent) + 1

    run(test())


def test_an_opening_that_is_no_json_is_replaced_too() -> None:
    async def test() -> None:
        async with harnessing() as (server, agent), calling(server) as peer:
            agent.answer = r'{"websocket_url":"/ws","cartesia_version":"x","metadata":{"x":1e999,"y":"\ud800"}}'
            await peer.start()
            await peer.until("ack")
            started = await (await agent.sessions.get()).until(type="start")
            assert started["metadata"]["x"] is None
            assert started["metadata"]["y"] == "?"
            (warned,) = (warning for warning in server.calls[0].warnings if "POST /chats" in warning)
            told = "metadata.x is no finite number, null stands in its place (and 1 more)"
            assert warned == f"agent: POST /chats: {told}"

    run(test())


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
    monkeypatch.setattr(caller_side, "EAR_TIMEOUT", 0.05)

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
