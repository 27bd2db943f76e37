"""The wire of agent code against golden messages made from the reference (§3), and against nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.harness import messages
from cordboard.line.harness.messages import (
    AgentFault,
    CallRejected,
    Config,
    Custom,
    Dtmf,
    EndCall,
    Failed,
    Note,
    Output,
    ResponseEnd,
    Say,
    Transfer,
    Unknown,
)

GOLDEN: list[tuple[str, Output]] = [
    (
        '{"type":"message","content":"For two, ","interruptible":true,"responding_to":"e4"}',
        Say("e4", "For two, ", True),
    ),
    ('{"type":"message","content":"x","interruptible":false,"responding_to":null}', Say(None, "x", False)),
    ('{"type":"message","content":"x"}', Say(None, "x", True)),
    (
        '{"type":"tool_call","name":"find_slot","arguments":{"size":2},"result":null,"id":null,"responding_to":"e4"}',
        Note("e4", "tool_call", {"name": "find_slot", "arguments": {"size": 2}, "result": None, "id": None}),
    ),
    (
        '{"type":"log_metric","name":"agent_turn_ms","value":812.4,"responding_to":"e4"}',
        Note("e4", "log_metric", {"name": "agent_turn_ms", "value": 812.4}),
    ),
    (
        '{"type":"log_event","event":"order","metadata":{"level":"info","message":"placed"},"responding_to":"e4"}',
        Note("e4", "log_event", {"event": "order", "metadata": {"level": "info", "message": "placed"}}),
    ),
    (
        '{"type":"config","tts":{"voice_id":"v-es","pronunciation_dict_id":null,"language":"es"},'
        '"stt":{"language":"es"},"language":"es","responding_to":"e4"}',
        Config("e4", {"tts.voice_id": "v-es", "tts.language": "es", "stt.language": "es", "language": "es"}),
    ),
    ('{"type":"config","tts":null,"stt":null,"language":null,"responding_to":"e4"}', Config("e4", {})),
    ('{"type":"custom","metadata":{"stage":"pay"},"responding_to":"e4"}', Custom("e4", {"stage": "pay"})),
    ('{"type":"dtmf","button":"5","responding_to":"e4"}', Dtmf("e4", "5")),
    (
        '{"type":"transfer","transfer_destination":{"type":"sip_uri","value":"sip:desk@pbx.example"},'
        '"responding_to":"e4","interruptible":true}',
        Transfer("e4", "sip:desk@pbx.example", True),
    ),
    (
        '{"type":"transfer","transfer_destination":{"type":"phone","value":"+1415"},"interruptible":false}',
        Transfer(None, "+1415", False),
    ),
    ('{"type":"transfer","target_phone_number":"+1415","responding_to":"e4"}', Transfer("e4", "+1415", True)),
    (
        '{"type":"end_call","reason":"agent_ended","responding_to":"e4","interruptible":true}',
        EndCall("e4", "agent_ended", True),
    ),
    ('{"type":"end_call","reason":null}', EndCall(None, "", True)),
    ('{"type":"response_end","responding_to":"e4"}', ResponseEnd("e4")),
    ('{"type":"error","content":"Error in get_agent for c"}', Failed(None, "Error in get_agent for c")),
    ('{"type":"brand_new","x":1,"responding_to":"e4"}', Unknown("e4", "brand_new")),
    ('{"type":"dtmf","button":"5","responding_to":"e4","brand_new":[1]}', Dtmf("e4", "5")),
]


@pytest.mark.parametrize(("text", "output"), GOLDEN)
def test_golden_outputs(text: str, output: Output) -> None:
    assert messages.decode(messages.parse(text)) == output


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"x"',
        "[" * 5000,
        '{"type":"message"}',
        '{"type":"message","content":1}',
        '{"type":"message","content":"x","interruptible":"no"}',
        '{"type":"message","content":"x","responding_to":4}',
        json.dumps({"type": "message", "content": "x" * 10_001}),
        '{"type":"dtmf","button":"12"}',
        '{"type":"dtmf","button":""}',
        '{"type":"dtmf","button":"A"}',
        '{"type":"custom"}',
        '{"type":"custom","metadata":[]}',
        '{"type":"transfer"}',
        '{"type":"transfer","transfer_destination":"+1415"}',
        '{"type":"transfer","transfer_destination":{"type":"fax","value":"+1415"}}',
        '{"type":"transfer","transfer_destination":{"type":"phone","value":"sip:a@b"}}',
        '{"type":"transfer","transfer_destination":{"type":"sip_uri","value":"+1415"}}',
        '{"type":"transfer","transfer_destination":{"type":"phone","value":"+1\\r\\n415"}}',
        '{"type":"end_call","reason":5}',
        '{"type":"log_event","metadata":{}}',
        '{"type":"log_metric","value":1}',
        '{"type":"tool_call"}',
        '{"type":"error"}',
    ],
)
def test_what_the_protocol_does_not_allow(text: str) -> None:
    with pytest.raises(AgentFault):
        messages.decode(messages.parse(text))


def test_a_binary_message_is_a_fault() -> None:
    with pytest.raises(AgentFault):
        messages.parse(b"{}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["content", "interruptible", "responding_to", "button", "metadata", "name", "reason", "transfer_destination", "tts"]
)
TYPES = st.sampled_from(["message", "dtmf", "end_call", "transfer", "custom", "config", "log_event", "error", None])


@settings(max_examples=150, deadline=None)
@given(kind=TYPES, fields=st.dictionaries(KEYS, JSON))
def test_any_fields_are_an_output_or_a_fault(kind: str | None, fields: dict[str, Any]) -> None:
    try:
        output = messages.decode(messages.parse(json.dumps({**fields, "type": kind})))
    except AgentFault:
        return
    assert isinstance(output, Output)


@settings(max_examples=150, deadline=None)
@given(status=st.integers(100, 599), body=st.one_of(JSON.map(json.dumps), st.text(max_size=20)))
def test_any_answer_is_an_opening_or_a_fault(status: int, body: str) -> None:
    try:
        opening = messages.opening(status, body)
    except CallRejected:
        assert status == 403
    except AgentFault:
        return
    else:
        assert status == 200
        assert opening.path.startswith("/")


def test_golden_inputs() -> None:
    """Each row of §3.3, with an id."""
    made = [
        messages.user_state("speaking", "e1"),
        messages.transcript("a table for two", "e2"),
        messages.dtmf("7", "e3"),
        messages.user_state("idle", "e4"),
        messages.agent_state("speaking", "e5"),
        messages.agent_speech("Certainly,", "e6"),
        messages.agent_state("idle", "e7"),
        messages.custom({"k": 1}, "e8"),
        messages.validation_error("no such type", "e9"),
    ]
    golden = """
{"type":"user_state","value":"speaking","event_id":"e1"}
{"type":"message","content":"a table for two","event_id":"e2"}
{"type":"dtmf","button":"7","event_id":"e3"}
{"type":"user_state","value":"idle","event_id":"e4"}
{"type":"agent_state","value":"speaking","event_id":"e5"}
{"type":"agent_speech","content":"Certainly,","event_id":"e6"}
{"type":"agent_state","value":"idle","event_id":"e7"}
{"type":"custom","metadata":{"k":1},"event_id":"e8"}
{"type":"validation_error","error_message":"no such type","error_type":"invalid_message","event_id":"e9"}
"""
    assert made == [json.loads(line) for line in golden.split("\n") if line]
