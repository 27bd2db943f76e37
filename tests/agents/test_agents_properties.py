"""Properties of the Line client: the short cuts agree with JSON, hostile bytes never raise, one Closed ends it."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.agents.close import judge
from cordboard.agents.events import AgentEvent, Closed
from cordboard.agents.json_messages import Malformed, decode
from cordboard.agents.line import LineConnection
from cordboard.agents.line_messages import media_input, media_output, media_payload
from cordboard.agents.state import State

SETTINGS = settings(max_examples=80, deadline=None)


@SETTINGS
@given(st.text(max_size=20), st.binary(max_size=400))
def test_media_input_equals_json(stream_id: str, payload: bytes) -> None:
    expected: dict[str, Any] = {"event": "media_input"}
    if stream_id:
        expected["stream_id"] = stream_id
    expected["media"] = {"payload": base64.b64encode(payload).decode()}
    assert json.loads(media_input(stream_id).encode(payload)) == expected


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


def connection() -> LineConnection:
    return LineConnection(base_url="ws://h", agent_id="a", api_key="k", rng=random.Random(3), now=0.0)


def open_socket(line: LineConnection) -> None:
    line.connected(0.0)
    request = line.data_to_send(0.0)[0]
    key = next(row.split(b": ")[1] for row in request.split(b"\r\n") if row.startswith(b"Sec-WebSocket-Key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    line.receive_data(
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n",
        0.1,
    )


def drain(line: LineConnection) -> list[AgentEvent]:
    events: list[AgentEvent] = []
    while (event := line.next_event()) is not None:
        events.append(event)
    return events


def text_frame(data: bytes) -> bytes:
    return b"\x81\x7f" + len(data).to_bytes(8, "big") + data


CHUNKS = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=30).map(text_frame),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.dictionaries(
                st.sampled_from(
                    ["event", "type", "media", "payload", "turn_ended", "role", "metadata", "dtmf", "text"]
                ),
                inner | st.sampled_from(["media_output", "turn_ended", "dtmf", "custom", "error", "ack", "user", "5"]),
                max_size=4,
            ),
            max_leaves=8,
        ).map(lambda value: text_frame(json.dumps(value).encode())),
    ),
    max_size=12,
)


@SETTINGS
@given(st.integers(0, 2), CHUNKS, st.randoms(use_true_random=False))
def test_hostile_bytes_never_raise_and_one_closed_comes_last(
    stage: int, chunks: list[bytes], rng: random.Random
) -> None:
    line = connection()
    if stage == 0:
        line.connected(0.0)
    else:
        open_socket(line)
    if stage == 2:
        line.start(metadata={}, now=0.1)
        line.receive_data(text_frame(b'{"event":"ack","stream_id":"s"}'), 0.2)
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
