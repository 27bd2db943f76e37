"""The Managed Agents socket's client. Messages are written by hand from reference cartesia-protocols §2."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from cordboard.agents.connection import SPOKEN_VERSIONS, AgentConnection, UnknownVersion, connect
from cordboard.agents.events import (
    Acked,
    Audio,
    Clear,
    Closed,
    Dtmf,
    ErrorMessage,
    HttpResponse,
    Opened,
    TextDelta,
    ToolCall,
    TurnEnded,
    TurnStarted,
    Unknown,
)
from cordboard.agents.json_messages import NotJson
from cordboard.agents.line import LineConnection
from cordboard.agents.managed import ManagedConnection, UnsupportedDelivery
from cordboard.agents.managed_messages import MAX_RESULT, MAX_VARIABLES, BadVariable
from cordboard.agents.state import InputFormat, NotSupported, State, UnsupportedFormat, WrongState
from cordboard.agents.websocket import MAX_MESSAGE, BadAddress

from .agent_peer import accept, close_frame, drain, frame, sent, sent_json

KEY = "sk_car_very-secret-0002"
READY = (
    '{"type":"session_ready","call_id":"ac_77","agent_id":"agent_1","agent_version_id":"agv_3",'
    '"audio":{"input_format":"%s","output_delivery":"speaking_pace"}}'
)


def new(input_format: InputFormat = "mulaw_8000", base_url: str = "wss://api.cartesia.ai") -> ManagedConnection:
    return ManagedConnection(
        base_url=base_url, agent_id="agent_1", api_key=KEY, input_format=input_format, rng=random.Random(7), now=100.0
    )


def opened(input_format: InputFormat = "mulaw_8000") -> ManagedConnection:
    agent = new(input_format)
    accept(agent)
    drain(agent)
    return agent


def live(input_format: InputFormat = "mulaw_8000") -> ManagedConnection:
    agent = opened(input_format)
    agent.start(metadata={}, now=100.3)
    agent.receive_data(frame(READY % input_format), 100.4)
    agent.data_to_send(100.4)
    drain(agent)
    assert agent.state is State.LIVE
    return agent


def test_handshake_has_the_version_in_the_query_and_the_key_in_a_header() -> None:
    agent = new(base_url="wss://api.cartesia.ai/base/")
    assert (agent.host, agent.port, agent.secure) == ("api.cartesia.ai", 443, True)
    head, *rows = accept(agent).decode().split("\r\n")
    assert head == "GET /base/v1/agents/websocket/agent_1?cartesia_version=2026-08-14 HTTP/1.1"
    assert f"X-API-Key: {KEY}" in rows
    assert not [row for row in rows if row.lower().startswith(("authorization", "sec-websocket-extensions"))]
    (event,) = drain(agent)
    assert isinstance(event, Opened)
    assert event.web_socket_id == agent.web_socket_id
    assert KEY not in repr(agent)
    assert "ManagedConnection" in repr(agent)


@pytest.mark.parametrize("field", ["base_url", "api_key", "agent_id", "version"])
def test_bad_addresses_are_refused(field: str) -> None:
    arguments: dict[str, Any] = {"base_url": "wss://h", "agent_id": "a", "api_key": KEY, "version": "2026-08-14"}
    arguments[field] = "https://h" if field == "base_url" else ""
    with pytest.raises(BadAddress) as caught:
        ManagedConnection(**arguments, rng=random.Random(1), now=0.0)
    assert KEY not in str(caught.value)


def test_what_would_break_out_of_the_path_is_quoted() -> None:
    agent = ManagedConnection(
        base_url="ws://h", agent_id="a/b?c", api_key="k", version="x&y", rng=random.Random(1), now=0.0
    )
    assert accept(agent).startswith(b"GET /v1/agents/websocket/a%2Fb%3Fc?cartesia_version=x%26y HTTP/1.1\r\n")


def test_session_create_and_session_ready() -> None:
    agent = opened()
    agent.start(metadata={"caller_name": "Mina", "tier": 2, "vip": True, "score": 0.5}, now=100.3)
    assert sent_json(agent) == [
        {
            "type": "session_create",
            "audio": {"input_format": "mulaw_8000"},
            "dynamic_variables": {"caller_name": "Mina", "tier": 2, "vip": True, "score": 0.5},
        }
    ]
    assert agent.next_timer() == 110.3
    agent.receive_data(frame(READY % "mulaw_8000"), 101.0)
    (event,) = drain(agent)
    assert isinstance(event, Acked)
    assert (event.call_id, event.stream_id, event.data["agent_version_id"]) == ("ac_77", "", "agv_3")
    assert (agent.call_id, agent.state) == ("ac_77", State.LIVE)


CONFIGS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"input_format": "mulaw_8000"}),
    ({"input_format": "pcm_24000"}, {"input_format": "pcm_24000"}),
    ({"input_format": "pcm_44100", "output_delivery": "as_available"}, {"input_format": "pcm_44100"}),
    ({"output_delivery": "speaking_pace"}, {"input_format": "mulaw_8000"}),
    ({"output_audio_delivery": "as_available"}, {"input_format": "mulaw_8000"}),
    ({"output_delivery": None}, {"input_format": "mulaw_8000"}),
]


@pytest.mark.parametrize(("config", "audio"), CONFIGS)
def test_config_chooses_format_and_delivery(config: dict[str, Any], audio: dict[str, str]) -> None:
    agent = opened()
    agent.start(metadata={}, config=config, agent={}, now=100.3)
    delivery = config.get("output_delivery", config.get("output_audio_delivery"))
    expected = audio if delivery is None else {**audio, "output_delivery": delivery}
    assert sent_json(agent) == [{"type": "session_create", "audio": expected}]
    assert agent.input_format == audio["input_format"]


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"config": {"input_format": "pcm_8000"}}, UnsupportedFormat, "pcm_8000"),
    ({"config": {"output_delivery": "warp"}}, UnsupportedDelivery, "config.output_delivery"),
    ({"config": {"output_audio_delivery": ["as_available"]}}, UnsupportedDelivery, "config.output_audio_delivery"),
    ({"config": {"voice_id": "v"}}, NotSupported, "config.voice_id"),
    ({"agent": {"introduction": "Hi"}}, NotSupported, "agent.introduction"),
    ({"metadata": {"edge": {"a": 1}}}, BadVariable, "metadata.edge"),
    ({"metadata": {"edge": None}}, BadVariable, "metadata.edge"),
    ({"metadata": {"edge": [1]}}, BadVariable, "metadata.edge"),
    ({"metadata": {"edge": float("nan")}}, BadVariable, "metadata.edge"),
    ({"metadata": {"a-b": 1}}, BadVariable, "metadata.a-b"),
    ({"metadata": {"": 1}}, BadVariable, "metadata."),
    ({"metadata": {"é": 1}}, BadVariable, "metadata.é"),
    ({"metadata": {"x\n": 1}}, BadVariable, "metadata.x"),
    ({"metadata": {"n" * 65: 1}}, BadVariable, "metadata.nnn"),
    ({"metadata": {"system__time": 1}}, BadVariable, "reserved"),
    ({"metadata": {"secret__key": "x"}}, BadVariable, "metadata.secret__key"),
    ({"metadata": {f"v{at}": at for at in range(MAX_VARIABLES + 1)}}, BadVariable, "metadata.v64"),
    ({"metadata": {"x": "y" * MAX_MESSAGE}}, NotJson, "exceeds"),
]


@pytest.mark.parametrize(("arguments", "error", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_the_wire_does_not_carry_is_an_error_that_names_it(
    arguments: dict[str, Any], error: type[Exception], told: str
) -> None:
    agent = opened()
    with pytest.raises(error) as caught:
        agent.start(**{"metadata": {}, **arguments}, now=100.3)
    assert told in str(caught.value)
    assert sent(agent) == []
    assert agent.state is State.OPEN
    agent.start(metadata={"n" * 64: 1, "secret_": 1, "A_9": ""}, now=100.4)


def test_the_largest_number_of_variables_passes() -> None:
    agent = opened()
    agent.start(metadata={f"v{at}": at for at in range(MAX_VARIABLES)}, now=100.3)
    assert len(sent_json(agent)[0]["dynamic_variables"]) == 64


def test_client_messages_on_the_wire() -> None:
    agent = live()
    agent.send_audio(b"\xff\x7f\x00", 101.0)
    assert agent.dtmf("4", 101.0) is True
    assert agent.dtmf("A", 101.0) is False
    assert agent.tool_result("tc_8", '{"slots":["19:30"]}', now=101.0) is True
    assert agent.tool_result("tc_9", "no", is_error=True, error_type="ToolError", now=101.0) is True
    texts = [payload.decode() for _, payload in sent(agent)]
    assert texts == [
        '{"type":"audio_input","audio":"/38A"}',
        '{"type":"dtmf_input","digit":"4"}',
        '{"type":"client_tool_result","tool_call_id":"tc_8","result":"{\\"slots\\":[\\"19:30\\"]}","is_error":false}',
        '{"type":"client_tool_result","tool_call_id":"tc_9","result":"no","is_error":true,"error_type":"ToolError"}',
    ]
    with pytest.raises(ValueError, match="DTMF"):
        agent.dtmf("x", 101.0)


def test_custom_is_not_supported_and_sends_nothing() -> None:
    agent = live()
    with pytest.raises(NotSupported, match="custom") as caught:
        agent.custom({"a": 1}, 101.0)
    assert (caught.value.what, caught.value.version) == ("custom", "2026-08-14")
    assert sent(agent) == []


@pytest.mark.parametrize(("character", "fits"), [("x", MAX_RESULT), ("é", MAX_RESULT // 2)])
def test_a_result_too_large_becomes_an_error_that_the_agent_reads(character: str, fits: int) -> None:
    agent = live()
    assert agent.tool_result("tc_1", character * fits, now=101.0) is True
    assert agent.tool_result("tc_2", character * (fits + 1), now=101.0) is False
    whole, error = sent_json(agent)
    assert (whole["result"], whole["is_error"]) == (character * fits, False)
    assert (error["tool_call_id"], error["is_error"], error["error_type"]) == ("tc_2", True, "result_too_large")
    assert "4096" in error["result"]


@pytest.mark.parametrize(
    ("id", "result", "error_type", "error"),
    [
        ("", "x", None, ValueError),
        ("i" * 257, "x", None, ValueError),
        ("i", "x", "é" * 129, ValueError),
        ("i", "\ud800", None, NotJson),
        ("i", "x", "\ud800", NotJson),
    ],
)
def test_results_that_the_wire_forbids_are_not_sent(
    id: str, result: str, error_type: str | None, error: type[Exception]
) -> None:
    agent = live()
    with pytest.raises(error):
        agent.tool_result(id, result, is_error=True, error_type=error_type, now=101.0)
    assert sent(agent) == []


def test_nothing_is_sent_before_session_ready_or_after_the_end() -> None:
    closing = live()
    closing.close(now=101.0)
    for agent in (new(), opened(), closing):
        before = agent.state
        with pytest.raises(WrongState):
            agent.send_audio(b"\xff", 101.0)
        with pytest.raises(WrongState):
            agent.dtmf("1", 101.0)
        with pytest.raises(WrongState) as caught:
            agent.tool_result("tc", "x", now=101.0)
        assert caught.value.state is before
    with pytest.raises(WrongState):
        live().start(metadata={}, now=101.0)


CALL = {"tool_call_id": "tc_8", "tool_name": "find_table"}
VALUES = {"variable_name": "n", "old_value": None, "new_value": 1, "updated_at": "2026", "tool_id": "t"}
SERVER_MESSAGES: list[tuple[dict[str, Any], dict[str, object], type]] = [
    ({"type": "audio_output", "audio": "//8="}, {"payload": b"\xff\xff"}, Audio),
    ({"type": "audio_output_clear"}, {}, Clear),
    ({"type": "dtmf_output", "digit": "5"}, {"digit": "5"}, Dtmf),
    (
        {"type": "client_tool_call", **CALL, "parameters": {"day": "Friday", "seats": 4}, "expects_response": True},
        {"id": "tc_8", "name": "find_table", "parameters": {"day": "Friday", "seats": 4}, "expects_response": True},
        ToolCall,
    ),
    (
        {"type": "client_tool_call", **CALL, "parameters": {}, "expects_response": False},
        {"parameters": {}, "expects_response": False},
        ToolCall,
    ),
    ({"type": "client_tool_call", **CALL}, {"parameters": {}, "expects_response": True}, ToolCall),
    (
        {"type": "turn_started", "turn": 1, "role": "user", "start_time": 0.4},
        {"id": "1", "role": "user"},
        TurnStarted,
    ),
    (
        {"type": "turn_output_text_delta", "turn": 2, "role": "assistant", "text": "Certainly, "},
        {"text": "Certainly, "},
        TextDelta,
    ),
    (
        {
            "type": "turn_ended",
            "turn": 2,
            "role": "assistant",
            "text": "Certainly, for two?",
            "interrupted": True,
            "start_time": 1.5,
            "end_time": 3.25,
            "eager_end_timestamp": 3.0,
            "tool_calls": [{"name": "t", "arguments": {}, "id": "tc_8", "dynamic_variable_updates": [VALUES]}],
        },
        {"id": "2", "role": "assistant", "text": "Certainly, for two?", "interrupted": True},
        TurnEnded,
    ),
    ({"type": "turn_ended", "turn": 3, "role": "user"}, {"id": "3", "text": "", "interrupted": False}, TurnEnded),
    ({"type": "turn_started", "turn": True, "role": "user"}, {"id": ""}, TurnStarted),
    ({"type": "sparkle", "n": 1}, {"event": "sparkle"}, Unknown),
    ({"event": "clear"}, {"event": ""}, Unknown),
    ({"type": "session_ready"}, {"event": "session_ready"}, Unknown),
    (
        {"type": "error", "code": "invalid_event", "message": "digit", "fatal": False},
        {"message": "invalid_event: digit", "fatal": False},
        ErrorMessage,
    ),
    ({"type": "error", "code": "agent_failed"}, {"message": "agent_failed", "fatal": False}, ErrorMessage),
    ({"type": "error"}, {"fatal": False}, ErrorMessage),
]


@pytest.mark.parametrize("unknown_field", [False, True])
@pytest.mark.parametrize(("message", "fields", "kind"), SERVER_MESSAGES, ids=range(len(SERVER_MESSAGES)))
def test_server_messages_become_events(
    message: dict[str, Any], fields: dict[str, object], kind: type, unknown_field: bool
) -> None:
    agent = live()
    if unknown_field:
        message = {**message, "trace": {"n": [1]}}
    agent.receive_data(frame(json.dumps(message, separators=(",", ":"))), 101.0)
    (event,) = drain(agent)
    assert type(event) is kind
    assert {name: getattr(event, name) for name in fields} == fields
    if not isinstance(event, Audio):
        assert getattr(event, "data") == message  # noqa: B009
    assert agent.malformed == 0


MALFORMED = [
    b"not json",
    b"[1]",
    b'{"type":"audio_output"}',
    b'{"type":"audio_output","audio":7}',
    b'{"type":"audio_output","audio":"@@"}',
    b'{"type":"audio_output","audio":"}',
    b'{"type":"audio_output","audio":"\xc3\xa9"}',
    b'{"type":"dtmf_output","digit":"A"}',
    b'{"type":"dtmf_output"}',
    b'{"type":"client_tool_call","tool_call_id":7,"tool_name":"x"}',
    b'{"type":"client_tool_call","tool_call_id":"","tool_name":"x"}',
    b'{"type":"client_tool_call","tool_call_id":"t","tool_name":""}',
    b'{"type":"client_tool_call","tool_call_id":"t"}',
    b'{"type":"client_tool_call","tool_call_id":"t","tool_name":"x","parameters":[1]}',
    b'{"type":"client_tool_call","tool_call_id":"' + b"t" * 257 + b'","tool_name":"x"}',
    b'{"type":"turn_started","turn":1,"role":"robot"}',
    b'{"type":"turn_output_text_delta","turn":1,"role":"assistant"}',
    b'{"type":"turn_ended","turn":1,"role":"user","text":[]}',
    b'{"type":"turn_started","turn":1e999,"role":"user"}',
    b'{"type":"zzz","deep":' + b"[" * 40 + b"]" * 40 + b"}",
    b'{"type":"zzz","deep":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"type":"zzz","deep":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_messages_are_told_and_counted_and_the_call_goes_on(data: bytes) -> None:
    agent = live()
    agent.receive_data(frame(data), 101.0)
    (event,) = drain(agent)
    assert isinstance(event, ErrorMessage)
    assert not event.fatal
    assert (agent.malformed, agent.state) == (1, State.LIVE)


UNREADABLE_CALLS: dict[str, tuple[bytes, str]] = {
    "a number beyond JSON": (
        b'{"type":"client_tool_call","tool_call_id":"t1","tool_name":"x","parameters":{"a":1e999}}',
        "too large",
    ),
    "nested too deeply": (
        b'{"type":"client_tool_call","tool_call_id":"t1","tool_name":"x","parameters":{"a":'
        + b"[" * 40
        + b"]" * 40
        + b"}}",
        "nested deeper than 24",
    ),
    "too long": (
        b'{"type":"client_tool_call","tool_call_id":"t1","tool_name":"x","parameters":{"a":"' + b"x" * 65_536 + b'"}}',
        "more than 65536",
    ),
    "no object": (b'{"type":"client_tool_call","tool_call_id":"t1","tool_name":"x","parameters":[1]}', "not an object"),
    "no name": (b'{"type":"client_tool_call","tool_call_id":"t1","tool_name":""}', "length"),
}


@pytest.mark.parametrize(("data", "problem"), UNREADABLE_CALLS.values(), ids=UNREADABLE_CALLS)
def test_a_tool_call_that_cannot_be_understood_is_answered_so_that_the_agent_goes_on(data: bytes, problem: str) -> None:
    agent = live()
    sent_json(agent)
    agent.receive_data(frame(data), 101.0)
    (event,) = drain(agent)
    assert isinstance(event, ErrorMessage)
    (answer,) = sent_json(agent)
    assert (answer["type"], answer["tool_call_id"], answer["is_error"]) == ("client_tool_result", "t1", True)
    assert answer["error_type"] == "invalid_arguments"
    assert problem in answer["result"]
    assert len(json.dumps(dict(event.data))) < 2_000 or problem == "not an object"


def test_one_that_expects_no_answer_gets_none() -> None:
    agent = live()
    sent_json(agent)
    data = b'{"type":"client_tool_call","tool_call_id":"t","tool_name":"","expects_response":false}'
    agent.receive_data(frame(data), 101.0)
    assert sent_json(agent) == []


def test_before_session_ready_audio_and_events_have_no_meaning() -> None:
    agent = opened()
    agent.start(metadata={}, now=100.3)
    for text in ('{"type":"audio_output","audio":"//8="}', '{"type":"audio_output_clear"}', READY % "mulaw_8000"):
        agent.receive_data(frame(text), 100.5)
    assert [type(event) for event in drain(agent)] == [Unknown, Unknown, Acked]


def test_a_session_with_another_format_is_told() -> None:
    agent = opened()
    agent.start(metadata={}, now=100.3)
    agent.receive_data(frame(READY % "pcm_16000"), 101.0)
    acked, error = drain(agent)
    assert isinstance(acked, Acked)
    assert isinstance(error, ErrorMessage)
    assert "session_ready: input_format is 'pcm_16000'" in error.message
    assert not error.fatal


@pytest.mark.parametrize("input_format", ["pcm_16000", "pcm_24000", "pcm_44100"])
def test_an_odd_pcm_byte_is_carried_over_and_void_after_clear(input_format: InputFormat) -> None:
    agent = live(input_format)
    for payload in ("AQID", "BA==", "BQ=="):
        agent.receive_data(frame(f'{{"type":"audio_output","audio":"{payload}"}}'), 101.0)
    agent.receive_data(frame('{"type":"audio_output_clear"}'), 101.0)
    agent.receive_data(frame('{"type": "audio_output", "audio": "Bgc="}'), 101.0)
    events = drain(agent)
    assert [event.payload for event in events if isinstance(event, Audio)] == [b"\1\2", b"\3\4", b"\6\7"]
    assert isinstance(events[2], Clear)


@pytest.mark.parametrize(
    ("code", "reason", "by"),
    [
        (1000, "", "agent"),
        (1000, "connection idle timeout", "idle"),
        (1008, "invalid_event", "error"),
        (1009, "", "error"),
        (1011, "agent failed", "error"),
    ],
)
def test_the_services_close_is_judged(code: int, reason: str, by: str) -> None:
    agent = live()
    agent.receive_data(close_frame(code, reason), 101.0)
    assert drain(agent) == [Closed(code, reason, by, False)]  # type: ignore[arg-type]
    assert agent.next_timer() is None


FATAL = '{"type":"error","code":"missing_dynamic_variables","message":"caller_name","fatal":true}'


@pytest.mark.parametrize("is_live", [False, True])
def test_a_fatal_error_waits_for_the_services_close_and_keeps_its_code(is_live: bool) -> None:
    agent = live() if is_live else opened()
    if not is_live:
        agent.start(metadata={}, now=100.5)
        agent.data_to_send(100.5)
    agent.receive_data(frame(FATAL) + frame('{"type":"audio_output","audio":"//8="}'), 101.0)
    error, _ = drain(agent)
    assert isinstance(error, ErrorMessage)
    assert (error.message, error.fatal) == ("missing_dynamic_variables: caller_name", True)
    assert [opcode for opcode, _ in sent(agent)] == []
    assert agent.next_timer() == 103.0
    agent.receive_data(close_frame(1008, "bye"), 101.5)
    assert drain(agent) == [Closed(1008, "bye", "error", False)]


def test_a_service_that_does_not_close_after_a_fatal_error_is_left() -> None:
    agent = live()
    agent.receive_data(frame(FATAL) + frame(FATAL), 101.0)
    drain(agent)
    agent.on_timer(103.0)
    assert sent(agent) == [(8, struct.pack("!H", 1002) + b"missing_dynamic_variables: caller_name")]
    agent.on_timer(105.0)
    assert drain(agent) == [Closed(1002, "missing_dynamic_variables: caller_name", "error", False)]


def test_a_normal_close_after_a_fatal_error_is_an_error() -> None:
    agent = live()
    agent.receive_data(frame(FATAL) + frame('{"type":"audio_output","audio":"/w=="}') + close_frame(1000), 101.0)
    assert drain(agent)[-1] == Closed(1000, "", "error", False)


def test_an_error_before_session_ready_without_the_word_fatal_is_fatal() -> None:
    agent = opened()
    agent.start(metadata={}, now=100.5)
    agent.receive_data(frame('{"type":"error","message":"no"}'), 101.0)
    (error,) = drain(agent)
    assert isinstance(error, ErrorMessage)
    assert error.fatal


def test_session_ready_has_ten_seconds() -> None:
    agent = opened()
    agent.start(metadata={}, now=101.0)
    agent.data_to_send(101.0)
    assert agent.next_timer() == 111.0
    agent.on_timer(111.0)
    assert sent(agent) == [(8, struct.pack("!H", 1002) + b"no session_ready within 10 s")]
    agent.on_timer(113.0)
    assert drain(agent) == [Closed(1002, "no session_ready within 10 s", "error", False)]


def test_a_refused_handshake_masks_the_key() -> None:
    agent = new()
    agent.connected(100.1)
    agent.data_to_send(100.1)
    body = f"bad key {KEY}".encode()
    agent.receive_data(b"HTTP/1.1 401 U\r\nContent-Length: %d\r\n\r\n" % len(body) + body, 100.3)
    response, closed = drain(agent)
    assert isinstance(response, HttpResponse)
    assert (response.status, response.body) == (401, "bad key ***")
    assert isinstance(closed, Closed)
    assert closed.by == "error"


def make(version: str) -> AgentConnection:
    return connect(version, base_url="wss://h", agent_id="a", api_key=KEY, rng=random.Random(1), now=0.0)


def test_the_version_chooses_the_wire() -> None:
    made: Mapping[str, type] = {version: type(make(version)) for version in SPOKEN_VERSIONS}
    assert made == {"2025-04-16": LineConnection, "2026-08-14": ManagedConnection}
    assert {version: make(version).version for version in SPOKEN_VERSIONS} == dict(zip(made, made, strict=True))
    with pytest.raises(UnknownVersion, match="2025-04-16, 2026-08-14"):
        make("2024-06-10")


def test_line_has_no_client_tools() -> None:
    agent = make("2025-04-16")
    with pytest.raises(NotSupported, match="tool_result"):
        agent.tool_result("tc", "x", now=0.0)
