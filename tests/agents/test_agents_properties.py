"""Properties of both clients: the short cuts agree with JSON, hostile bytes never raise, one Closed ends it."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.agents.close import judge
from cordboard.agents.connection import SPOKEN_VERSIONS, AgentConnection, connect
from cordboard.agents.events import Closed
from cordboard.agents.json_messages import Malformed, decode
from cordboard.agents.line_messages import media_input, media_output, media_payload
from cordboard.agents.managed_messages import audio_input, audio_output, audio_payload, tool_result
from cordboard.agents.state import State

from .agent_peer import accept, drain

SETTINGS = settings(max_examples=80, deadline=None)


@SETTINGS
@given(st.text(max_size=20), st.binary(max_size=400))
def test_media_input_equals_json(stream_id: str, payload: bytes) -> None:
    expected: dict[str, Any] = {"event": "media_input"}
    if stream_id:
        expected["stream_id"] = stream_id
    expected["media"] = {"payload": base64.b64encode(payload).decode()}
    assert json.loads(media_input(stream_id).encode(payload)) == expected


@SETTINGS
@given(st.binary(max_size=400), st.booleans())
def test_managed_audio_goes_both_ways_like_json(payload: bytes, compact: bool) -> None:
    text = base64.b64encode(payload).decode()
    assert json.loads(audio_input().encode(payload)) == {"type": "audio_input", "audio": text}
    message = {"type": "audio_output", "audio": text}
    data = json.dumps(message, separators=(",", ":") if compact else None).encode()
    assert audio_output().payload(data) == audio_payload(decode(data)) == payload


@SETTINGS
@given(st.text(alphabet='AZaz09+/=\\"\n}é ', max_size=24), st.booleans(), st.integers(0, 4))
def test_the_managed_fast_path_gives_what_json_gives_or_nothing(payload: str, compact: bool, cut: int) -> None:
    text = json.dumps({"type": "audio_output", "audio": payload}, separators=(",", ":") if compact else None)
    data = (text[: len(text) - cut] + '"}').encode() if cut else text.encode()
    fast = audio_output().payload(data)
    try:
        slow: bytes | None = audio_payload(decode(data))
    except Malformed:
        slow = None
    assert fast is None or fast == slow


@SETTINGS
@given(st.text(max_size=2100), st.booleans(), st.none() | st.text(max_size=200))
def test_a_tool_result_fits_the_wire_or_is_refused(result: str, is_error: bool, error_type: str | None) -> None:
    try:
        message = tool_result("tc_1", result, is_error, error_type)
    except ValueError:
        assert error_type is not None
        assert len(error_type.encode()) > 256
        return
    assert len(message["result"].encode()) <= 4096
    fits = len(result.encode()) <= 4096
    assert message["is_error"] is (is_error or not fits)
    assert message.get("error_type") == (error_type if fits else "result_too_large")


PAYLOADS = st.one_of(
    st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode()),
    st.text(alphabet='AZaz09+/=\\"\n}é ', max_size=24),
)


@SETTINGS
@given(st.text(max_size=8), PAYLOADS, st.booleans(), st.booleans())
def test_the_fast_path_gives_what_json_gives_or_nothing(
    stream_id: str, payload: str, compact: bool, escaped: bool
) -> None:
    message = {"event": "media_output", "stream_id": stream_id, "media": {"payload": payload}}
    text = json.dumps(message, separators=(",", ":") if compact else None)
    if not escaped:
        text = text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    data = text.encode("utf-8", "surrogatepass")
    fast = media_output(stream_id).payload(data)
    try:
        slow: bytes | None = media_payload(decode(data))
    except Malformed:
        slow = None
    assert fast is None or fast == slow


@SETTINGS
@given(st.text(max_size=8), st.binary(min_size=1, max_size=200), st.booleans())
def test_the_fast_path_takes_what_it_is_made_for(stream_id: str, payload: bytes, compact: bool) -> None:
    text = base64.b64encode(payload).decode()
    message = {"event": "media_output", "stream_id": stream_id, "media": {"payload": text}}
    data = json.dumps(message, separators=(",", ":") if compact else None).encode()
    assert media_output(stream_id).payload(data) == payload


def connection(version: str = "2025-04-16") -> AgentConnection:
    return connect(version, base_url="ws://h", agent_id="a", api_key="k", rng=random.Random(3), now=0.0)


def text_frame(data: bytes) -> bytes:
    return b"\x81\x7f" + len(data).to_bytes(8, "big") + data


KEYS = ["event", "type", "media", "payload", "turn_ended", "role", "metadata", "dtmf", "text"]
KEYS += ["audio", "digit", "turn", "tool_call_id", "tool_name", "parameters", "fatal", "code", "call_id"]
WORDS = ["media_output", "turn_ended", "dtmf", "custom", "error", "ack", "user", "5"]
WORDS += ["audio_output", "client_tool_call", "dtmf_output", "session_ready", "turn_output_text_delta", "AQID"]
ACCEPTED = {
    "2025-04-16": b'{"event":"ack","stream_id":"s"}',
    "2026-08-14": b'{"type":"session_ready","call_id":"c"}',
}

CHUNKS = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=30).map(text_frame),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.dictionaries(
                st.sampled_from(KEYS),
                inner | st.sampled_from(WORDS),
                max_size=4,
            ),
            max_leaves=8,
        ).map(lambda value: text_frame(json.dumps(value).encode())),
    ),
    max_size=12,
)


@SETTINGS
@given(st.sampled_from([*SPOKEN_VERSIONS]), st.integers(0, 2), CHUNKS, st.randoms(use_true_random=False))
def test_hostile_bytes_never_raise_and_one_closed_comes_last(
    version: str, stage: int, chunks: list[bytes], rng: random.Random
) -> None:
    line = connection(version)
    if stage == 0:
        line.connected(0.0)
    else:
        accept(line)
    if stage == 2:
        line.start(metadata={}, now=0.1)
        line.receive_data(text_frame(ACCEPTED[version]), 0.2)
    data = b"".join(chunks)
    while data:
        size = rng.randint(1, 40)
        line.receive_data(data[:size], 0.3)
        line.data_to_send(0.3)
        data = data[size:]
    line.receive_eof(0.4)
    for _ in range(5):  # a fatal error leaves a close hand-shake to time out
        due = line.next_timer()
        if due is not None:
            line.on_timer(due)
    events = drain(line)
    assert [type(event) for event in events].count(Closed) == 1
    assert type(events[-1]) is Closed
    assert line.state is State.CLOSED
    assert line.next_timer() is None


@SETTINGS
@given(
    st.integers(1000, 4999),
    st.sampled_from(["", "call ended by agent", "Call ended by agent, reason: x", "connection idle timeout", "other"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_close_is_expected_exactly_when_we_asked(
    code: int, reason: str, asked: bool, failed: bool, refused: bool
) -> None:
    closed = judge(code, reason, asked=asked, failed=failed, refused=refused)
    assert closed.expected is asked
    assert (closed.by == "us") is asked
    assert (closed.code, closed.reason) == (code, reason)
