"""The service's side of the wire: messages as the documents print them, and hostile input."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line import wire
from cordboard.line.script import Script, parse
from cordboard.line.steps import STEPS
from cordboard.line.tables import ScriptError
from cordboard.line.wire import WireFault

# Reference cartesia-protocols §1.3, one line per message.
GOLDEN = [
    (wire.media_output(b"\xff\xfe"), '{"event":"media_output","stream_id":"sid_9b0","media":{"payload":"//4="}}'),
    ({"event": "clear"}, '{"event":"clear","stream_id":"sid_9b0"}'),
    ({"event": "dtmf", "dtmf": "5"}, '{"event":"dtmf","stream_id":"sid_9b0","dtmf":"5"}'),
    (
        {"event": "custom", "metadata": {"stage": "checkout"}},
        '{"event":"custom","stream_id":"sid_9b0","metadata":{"stage":"checkout"}}',
    ),
    (
        wire.turn_started("t-3", "assistant"),
        '{"event":"turn_started","stream_id":"sid_9b0","turn_started":{"id":"t-3","role":"assistant"}}',
    ),
    (
        wire.text_delta("Certainly, "),
        '{"event":"turn_output_text_delta","stream_id":"sid_9b0","turn_output_text_delta":{"text":"Certainly, "}}',
    ),
    (
        wire.turn_ended("t-3", "assistant", "Certainly, for two?", interrupted=False),
        '{"event":"turn_ended","stream_id":"sid_9b0","turn_ended":{"id":"t-3","role":"assistant",'
        '"text":"Certainly, for two?","was_interrupted":false,"tool_calls":[]}}',
    ),
    (
        wire.error("no such agent"),
        '{"type":"error","status_code":400,"error_code":"invalid_event","title":"Invalid message",'
        '"message":"no such agent"}',
    ),
]


@pytest.mark.parametrize(("message", "text"), GOLDEN)
def test_messages_have_the_documented_shape(message: wire.Message, text: str) -> None:
    assert wire.encode(message, "sid_9b0") == text


def test_the_ack_has_the_documented_shape() -> None:
    text = (
        '{"event":"start","config":{"input_format":"mulaw_8000","voice_id":"1111"},'
        '"agent":{"introduction":"Trattoria Nove, good evening."},"metadata":{"from":"+390698765432","k":[1]}}'
    )
    start = wire.parse_start(wire.decode(text), "agent_1")
    assert start.introduction == "Trattoria Nove, good evening."
    assert start.metadata == {"to": "agent_1", "from": "+390698765432", "k": [1]}
    assert wire.encode(wire.ack(start, "sid_9b0", "ac_01ab"), "sid_9b0") == (
        '{"event":"ack","stream_id":"sid_9b0","config":{"input_format":"mulaw_8000","voice_id":"1111"},'
        '"agent":{"introduction":"Trattoria Nove, good evening."},"call_id":"ac_01ab"}'
    )


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "stream_id",
                    "config",
                    "input_format",
                    "agent",
                    "introduction",
                    "metadata",
                    "media",
                    "payload",
                    "dtmf",
                    "output_audio_delivery",
                ]
            ),
            inner | st.sampled_from(["start", "mulaw_8000", "as_available", "//8=", "5"]),
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans())
def test_hostile_messages_are_faults_and_nothing_else(value: Any, is_start: bool) -> None:
    if is_start and isinstance(value, dict):
        value = {**value, "event": "start"}
    try:
        message = wire.decode(json.dumps(value))
    except WireFault:
        assert not isinstance(value, dict)
        return
    for read in (lambda m: wire.parse_start(m, "a"), wire.media_payload, wire.dtmf_digit, wire.custom_metadata):
        try:
            read(message)
        except WireFault:
            continue


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_garbage_is_a_fault(data: bytes | str) -> None:
    with suppress(WireFault):
        assert isinstance(wire.decode(data), dict)


WORDS = [
    "agents",
    "a",
    "greeting",
    "steps",
    "wait",
    "say",
    "tone",
    "hz",
    "seconds",
    "tool",
    "url",
    "drop",
    "code",
    "end",
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*WORDS, "[", "]", "[[", "]]", "{", "}", "=", ".", '"x"', "1", "true", "\n", ","]), max_size=25
    )
)
def test_any_script_is_read_or_refused(words: list[str]) -> None:
    with suppress(ScriptError):
        assert isinstance(parse(" ".join(words), Path()), Script)


STEP_VALUES = st.one_of(
    st.integers(-2, 2000).map(str),
    st.sampled_from(
        [
            "true",
            '""',
            '"x"',
            "[]",
            "[1]",
            "{}",
            "1.5",
            "inf",
            "nan",
            "{code = 1011}",
            '{url = "http://[x"}',
            "{hz = 440, seconds = 1}",
            '{dtmf = "1"}',
            "2026-01-01",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*STEPS, "other"]), STEP_VALUES)
def test_any_step_is_read_or_refused_by_name(key: str, value: str) -> None:
    told = ""
    try:
        script = parse(f"[[agents.a.steps]]\n{key} = {value}\n", Path())
    except ScriptError as exc:
        told = str(exc)
    else:
        assert len(script.agents["a"].steps) == 1
    assert not told or told.startswith("agents.a.steps[1]")


def test_half_a_surrogate_pair_cannot_be_spoken() -> None:
    start = wire.parse_start(wire.decode('{"event":"start","agent":{"introduction":"a\\ud800b"}}'), "a")
    assert start.introduction == "a?b"
