"""The stand-in on a real loop-back socket, against messages written by hand from the wire's documents."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cordboard.media.tones import sine
from cordboard.media.wav import write_pcm16

from .line_peer import HEADERS, LIMIT, LOUD, SILENCE, calling, serving


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others

    asyncio.run(limited())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/agents/stream/a", HEADERS, 101),
        ("/agents/stream/a", {"X-API-Key": "k", "Cartesia-Version": "2026-03-01"}, 101),
        ("/agents/stream/a?access_token=t&cartesia_version=2025-04-16", {}, 101),
        ("/agents/stream/a?api_key=k", {"Cartesia-Version": "2025-04-16"}, 101),
        ("/agents/stream/a", {"Cartesia-Version": "2025-04-16"}, 401),
        ("/agents/stream/a", {"Authorization": "Bearer ", "Cartesia-Version": "2025-04-16"}, 401),
        ("/agents/stream/a", {"Authorization": "Basic x", "Cartesia-Version": "2025-04-16"}, 401),
        ("/agents/stream/a?token=t", {"Cartesia-Version": "2025-04-16"}, 401),
        ("/agents/stream/a", {"Authorization": "Bearer t"}, 400),
        ("/agents/stream/b", HEADERS, 404),
        ("/agents/stream/", HEADERS, 404),
        ("/agents/stream/a/b", HEADERS, 404),
        ("/", HEADERS, 404),
        ("/agents/stream/full", HEADERS, 429),
    ],
)
def test_handshake(path: str, headers: dict[str, str], status: int) -> None:
    async def test() -> None:
        async with serving("[agents.a]\n[agents.full]\nrefuse = 429\n") as server:
            url = f"ws://127.0.0.1:{server.port}{path}"
            if status == 101:
                async with connect(url, additional_headers=headers, proxy=None):
                    pass
            else:
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url, additional_headers=headers, proxy=None)
                assert caught.value.response.status_code == status

    run(test())


def test_no_credential_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server:
            url = f"ws://127.0.0.1:{server.port}/agents/stream/a?api_key=sk_secret1"
            headers = {
                "X-API-Key": "sk_secret2",
                "Authorization": "Bearer sk_secret3",
                "Cartesia-Version": "2025-04-16",
            }
            async with connect(url, additional_headers=headers, proxy=None) as client:
                url = "https://u/secret4"
                await client.send(json.dumps({"event": "start", "config": {}, "metadata": {"url": url}}))
                await client.recv()

    with caplog.at_level("DEBUG", "cordboard.line"):
        run(test())
    own = [record.getMessage() for record in caplog.records if record.name.startswith("cordboard")]
    assert any("access token" in line for line in own)
    assert "secret" not in "\n".join(own)


def test_ack_echoes_what_counts() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server:
            async with calling(server) as peer:
                await peer.start(
                    stream_id="edge-1",
                    config={"input_format": "pcm_16000", "voice_id": "v"},
                    agent={"system_prompt": "p"},
                    metadata={"from": "+1", "k": 1},
                )
                ack = await peer.receive()
                assert ack.pop("call_id").startswith("ac_")
                assert ack == {
                    "event": "ack",
                    "stream_id": "edge-1",
                    "config": {"input_format": "pcm_16000", "voice_id": "v"},
                    "agent": {"system_prompt": "p"},
                }
            await server.calls[0].finished.wait()
            assert server.calls[0].metadata == {"to": "a", "from": "+1", "k": 1}
            async with calling(server) as peer:
                await peer.start()
                assert (await peer.receive())["stream_id"].startswith("sid_")

    run(test())


@pytest.mark.parametrize(
    "first",
    [
        '{"event":"media_input","media":{"payload":"//8="}}',
        "{}",
        "[]",
        "nonsense",
        b"\x00",
        '{"event":"start","config":{"input_format":"pcm_8000"}}',
        '{"event":"start","config":[]}',
        '{"event":"start","stream_id":7}',
        '{"event":"start","stream_id":"' + "s" * 257 + '"}',
        '{"event":"start","metadata":"x"}',
        '{"event":"start","agent":{"introduction":7}}',
        '{"event":"start","config":{"output_audio_delivery":"warp"}}',
    ],
)
def test_a_first_message_that_is_no_good_start_closes(first: str | bytes) -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, calling(server) as peer:
            await peer.socket.send(first)
            assert (await peer.receive())["type"] == "error"
            assert (await peer.closed())[0] == 1008

    run(test())


GREETING = "[agents.a]\ngreeting = {tone = {hz = 660, seconds = %s}}\n"


def test_a_greeting_is_one_turn_of_whole_audio() -> None:
    async def test() -> None:
        async with serving(GREETING % 0.3) as server, calling(server) as peer:
            await peer.start()
            ended, before = await peer.until("turn_ended")
            assert [m["event"] for m in before[:2]] == ["ack", "turn_started"]
            assert before[1]["turn_started"]["role"] == "assistant"
            assert ended["turn_ended"]["id"] == before[1]["turn_started"]["id"]
            assert ended["turn_ended"]["was_interrupted"] is False
            chunks = [base64.b64decode(m["media"]["payload"]) for m in before if m["event"] == "media_output"]
            assert sum(map(len, chunks)) == 2400
            assert {len(chunk) for chunk in chunks[:-1]} == {320}
            assert {m["stream_id"] for m in before} == {before[0]["stream_id"]}

    run(test())


def test_text_is_told_word_by_word() -> None:
    async def test() -> None:
        async with serving('[agents.a]\ngreeting = "Good day."\n') as server, calling(server) as peer:
            await peer.start()
            ended, before = await peer.until("turn_ended")
            deltas = [m["turn_output_text_delta"]["text"] for m in before if m["event"] == "turn_output_text_delta"]
            assert deltas == ["Good ", "day. "]
            assert ended["turn_ended"]["text"] == "Good day."

    run(test())


def test_introduction_replaces_the_greeting_and_an_empty_one_waits() -> None:
    async def test() -> None:
        step = "[[agents.a.steps]]\ncustom = {done = true}\n"
        async with serving(GREETING % 5 + step) as server:
            async with calling(server) as peer:
                await peer.start(agent={"introduction": "Hey"})
                ended, _ = await peer.until("turn_ended")
                assert ended["turn_ended"]["text"] == "Hey"
            async with calling(server) as peer:
                await peer.start(agent={"introduction": ""})
                _, before = await peer.until("custom")
                assert [m["event"] for m in before] == ["ack"]

    run(test())


def test_as_available_sends_all_at_once_and_can_still_be_interrupted() -> None:
    async def test() -> None:
        async with serving(GREETING % 30) as server, calling(server) as peer:
            await peer.start(config={"input_format": "mulaw_8000", "output_audio_delivery": "as_available"})
            size = 0
            while size < 240_000:
                message = await peer.receive()
                if message["event"] == "media_output":
                    size += len(base64.b64decode(message["media"]["payload"]))
            await peer.audio(LOUD, 10)
            _, before = await peer.until("clear")
            assert not before
            ended = await peer.receive()
            assert ended["turn_ended"]["was_interrupted"] is True

    run(test())


def test_barge_in_clears_ends_the_turn_and_starts_the_users() -> None:
    async def test() -> None:
        steps = '[[agents.a.steps]]\nwait = "speech"\n[[agents.a.steps]]\nwait = "speech_end"\n'
        steps += "[[agents.a.steps]]\ncustom = {heard = true}\n"
        async with (
            serving('[agents.a]\ngreeting = "' + "word " * 60 + '"\n' + steps) as server,
            calling(server) as peer,
        ):
            await peer.start()
            await peer.until("turn_output_text_delta")
            await peer.audio(SILENCE, 5)
            await peer.audio(LOUD, 10)
            await peer.until("clear")
            ended = await peer.receive()
            turn = ended["turn_ended"]
            assert (turn["role"], turn["was_interrupted"]) == ("assistant", True)
            assert turn["text"].startswith("word")
            assert len(turn["text"].split()) < 60
            assert (await peer.receive())["turn_started"]["role"] == "user"
            await peer.audio(SILENCE, 50)
            user, before = await peer.until("turn_ended")
            assert not before
            assert user["turn_ended"]["role"] == "user"
            custom = await peer.receive()
            assert custom["metadata"] == {"heard": True}

    run(test())


def test_without_barge_in_the_agent_goes_on() -> None:
    async def test() -> None:
        async with serving(GREETING % 0.5 + "barge_in = false\n") as server, calling(server) as peer:
            await peer.start()
            await peer.until("media_output")
            await peer.audio(LOUD, 10)
            while True:
                message, before = await peer.until("turn_ended")
                assert "clear" not in [m["event"] for m in before]
                if message["turn_ended"]["role"] == "assistant":
                    break
            assert message["turn_ended"]["was_interrupted"] is False

    run(test())


def test_turn_events_can_be_switched_off() -> None:
    async def test() -> None:
        text = GREETING % 0.1 + "turn_events = false\n[[agents.a.steps]]\ncustom = {}\n"
        async with serving(text) as server, calling(server) as peer:
            await peer.start()
            _, before = await peer.until("custom")
            assert {m["event"] for m in before} == {"ack", "media_output"}

    run(test())


def test_waits_see_what_came_since_the_last_wait() -> None:
    async def test() -> None:
        text = "[agents.a]\nack_delay = 0.05\n"
        for step in ('wait = "ack"', 'wait = {dtmf = "2"}', 'dtmf = "9"', 'wait = "custom"', 'end = "done"'):
            text += f"[[agents.a.steps]]\n{step}\n"
        async with serving(text) as server, calling(server) as peer:
            await peer.start()
            await peer.until("ack")
            for digit in "12":
                await peer.send({"event": "dtmf", "dtmf": digit})
            digit_message, _ = await peer.until("dtmf")
            assert digit_message["dtmf"] == "9"
            await peer.send({"event": "custom", "metadata": {"x": 1}})
            assert await peer.closed() == (1000, "call ended by agent, reason: done")

    run(test())


def test_actions_on_the_wire() -> None:
    async def test() -> None:
        text = "[agents.a]\n"
        for step in ('custom = {stage = "x"}', 'transfer_call = "+14155550123"', "clear = true", 'raw = "?"',
                     'error = {message = "slow", status_code = 503}'):  # fmt: skip
            text += f"[[agents.a.steps]]\n{step}\n"
        async with serving(text) as server, calling(server) as peer:
            await peer.start(stream_id="s")
            await peer.until("ack")
            assert [await peer.socket.recv() for _ in range(5)] == [
                '{"event":"custom","stream_id":"s","metadata":{"stage":"x"}}',
                '{"event":"transfer_call","stream_id":"s","transfer":{"target_phone_number":"+14155550123"}}',
                '{"event":"clear","stream_id":"s"}',
                "?",
                '{"type":"error","message":"slow","status_code":503}',
            ]

    run(test())


@pytest.mark.parametrize(
    ("step", "code", "reason"),
    [
        ('end = "bye"', 1000, "call ended by agent, reason: bye"),
        ('end = ""', 1000, "call ended by agent"),
        ('drop = {code = 1011, reason = "boom"}', 1011, "boom"),
        ('drop = "abort"', 1006, ""),
    ],
)
def test_ends(step: str, code: int, reason: str) -> None:
    async def test() -> None:
        async with serving(GREETING % 0.2 + f"[[agents.a.steps]]\n{step}\n") as server, calling(server) as peer:
            await peer.start()
            assert await peer.closed() == (code, reason)
            await server.calls[0].finished.wait()
            audio = [item.message["bytes"] for item in server.calls[0].messages if "bytes" in item.message]
            assert sum(audio) == 1600  # everything was sent before the end

    run(test())


def test_idle_calls_end() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nidle_seconds = 0.1\n") as server, calling(server) as peer:
            await peer.start()
            assert await peer.closed() == (1000, "connection idle timeout")

    run(test())


def test_a_ping_counts_against_idleness() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, calling(server) as peer:
            await peer.start()
            await peer.until("ack")
            (connection,) = server.connections
            before = connection.heard_at
            await (await peer.socket.ping())
            assert connection.heard_at > before

    run(test())


def test_faults_of_a_client_are_told_and_the_call_goes_on() -> None:
    async def test() -> None:
        faults = [
            '{"event":"dtmf","dtmf":"A"}',
            '{"event":"dtmf","dtmf":"12"}',
            '{"event":"dtmf"}',
            '{"event":"custom"}',
            '{"event":"custom","metadata":3}',
            '{"event":"media_input"}',
            '{"event":"media_input","media":{"payload":"@"}}',
            "nonsense",
            "[" * 100_000,
        ]
        async with serving("[agents.a]\n") as server, calling(server) as peer:
            await peer.start()
            await peer.until("ack")
            for fault in faults:
                await peer.socket.send(fault)
                assert (await peer.receive())["type"] == "error"
            for odd in ('{"event":"ping"}', '{"event":"start"}', '{"event":"sparkle"}', "{}"):
                await peer.socket.send(odd)
            await peer.send({"event": "dtmf", "stream_id": "other", "dtmf": "1"})
            await peer.socket.close()
            await server.calls[0].finished.wait()
            warnings = "\n".join(server.calls[0].warnings)
            for text in ("dtmf: must be", "not base64", "not JSON", "second start", "'sparkle'", "not the call's"):
                assert text in warnings
            assert "ping" not in warnings

    run(test())


def test_audio_before_the_ack_is_ignored_with_a_warning() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nack_delay = 0.2\n") as server, calling(server) as peer:
            await peer.start()
            await peer.audio(SILENCE, 3)
            await peer.until("ack")
            await peer.audio(LOUD)
            await peer.socket.close()
            await server.calls[0].finished.wait()
            assert bytes(server.calls[0].audio_in) == LOUD
            assert server.calls[0].warnings == ["audio before the ack is ignored"]

    run(test())


def test_an_agent_may_never_ack() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nack = false\nidle_seconds = 0.2\n") as server, calling(server) as peer:
            await peer.start()
            assert (await peer.closed())[1] == "connection idle timeout"
            await server.calls[0].finished.wait()
            assert server.calls[0].events("out") == []

    run(test())


def test_tools_post_json_and_remember_the_answer() -> None:
    async def test() -> None:
        requests: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            requests.append(head.split(b"\r\n")[0] + b"|" + body)
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}')
            await writer.drain()
            writer.close()

        control = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{control.sockets[0].getsockname()[1]}/c/x?y=1"
        text = "[agents.a]\n"
        for key in ("url", "nothing", "bad", "odd"):
            text += f'[[agents.a.steps]]\ntool = {{url = "metadata.{key}", body = {{action = "end_call"}}}}\n'
        text += "[[agents.a.steps]]\ncustom = {}\n"
        async with control, serving(text) as server, calling(server) as peer:
            await peer.start(metadata={"url": url, "bad": "http://127.0.0.1:1/", "odd": "http://[::1"})
            await peer.until("custom")
            good, missing, refused, odd = server.calls[0].tool_results
            assert requests == [b'POST /c/x?y=1 HTTP/1.0|{"action": "end_call"}']
            assert (good.status, good.body, good.error) == (200, '{"ok":true}', "")
            assert (missing.status, missing.error) == (0, "start carried no metadata.nothing")
            assert (odd.status, odd.error) == (0, "not a URL")
            assert refused.status == 0
            assert refused.error

    run(test())


def test_a_step_goes_on_when_its_audio_is_sent_though_not_yet_played() -> None:
    async def test() -> None:
        text = GREETING % 30 + 'delivery = "as_available"\n[[agents.a.steps]]\ncustom = {sent = true}\n'
        async with serving(text) as server, calling(server) as peer:
            await peer.start()
            _, before = await peer.until("custom")
            audio = [base64.b64decode(m["media"]["payload"]) for m in before if m["event"] == "media_output"]
            assert sum(map(len, audio)) == 240_000
            assert "turn_ended" not in [m["event"] for m in before]

    run(test())


def test_a_recorded_greeting(tmp_path: Path) -> None:
    async def test() -> None:
        write_pcm16(tmp_path / "hello.wav", sine(500, 0.1, 44100), 44100)
        async with serving('[agents.a]\ngreeting = {wav = "hello.wav"}\n', tmp_path) as server, calling(server) as peer:
            await peer.start()
            _, before = await peer.until("turn_ended")
            audio = b"".join(base64.b64decode(m["media"]["payload"]) for m in before if m["event"] == "media_output")
            assert len(audio) == 800

    run(test())


def test_close_ends_calls_with_1001_and_half_open_connections_too() -> None:
    async def test() -> None:
        async with serving(GREETING % 30) as server:
            mute = socket.create_connection(("127.0.0.1", server.port))
            async with calling(server) as peer:
                await peer.start()
                await peer.until("media_output")
                await server.close()
                assert (await peer.closed())[0] == 1001
            mute.close()

    run(test())
