"""The service's side of the Managed wire: messages as the documents print them, and hostile input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.agents.managed_messages import BadVariable, dynamic_variables
from cordboard.line import wire
from cordboard.line.script import Agent
from cordboard.line.speech import FORMATS
from cordboard.line.tool import ClientToolResult
from cordboard.line.wire import Start, ToolAnswer, WireFault
from cordboard.line.wire_managed import ManagedWire


class Clock:
    """Seconds that the test moves."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


def managed(clock: Clock | None = None, *, by_token: bool = False, **keys: Any) -> ManagedWire:
    return ManagedWire(Agent("agent_1", **keys), by_token=by_token, clock=clock or Clock())


def begin(service: ManagedWire) -> Start:
    start = service.parse_start({"type": "session_create", "audio": {"input_format": "mulaw_8000"}})
    service.outgoing(wire.ack(start, "sid_1", "ac_77"))
    return start


def test_session_create_as_documented() -> None:
    text = (
        '{"type":"session_create","audio":{"input_format":"mulaw_8000","output_delivery":"as_available"},'
        '"dynamic_variables":{"caller_name":"Mina","tier":2}}'
    )
    service = managed()
    start = service.parse_start(wire.decode(text))
    assert (start.input_format, start.delivery) == ("mulaw_8000", "as_available")
    assert start.metadata == {"caller_name": "Mina", "tier": 2}
    ready = service.outgoing(wire.ack(start, "sid_1", "ac_77"))
    assert ready is not None
    assert service.encode(ready, "sid_1") == (
        '{"type":"session_ready","call_id":"ac_77","agent_id":"agent_1","agent_version_id":"agv_script",'
        '"audio":{"input_format":"mulaw_8000","output_delivery":"as_available"}}'
    )


@pytest.mark.parametrize("input_format", FORMATS)
def test_every_documented_format_is_taken_and_the_default_delivery_is_the_agents(input_format: str) -> None:
    service = managed()
    start = service.parse_start({"type": "session_create", "audio": {"input_format": input_format}})
    ready = service.outgoing(wire.ack(start, "s", "c"))
    assert ready is not None
    assert ready["audio"] == {"input_format": input_format, "output_delivery": "speaking_pace"}


GOLDEN = [
    (wire.media_output(b"\xff\xfe"), '{"type":"audio_output","audio":"//4="}'),
    ({"event": "clear"}, '{"type":"audio_output_clear"}'),
    ({"event": "dtmf", "dtmf": "5"}, '{"type":"dtmf_output","digit":"5"}'),
    (
        {"type": "error", "code": "invalid_event", "message": "m", "fatal": True},
        '{"type":"error","code":"invalid_event","fatal":true,"message":"m"}',
    ),
    (
        wire.error("slow", "agent_unreachable", 503),
        '{"type":"error","code":"agent_failed","fatal":false,"message":"slow"}',
    ),
]


@pytest.mark.parametrize(("message", "text"), GOLDEN)
def test_messages_have_the_documented_shape(message: wire.Message, text: str) -> None:
    service = managed()
    native = service.outgoing(message)
    assert native is not None
    assert service.encode(native, "sid_1") == text


def test_a_tool_call_and_a_fault_have_the_documented_shape() -> None:
    service = managed()
    assert service.encode(service.tool_call("tc_8", "find_table", {"seats": 2}, True), "s") == (
        '{"type":"client_tool_call","tool_call_id":"tc_8","tool_name":"find_table","parameters":{"seats":2},'
        '"expects_response":true}'
    )
    assert service.encode(service.error("no", "invalid_event", fatal=True), "s") == (
        '{"type":"error","code":"invalid_event","message":"no","fatal":true}'
    )


def test_turns_count_both_roles_from_one_and_carry_times_and_tool_calls() -> None:
    clock = Clock()
    service = managed(clock)
    begin(service)
    clock.now = 51.5
    assert service.outgoing(wire.turn_started("turn_9", "assistant")) == {
        "type": "turn_started",
        "turn": 1,
        "role": "assistant",
        "start_time": 1.5,
    }
    assert service.outgoing(wire.text_delta("Certainly, ")) == {
        "type": "turn_output_text_delta",
        "turn": 1,
        "role": "assistant",
        "text": "Certainly, ",
    }
    clock.now = 52.0
    user = service.outgoing(wire.turn_started("turn_10", "user"))
    assert user is not None
    assert (user["turn"], user["start_time"]) == (2, 2.0)
    clock.now = 52.25
    service.tool_finished(ClientToolResult("tc_8", "find_table", {"seats": 2}, "none", False, ""))
    assert service.outgoing(wire.turn_ended("turn_10", "user", "", interrupted=False)) == {
        "type": "turn_ended",
        "turn": 2,
        "role": "user",
        "text": "",
        "interrupted": False,
        "start_time": 2.0,
        "end_time": 2.25,
        "tool_calls": [],
    }
    clock.now = 53.25
    ended = service.outgoing(wire.turn_ended("turn_9", "assistant", "Certainly,", interrupted=True))
    assert ended is not None
    assert (ended["turn"], ended["interrupted"], ended["start_time"], ended["end_time"]) == (1, True, 1.5, 3.25)
    assert ended["tool_calls"] == [
        {
            "name": "find_table",
            "arguments": {"seats": 2},
            "result": "none",
            "id": "tc_8",
            "dynamic_variable_updates": [],
        }
    ]
    late = service.outgoing(wire.turn_ended("turn_11", "assistant", "", interrupted=False))
    assert late is not None
    assert (late["turn"], late["tool_calls"]) == (3, [])


@pytest.mark.parametrize(
    "message",
    [
        {"event": "custom", "metadata": {}},
        {"event": "transfer_call", "transfer": {"target_phone_number": "+1"}},
        {"event": "sparkle"},
    ],
)
def test_what_has_no_counterpart_is_left_out(message: wire.Message) -> None:
    assert managed().outgoing(message) is None


INCOMING: list[tuple[dict[str, Any], Any]] = [
    ({"type": "audio_input", "audio": "f39/"}, {"event": "media_input", "media": {"payload": "f39/"}}),
    ({"type": "dtmf_input", "digit": "4"}, {"event": "dtmf", "dtmf": "4"}),
    (
        {"type": "client_tool_result", "tool_call_id": "tc_8", "result": '{"slots":["19:30"]}', "is_error": False},
        ToolAnswer("tc_8", '{"slots":["19:30"]}', False, ""),
    ),
    (
        {
            "type": "client_tool_result",
            "tool_call_id": "tc_8",
            "result": "no",
            "is_error": True,
            "error_type": "ToolError",
        },
        ToolAnswer("tc_8", "no", True, "ToolError"),
    ),
    ({"type": "client_tool_result", "tool_call_id": "t", "result": ""}, ToolAnswer("t", "", False, "")),
    (
        {"type": "client_tool_result", "tool_call_id": "t", "result": "é" * 2048},
        ToolAnswer("t", "é" * 2048, False, ""),
    ),
    (
        {"type": "client_tool_result", "tool_call_id": "t", "result": "é" * 2048 + "x"},
        ToolAnswer("t", "the result is larger than 4096 bytes", True, "result_too_large"),
    ),
]


@pytest.mark.parametrize(("message", "expected"), INCOMING, ids=range(len(INCOMING)))
def test_messages_of_the_client(message: dict[str, Any], expected: Any) -> None:
    assert managed().incoming(message) == expected


AUDIO = {"input_format": "mulaw_8000"}
REFUSED_STARTS: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "audio_input", "audio": "//8="}, "invalid_event", "first message"),
    ({"event": "start"}, "invalid_event", "first message"),
    ({}, "invalid_event", "first message"),
    ({"type": "session_create"}, "invalid_event", "audio is not an object"),
    ({"type": "session_create", "audio": {}}, "invalid_event", "input_format"),
    ({"type": "session_create", "audio": {"input_format": "pcm_8000"}}, "invalid_event", "input_format"),
    ({"type": "session_create", "audio": {"input_format": []}}, "invalid_event", "input_format"),
    ({"type": "session_create", "audio": {**AUDIO, "output_delivery": "warp"}}, "invalid_event", "delivery"),
    ({"type": "session_create", "audio": {**AUDIO, "voice_id": "v"}}, "invalid_event", "'voice_id'"),
    ({"type": "session_create", "audio": AUDIO, "metadata": {}}, "invalid_event", "'metadata'"),
    ({"type": "session_create", "audio": AUDIO, "dynamic_variables": []}, "invalid_dynamic_variables", "object"),
    (
        {"type": "session_create", "audio": AUDIO, "dynamic_variables": {f"v{n}": n for n in range(65)}},
        "invalid_dynamic_variables",
        "64",
    ),
    *(
        (
            {"type": "session_create", "audio": AUDIO, "dynamic_variables": {name: value}},
            "invalid_dynamic_variables",
            "dynamic variable",
        )
        for name, value in (("a-b", 1), ("", 1), ("n" * 65, 1), ("system__x", 1), ("secret__x", 1), ("a", None))
    ),
    (
        {"type": "session_create", "audio": AUDIO, "dynamic_variables": {"a": {"b": 1}}},
        "invalid_dynamic_variables",
        "dynamic variable 'a'",
    ),
]


@pytest.mark.parametrize(("message", "code", "told"), REFUSED_STARTS, ids=range(len(REFUSED_STARTS)))
def test_what_is_documented_as_rejected_is_rejected(message: dict[str, Any], code: str, told: str) -> None:
    with pytest.raises(WireFault, match=told) as caught:
        managed().parse_start(message)
    assert caught.value.code == code


def test_rules_that_depend_on_the_agent_or_the_credential() -> None:
    message = {"type": "session_create", "audio": {**AUDIO, "output_delivery": "as_available"}}
    with pytest.raises(WireFault, match="background sound"):
        managed(background_sound=True).parse_start(message)
    with pytest.raises(WireFault, match="missing: b") as caught:
        managed(variables=("a", "b")).parse_start({**message, "dynamic_variables": {"a": 1}})
    assert caught.value.code == "missing_dynamic_variables"
    with pytest.raises(WireFault) as caught:
        managed(by_token=True).parse_start({**message, "dynamic_variables": {"a": 1}})
    assert caught.value.code == "dynamic_variables_not_allowed"
    assert managed(by_token=True).parse_start({**message, "dynamic_variables": {}}).metadata == {}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "audio_input"},
        {"type": "audio_input", "audio": "@"},
        {"type": "audio_input", "audio": "é"},
        {"type": "dtmf_input", "digit": "A"},
        {"type": "dtmf_input", "digit": "12"},
        {"type": "dtmf_input", "digit": "1\n"},
        {"type": "dtmf_input"},
        {"type": "client_tool_result", "result": "x"},
        {"type": "client_tool_result", "tool_call_id": "", "result": "x"},
        {"type": "client_tool_result", "tool_call_id": "t" * 257, "result": "x"},
        {"type": "client_tool_result", "tool_call_id": "t", "result": {"a": 1}},
        {"type": "client_tool_result", "tool_call_id": "t", "result": "x", "is_error": 1},
        {"type": "client_tool_result", "tool_call_id": "t", "result": "x", "error_type": "e" * 257},
        {"type": "session_create", "audio": AUDIO},
        {"type": "text_input", "text": "hello"},
        {"event": "media_input", "media": {"payload": "//8="}},
        {},
    ],
)
def test_events_that_the_documents_do_not_allow_are_faults(message: dict[str, Any]) -> None:
    with pytest.raises(WireFault) as caught:
        managed().incoming(message)
    assert caught.value.code == "invalid_event"


KEYS = ["type", "audio", "digit", "input_format", "output_delivery", "dynamic_variables", "tool_call_id", "result"]
NAMES = ["session_create", "audio_input", "dtmf_input", "client_tool_result", "mulaw_8000", "as_available", "//8=", "5"]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYS, "is_error", "error_type"]), inner | st.sampled_from(NAMES), max_size=6
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), st.sampled_from(NAMES[:4]))
def test_hostile_messages_are_faults_and_nothing_else(fields: dict[str, Any], name: str) -> None:
    message = wire.decode(json.dumps({**fields, "type": name}))
    try:
        start = managed().parse_start(message)
    except WireFault:
        pass
    else:
        assert start.input_format in FORMATS
    try:
        taken = managed().incoming(message)
    except WireFault:
        pass
    else:
        assert isinstance(taken, ToolAnswer) or taken["event"] in ("media_input", "dtmf")


SCALARS = st.text(max_size=6) | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VARIABLE = st.sampled_from(["a", "A_9", "system__x", "secret__x", "secret_", "a-b", "", "é", "n" * 64, "n" * 65])


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(VARIABLE | st.text(max_size=4), SCALARS | VALUES, max_size=4))
def test_client_and_service_agree_on_what_a_dynamic_variable_is(metadata: dict[str, Any]) -> None:
    try:
        variables: dict[str, Any] | None = dict(dynamic_variables(metadata))
    except BadVariable:
        variables = None
    message = {"type": "session_create", "audio": AUDIO, "dynamic_variables": metadata}
    try:
        taken: dict[str, Any] | None = dict(managed().parse_start(message).metadata)
    except WireFault:
        taken = None
    assert variables == taken
