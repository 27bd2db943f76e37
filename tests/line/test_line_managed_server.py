"""The stand-in's Managed wire on a real loop-back socket, against messages written by hand from the documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from .line_peer import LIMIT, LOUD, SILENCE, calling, calling_managed, serving

TOOL = '[[agents.a.steps]]\ntool_call = {name = "find_table", arguments = {seats = 2}, timeout = %s}\n'


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others

    asyncio.run(limited())


PATH = "/v1/agents/websocket/"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("a?cartesia_version=2026-08-14", {"X-API-Key": "k"}, 101),
        ("a", {"X-API-Key": "k", "Cartesia-Version": "2026-08-14"}, 101),
        ("a?cartesia_version=2026-08-14&access_token=t", {}, 101),
        ("a?cartesia_version=2026-08-14", {}, 401),
        ("a?cartesia_version=2026-08-14", {"Authorization": "Bearer t"}, 401),
        ("a?cartesia_version=2026-08-14&api_key=k", {}, 401),
        ("a", {"X-API-Key": "k"}, 400),
        ("b?cartesia_version=2026-08-14", {"X-API-Key": "k"}, 404),
        ("?cartesia_version=2026-08-14", {"X-API-Key": "k"}, 404),
        ("a/b?cartesia_version=2026-08-14", {"X-API-Key": "k"}, 404),
        ("full?cartesia_version=2026-08-14", {"X-API-Key": "k"}, 429),
    ],
)
def test_handshake(path: str, headers: dict[str, str], status: int) -> None:
    async def test() -> None:
        async with serving("[agents.a]\n[agents.full]\nrefuse = 429\n") as server:
            url = f"ws://127.0.0.1:{server.port}{PATH}{path}"
            if status == 101:
                async with connect(url, additional_headers=headers, proxy=None):
                    pass
            else:
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url, additional_headers=headers, proxy=None)
                assert caught.value.response.status_code == status

    run(test())


def test_one_port_serves_the_same_agent_on_both_wires() -> None:
    async def test() -> None:
        text = '[agents.a]\ngreeting = "Good day"\n'
        async with serving(text) as server, calling_managed(server) as managed, calling(server) as line:
            await managed.create(dynamic_variables={"tier": 2})
            await line.start()
            ready = await managed.receive()
            assert ready["call_id"].startswith("ac_")
            assert (ready["type"], ready["agent_id"]) == ("session_ready", "a")
            assert (await line.receive())["event"] == "ack"
            (_, before), (_, line_before) = await managed.until("turn_ended"), await line.until("turn_ended")
            assert [message["type"] for message in before if message["type"] != "audio_output"] == [
                "turn_started",
                "turn_output_text_delta",
                "turn_output_text_delta",
            ]
            spoken = [message["audio"] for message in before if message["type"] == "audio_output"]
            assert spoken == [m["media"]["payload"] for m in line_before if m["event"] == "media_output"]
            assert not [message for message in before if "stream_id" in message]
            first, second = server.calls
            assert (first.wire, second.wire) == ("managed", "line")
            assert first.metadata == {"tier": 2}
            assert "audio_output" in first.events("out")

    run(test())


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"type":"audio_input","audio":"//8="}', "invalid_event"),
        ("nonsense", "invalid_event"),
        (b"\x00", "invalid_event"),
        ('{"type":"session_create","audio":{"input_format":"mulaw_8000"},"x":1}', "invalid_event"),
        (
            '{"type":"session_create","audio":{"input_format":"mulaw_8000"},"dynamic_variables":{"secret__a":1}}',
            "invalid_dynamic_variables",
        ),
        ('{"type":"session_create","audio":{"input_format":"mulaw_8000"}}', "missing_dynamic_variables"),
        ('{"type":"session_create","audio":{"input_format":"mulaw_8000"},"' + "é" * 200 + '":1}', "invalid_event"),
    ],
)
def test_a_first_message_that_is_no_good_is_a_fatal_error_and_1008(first: str | bytes, code: str) -> None:
    async def test() -> None:
        async with serving('[agents.a]\nvariables = ["name"]\n') as server, calling_managed(server) as peer:
            await peer.socket.send(first)
            error = await peer.receive()
            assert (error["type"], error["code"], error["fatal"]) == ("error", code, True)
            assert (await peer.closed())[0] == 1008

    run(test())


def test_a_browsers_token_cannot_set_variables() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server:
            async with calling_managed(server, token="t") as peer:
                await peer.create(dynamic_variables={"a": 1})
                assert (await peer.receive())["code"] == "dynamic_variables_not_allowed"
            async with calling_managed(server, token="t") as peer:
                await peer.create()
                assert (await peer.receive())["type"] == "session_ready"

    run(test())


def test_the_first_message_has_a_limit() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nstart_seconds = 0.1\n") as server, calling_managed(server) as peer:
            error = await peer.receive()
            assert (error["code"], error["fatal"]) == ("invalid_event", True)
            assert "no first message" in error["message"]
            assert (await peer.closed())[0] == 1008

    run(test())


def test_a_session_in_time_outlives_that_limit() -> None:
    async def test() -> None:
        text = "[agents.a]\nstart_seconds = 0.1\n[[agents.a.steps]]\nwait = 0.2\n[[agents.a.steps]]\ndtmf = '1'\n"
        async with serving(text) as server, calling_managed(server) as peer:
            await peer.create()
            await peer.until("dtmf_output")

    run(test())


def test_pings_and_faults_do_not_count_against_idleness() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nidle_seconds = 0.4\n") as server, calling_managed(server) as peer:
            await peer.create()
            await peer.until("session_ready")

            async def chatter() -> None:
                while True:
                    await peer.socket.ping()
                    await peer.send({"type": "sparkle"})
                    await asyncio.sleep(0.05)

            chatting = asyncio.create_task(chatter())
            assert await peer.closed() == (1000, "connection idle timeout")
            chatting.cancel()
            await asyncio.wait({chatting})
            assert chatting.cancelled() or chatting.exception() is not None

    run(test())


def test_a_message_too_large_is_1009() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, calling_managed(server) as peer:
            await peer.create()
            await peer.until("session_ready")
            await peer.socket.send("x" * ((1 << 20) + 1))
            assert (await peer.closed())[0] == 1009

    run(test())


def test_faults_after_session_ready_are_told_and_the_call_goes_on() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, calling_managed(server) as peer:
            await peer.create()
            await peer.until("session_ready")
            for fault in (
                '{"type":"dtmf_input","digit":"A"}',
                '{"type":"audio_input","audio":"@"}',
                '{"type":"session_create"}',
                '{"event":"custom","metadata":{}}',
                "[]",
            ):
                await peer.socket.send(fault)
                error = await peer.receive()
                assert (error["type"], error["code"], error["fatal"]) == ("error", "invalid_event", False)
            await peer.audio(SILENCE)
            await peer.send({"type": "dtmf_input", "digit": "4"})
            await peer.socket.close()
            await server.calls[0].finished.wait()
            assert bytes(server.calls[0].audio_in) == SILENCE
            assert server.calls[0].events("in")[-2:] == ["audio_input", "dtmf_input"]
            assert server.calls[0].messages[-2].message == {"type": "audio_input", "bytes": 160}

    run(test())


def test_audio_before_session_ready_is_dropped() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nack_delay = 0.2\n") as server, calling_managed(server) as peer:
            await peer.create()
            await peer.audio(SILENCE, 3)
            await peer.until("session_ready")
            await peer.audio(LOUD)
            await peer.socket.close()
            await server.calls[0].finished.wait()
            assert bytes(server.calls[0].audio_in) == LOUD

    run(test())


def test_a_client_tool_is_called_and_its_result_is_kept_and_told() -> None:
    async def test() -> None:
        text = "[agents.a]\n" + TOOL % 5 + '[[agents.a.steps]]\nsay = "Fine"\n'
        async with serving(text) as server, calling_managed(server) as peer:
            await peer.create()
            call, _ = await peer.until("client_tool_call")
            assert (call["tool_name"], call["parameters"], call["expects_response"]) == (
                "find_table",
                {"seats": 2},
                True,
            )
            await peer.answer({"tool_call_id": "tc_other"}, "unmatched")
            await peer.answer(call, '{"slots":[]}')
            await peer.answer(call, "again")
            ended, _ = await peer.until("turn_ended")
            assert ended["tool_calls"] == [
                {
                    "name": "find_table",
                    "arguments": {"seats": 2},
                    "result": '{"slots":[]}',
                    "id": call["tool_call_id"],
                    "dynamic_variable_updates": [],
                }
            ]
            (result,) = server.calls[0].client_tool_results
            assert (result.id, result.name, result.arguments) == (call["tool_call_id"], "find_table", {"seats": 2})
            assert (result.result, result.is_error, result.error_type) == ('{"slots":[]}', False, "")
            assert server.calls[0].warnings == ["a late, repeated or unmatched tool result is ignored"]

    run(test())


@pytest.mark.parametrize(
    ("answer", "error_type", "told"),
    [
        ({"result": "large parties: offer a call back", "is_error": True}, "", "large parties"),
        ({"result": "no", "is_error": True, "error_type": "ToolError"}, "ToolError", "no"),
        ({"result": "x" * 4097}, "result_too_large", "4096"),
        (None, "timeout", "no answer within 0.1 s"),
    ],
)
def test_a_client_tool_that_fails_is_an_error_result(answer: dict[str, Any] | None, error_type: str, told: str) -> None:
    async def test() -> None:
        text = "[agents.a]\n" + TOOL % (0.1 if answer is None else 5) + "[[agents.a.steps]]\ndtmf = '1'\n"
        async with serving(text) as server, calling_managed(server) as peer:
            await peer.create()
            call, _ = await peer.until("client_tool_call")
            if answer is not None:
                await peer.answer(call, **answer)
            await peer.until("dtmf_output")
            (result,) = server.calls[0].client_tool_results
            assert (result.is_error, result.error_type) == (True, error_type)
            assert told in result.result

    run(test())


def test_a_tool_without_an_answer_is_not_waited_for() -> None:
    async def test() -> None:
        text = '[agents.a]\n[[agents.a.steps]]\ntool_call = {name = "note", expects_response = false}\n'
        async with serving(text + "[[agents.a.steps]]\ndtmf = '1'\n") as server, calling_managed(server) as peer:
            await peer.create()
            call, _ = await peer.until("client_tool_call")
            assert call["expects_response"] is False
            await peer.until("dtmf_output")
            assert server.calls[0].client_tool_results == []

    run(test())


def test_on_the_line_wire_a_tool_call_is_a_custom_message() -> None:
    async def test() -> None:
        text = "[agents.a]\n" + (TOOL % 5) * 2 + "[[agents.a.steps]]\ndtmf = '1'\n"
        async with serving(text) as server, calling(server) as peer:
            await peer.start()
            replies: list[dict[str, Any]] = [{"result": {"slots": []}}, {"error": "no", "error_type": "ToolError"}]
            for reply in replies:
                call, _ = await peer.until("custom")
                metadata = call["metadata"]
                assert (metadata["tool"], metadata["arguments"]) == ("find_table", {"seats": 2})
                await peer.send({"event": "custom", "metadata": {"tool": "find_table", "id": "other", "result": 1}})
                await peer.send(
                    {"event": "custom", "metadata": {"tool": metadata["tool"], "id": metadata["id"], **reply}}
                )
            await peer.until("dtmf")
            good, bad = server.calls[0].client_tool_results
            assert (json.loads(good.result), good.is_error) == ({"slots": []}, False)
            assert (bad.result, bad.is_error, bad.error_type) == ("no", True, "ToolError")

    run(test())


def test_a_call_that_ends_while_a_tool_is_awaited_leaves_nothing() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n" + TOOL % 600) as server, calling_managed(server) as peer:
            await peer.create()
            await peer.until("client_tool_call")
            await peer.socket.close()
            await server.calls[0].finished.wait()
            assert server.calls[0].client_tool_results == []

    run(test())


def test_steps_without_a_counterpart_are_left_out_and_warned_of() -> None:
    async def test() -> None:
        text = "[agents.a]\n[[agents.a.steps]]\ncustom = {a = 1}\n[[agents.a.steps]]\ntransfer_call = '+1'\n"
        text += '[[agents.a.steps]]\nerror = {code = "agent_failed", message = "m", fatal = true}\n'
        async with (
            serving(text + "[[agents.a.steps]]\ndrop = {code = 1011}\n") as server,
            calling_managed(server) as peer,
        ):
            await peer.create()
            error, before = await peer.until("error")
            assert [message["type"] for message in before] == ["session_ready"]
            assert error == {"type": "error", "code": "agent_failed", "message": "m", "fatal": True}
            assert (await peer.closed())[0] == 1011
            assert server.calls[0].warnings == [
                "custom is left out: the managed wire has none",
                "transfer_call is left out: the managed wire has none",
            ]

    run(test())


def test_no_credential_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, calling_managed(server, token="secret1") as peer:
            await peer.create(dynamic_variables={"u": "secret2"})
            await peer.closed()

    with caplog.at_level("DEBUG", "cordboard"):
        run(test())
    assert "secret" not in "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("cordboard"))
