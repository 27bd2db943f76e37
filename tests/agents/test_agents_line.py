"""The Line socket's client: handshake, messages, timers, ends. The server's bytes are written by hand here."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from cordboard.agents.events import (
    Acked,
    Audio,
    Clear,
    Closed,
    Custom,
    Dtmf,
    ErrorMessage,
    HttpResponse,
    Opened,
    TextDelta,
    Transfer,
    TurnEnded,
    TurnStarted,
    Unknown,
)
from cordboard.agents.json_messages import NotJson
from cordboard.agents.line import LineConnection
from cordboard.agents.state import MAX_REPORTED, InputFormat, State, UnsupportedFormat, WrongState
from cordboard.agents.websocket import MAX_MESSAGE, BadAddress

from .agent_peer import accept, close_frame, drain, frame, sent, sent_json, unmask

KEY = "sk_car_very-secret-0001"


def new(input_format: InputFormat = "mulaw_8000", base_url: str = "wss://api.cartesia.ai") -> LineConnection:
    return LineConnection(
        base_url=base_url, agent_id="agent_1", api_key=KEY, input_format=input_format, rng=random.Random(7), now=100.0
    )


def opened(line: LineConnection | None = None) -> LineConnection:
    line = line or new()
    accept(line)
    return line


ACK = '{"event":"ack","stream_id":"sid_9b0","config":{"input_format":"%s"},"agent":{},"call_id":"ac_01ab"}'


def live(input_format: InputFormat = "mulaw_8000") -> LineConnection:
    line = opened(new(input_format))
    line.start(metadata={}, now=100.3)
    line.receive_data(frame(ACK % input_format), 100.4)
    line.data_to_send(100.4)
    drain(line)
    assert line.state is State.LIVE
    return line


def test_handshake_bytes_address_and_headers() -> None:
    line = new(base_url="wss://api.cartesia.ai/base/")
    assert (line.host, line.port, line.secure) == ("api.cartesia.ai", 443, True)
    assert line.data_to_send(100.0) == []
    line.connected(100.1)
    head, *rows = b"".join(line.data_to_send(100.1)).decode().split("\r\n")
    assert head == "GET /base/agents/stream/agent_1 HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in rows
    assert "Cartesia-Version: 2025-04-16" in rows
    assert not [row for row in rows if row.lower().startswith("sec-websocket-extensions")]


def test_agent_ids_are_quoted_in_the_path() -> None:
    line = LineConnection(base_url="ws://[::1]:8090", agent_id="a/b?c", api_key="k", rng=random.Random(1), now=0.0)
    assert (line.host, line.port, line.secure) == ("::1", 8090, False)
    line.connected(0.0)
    assert line.data_to_send(0.0)[0].startswith(b"GET /agents/stream/a%2Fb%3Fc HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "https://api.cartesia.ai"),
        ("base_url", "wss://"),
        ("base_url", "wss://user:pass@host"),
        ("base_url", "wss://host?x=1"),
        ("base_url", "wss://host#x"),
        ("base_url", "wss://host:99999"),
        ("base_url", "wss://[::1"),
        ("api_key", "a\r\nX: y"),
        ("api_key", "schlüssel"),
        ("api_key", ""),
        ("agent_id", ""),
        ("version", "2025\n"),
    ],
)
def test_bad_addresses_are_refused_without_showing_the_value(field: str, value: str) -> None:
    arguments: dict[str, Any] = {"base_url": "wss://h", "agent_id": "a", "api_key": KEY, "version": "2025-04-16"}
    arguments[field] = value
    with pytest.raises(BadAddress) as caught:
        LineConnection(**arguments, rng=random.Random(1), now=0.0)
    assert KEY not in str(caught.value)
    assert not value or value not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    line = live()
    assert KEY not in repr(line)
    assert "agent_1" in repr(line)


def test_equal_seeds_make_equal_handshakes() -> None:
    first, second = new(), new()
    first.connected(0.0)
    second.connected(0.0)
    assert first.data_to_send(0.0) == second.data_to_send(0.0)
    assert first.web_socket_id == second.web_socket_id


def test_opened_reports_the_socket() -> None:
    (event,) = drain(opened())
    assert isinstance(event, Opened)
    assert event.status == 101
    assert event.headers["x-region"] == "eu"
    assert len(event.web_socket_id) == 36


def test_start_message_and_ack() -> None:
    line = opened()
    drain(line)
    line.start(
        metadata={"from": "+1", "to": "+2"}, config={"voice_id": "v"}, agent={"introduction": "Hello"}, now=100.3
    )
    assert sent_json(line) == [
        {
            "event": "start",
            "config": {"input_format": "mulaw_8000", "voice_id": "v"},
            "metadata": {"from": "+1", "to": "+2"},
            "agent": {"introduction": "Hello"},
        }
    ]
    line.receive_data(frame(ACK % "mulaw_8000"), 101.0)
    (event,) = drain(line)
    assert isinstance(event, Acked)
    assert (event.call_id, event.stream_id) == ("ac_01ab", "sid_9b0")
    assert event.data["agent"] == {}


def test_config_may_choose_the_format_and_an_unknown_one_sends_nothing() -> None:
    line = opened()
    with pytest.raises(UnsupportedFormat, match="pcm_8000"):
        line.start(metadata={}, config={"input_format": "pcm_8000"}, now=100.3)
    assert sent(line) == []
    line.start(metadata={}, config={"input_format": "pcm_16000"}, now=100.3)
    assert line.input_format == "pcm_16000"


def test_an_ack_with_another_format_is_told() -> None:
    line = opened()
    drain(line)
    line.start(metadata={}, now=100.3)
    line.receive_data(frame(ACK % "pcm_16000"), 101.0)
    acked, error = drain(line)
    assert isinstance(acked, Acked)
    assert isinstance(error, ErrorMessage)
    assert "pcm_16000" in error.message
    assert not error.fatal


def test_client_messages_on_the_wire() -> None:
    line = live()
    line.send_audio(b"\xff\x7f\x00", 101.0)
    line.custom({"crm": "T-991"}, 101.0)
    assert line.dtmf("#", 101.0) is True
    assert line.dtmf("A", 101.0) is False
    assert sent_json(line) == [
        {"event": "media_input", "stream_id": "sid_9b0", "media": {"payload": "/38A"}},
        {"event": "custom", "stream_id": "sid_9b0", "metadata": {"crm": "T-991"}},
        {"event": "dtmf", "stream_id": "sid_9b0", "dtmf": "#"},
    ]


@pytest.mark.parametrize("digit", ["", "12", "a", "x"])
def test_what_is_no_digit_is_an_error(digit: str) -> None:
    with pytest.raises(ValueError, match="DTMF"):
        live().dtmf(digit, 101.0)


@pytest.mark.parametrize("value", [float("nan"), object(), "x" * (MAX_MESSAGE + 1)])
def test_what_has_no_json_form_or_is_too_large_is_not_sent(value: object) -> None:
    line = live()
    with pytest.raises(NotJson):
        line.custom({"v": value}, 101.0)
    assert sent(line) == []


def test_sending_before_the_ack_or_after_the_end_is_refused() -> None:
    for line in (new(), opened(), live()):
        if line.state is State.LIVE:
            line.close(now=101.0)
        before = line.state
        operations: list[Callable[[], object]] = [
            partial(line.send_audio, b"\xff", 101.0),
            partial(line.custom, {}, 101.0),
            partial(line.dtmf, "1", 101.0),
        ]
        for operation in operations:
            with pytest.raises(WrongState) as caught:
                operation()
            assert caught.value.state is before
    with pytest.raises(WrongState):
        new().start(metadata={}, now=101.0)
    with pytest.raises(WrongState):
        live().start(metadata={}, now=101.0)


def message(**fields: object) -> Mapping[str, object]:
    return {"stream_id": "sid_9b0", **fields}


SERVER_MESSAGES: list[tuple[Mapping[str, object], dict[str, object], type]] = [
    (message(event="clear"), {}, Clear),
    (message(event="dtmf", dtmf="5"), {"digit": "5"}, Dtmf),
    (message(event="custom", metadata={"stage": "x"}), {"metadata": {"stage": "x"}}, Custom),
    (message(event="transfer_call", transfer={"target_phone_number": "+1415"}), {"number": "+1415"}, Transfer),
    (message(event="transfer_call", transfer={"target_sip_uri": "sip:a@b"}), {"number": "sip:a@b"}, Transfer),
    (
        message(event="transfer_call", transfer_destination={"type": "sip", "value": "sip:c@d"}),
        {"number": "sip:c@d"},
        Transfer,
    ),
    (
        message(event="turn_started", turn_started={"id": "t-3", "role": "user"}),
        {"id": "t-3", "role": "user"},
        TurnStarted,
    ),
    (message(event="turn_output_text_delta", turn_output_text_delta={"text": "Hi, "}), {"text": "Hi, "}, TextDelta),
    (
        message(
            event="turn_ended",
            turn_ended={"id": 3, "role": "assistant", "text": "Hi", "was_interrupted": True, "tool_calls": []},
        ),
        {"id": "3", "role": "assistant", "text": "Hi", "interrupted": True},
        TurnEnded,
    ),
    (message(event="turn_ended", turn_ended={"role": "user"}), {"id": "", "text": "", "interrupted": False}, TurnEnded),
    (message(event="sparkle", n=1), {"event": "sparkle"}, Unknown),
    (message(nothing=True), {"event": ""}, Unknown),
    (message(event=7), {"event": ""}, Unknown),
    (message(event="ack"), {"event": "ack"}, Unknown),
    (message(event="error", message="slow"), {"message": "slow", "fatal": False}, ErrorMessage),
    (message(type="error", title="Busy"), {"message": "Busy", "fatal": False}, ErrorMessage),
    (message(event="media_output", media={"payload": "//8="}), {"payload": b"\xff\xff"}, Audio),
]


@pytest.mark.parametrize(("sent_message", "fields", "kind"), SERVER_MESSAGES)
def test_server_messages_become_events(
    sent_message: Mapping[str, object], fields: dict[str, object], kind: type
) -> None:
    line = live()
    line.receive_data(frame(json.dumps(sent_message, indent=1)), 101.0)
    (event,) = drain(line)
    assert type(event) is kind
    assert {name: getattr(event, name) for name in fields} == fields
    if not isinstance(event, Audio):
        assert getattr(event, "data") == sent_message  # noqa: B009
    assert line.malformed == 0


MALFORMED = [
    b"not json",
    b"\xff\xfe",
    b"[1]",
    b"null",
    b'{"event":"media_output","media":{"payload":NaN}}',
    b'{"event":"custom","metadata":{"x":Infinity}}',
    b'{"event":"media_output"}',
    b'{"event":"media_output","media":[]}',
    b'{"event":"media_output","media":{"payload":7}}',
    b'{"event":"media_output","stream_id":"sid_9b0","media":{"payload":"@@"}}',
    b'{"event":"media_output","stream_id":"sid_9b0","media":{"payload":"\xc3\xa9"}}',
    b'{"event":"dtmf","dtmf":"A"}',
    b'{"event":"dtmf","dtmf":5}',
    b'{"event":"custom","metadata":"x"}',
    b'{"event":"transfer_call","transfer":{"target_phone_number":7}}',
    b'{"event":"turn_started","turn_started":{"id":"t","role":"robot"}}',
    b'{"event":"turn_output_text_delta","turn_output_text_delta":{}}',
    b'{"event":"turn_ended","turn_ended":{"role":"user","text":[]}}',
    b'{"event":"custom","metadata":{"x":"\\ud800"}}',
    b"[" * 200_000,
    b'{"event":' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_messages_are_told_and_counted_and_the_call_goes_on(data: bytes) -> None:
    line = live()
    line.receive_data(frame(data), 101.0)
    (event,) = drain(line)
    assert isinstance(event, ErrorMessage)
    assert event.message
    assert not event.fatal
    assert line.malformed == 1
    assert line.state is State.LIVE


def test_a_flood_of_malformed_messages_is_counted_but_not_repeated() -> None:
    line = live()
    line.receive_data(frame("?") * 1000, 101.0)
    assert len(drain(line)) == MAX_REPORTED
    assert line.malformed == 1000


def test_binary_messages_are_malformed() -> None:
    line = live()
    line.receive_data(frame(b"\x00", opcode=2), 101.0)
    (event,) = drain(line)
    assert isinstance(event, ErrorMessage)
    assert "binary" in event.message


def test_before_the_ack_only_ack_and_error_have_a_meaning() -> None:
    line = opened()
    line.start(metadata={}, now=100.3)
    drain(line)
    line.receive_data(frame('{"event":"media_output","media":{"payload":"//8="}}'), 100.5)
    line.receive_data(frame('{"event":"clear"}'), 100.5)
    assert [type(event) for event in drain(line)] == [Unknown, Unknown]


def test_fragmented_and_split_messages_are_put_together() -> None:
    line = live()
    data = frame('{"event":"cus', fin=False) + frame(b"", opcode=9) + frame('tom","metadata":{}}', opcode=0)
    for byte in data:
        line.receive_data(bytes([byte]), 101.0)
    (event,) = drain(line)
    assert isinstance(event, Custom)
    assert [opcode for opcode, _ in sent(line)] == [10]  # the ping in between was answered


def test_an_odd_pcm_byte_is_carried_over_and_void_after_clear() -> None:
    line = live("pcm_16000")

    def audio(payload: bytes) -> bytes:
        text = {
            "event": "media_output",
            "stream_id": "sid_9b0",
            "media": {"payload": base64.b64encode(payload).decode()},
        }
        return frame(json.dumps(text, separators=(",", ":")))

    line.receive_data(audio(b"\x01\x02\x03") + audio(b"\x04") + audio(b""), 101.0)
    assert drain(line) == [Audio(b"\x01\x02"), Audio(b"\x03\x04")]
    line.receive_data(audio(b"\x05") + frame('{"event":"clear"}') + audio(b"\x06\x07"), 101.0)
    assert drain(line) == [Clear({"event": "clear"}), Audio(b"\x06\x07")]


def test_a_refused_handshake_gives_response_and_close_and_masks_the_key() -> None:
    line = new()
    line.connected(100.1)
    line.data_to_send(100.1)
    body = f"bad key {KEY}".encode()
    line.receive_data(
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\nX-A: 1\r\nX-A: 2\r\n\r\n" % len(body) + body, 100.3
    )
    response, closed = drain(line)
    assert isinstance(response, HttpResponse)
    assert (response.status, response.body, response.headers["x-a"]) == (401, "bad key ***", "1, 2")
    assert isinstance(closed, Closed)
    assert (closed.code, closed.by, closed.expected) == (1006, "error", False)
    assert "401" in closed.reason
    assert line.next_timer() is None
    assert line.data_to_send(100.3) == [b""]


def test_a_wrong_accept_value_is_refused() -> None:
    line = new()
    line.connected(100.1)
    line.receive_data(
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n", 100.2
    )
    assert [type(event) for event in drain(line)] == [HttpResponse, Closed]


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"HTTP/1.1 999999\r\n\r\n", b"x" * 20000])
def test_what_is_no_http_ends_the_connection(data: bytes) -> None:
    line = new()
    line.connected(100.1)
    line.receive_data(data, 100.2)
    (closed,) = drain(line)
    assert isinstance(closed, Closed)
    assert closed.by == "network"


CLOSES = [
    (1000, "call ended by agent", "agent"),
    (1000, "call ended by agent, reason: goodbye", "agent"),
    (1000, "connection idle timeout", "idle"),
    (1000, "connection cancelled", "agent"),
    (1000, "", "agent"),
    (1001, "", "error"),
    (1008, "policy", "error"),
    (1011, "boom", "error"),
    (4000, "x", "error"),
]


@pytest.mark.parametrize(("code", "reason", "by"), CLOSES)
def test_the_services_close_is_judged(code: int, reason: str, by: str) -> None:
    line = live()
    line.receive_data(close_frame(code, reason), 101.0)
    assert drain(line) == [Closed(code, reason, by, False)]  # type: ignore[arg-type]
    writes = line.data_to_send(101.0)
    assert unmask(b"".join(writes))[0] == (8, struct.pack("!H", code) + reason.encode())
    assert writes[-1] == b""
    assert line.next_timer() is None


def test_a_close_without_a_code_is_the_networks() -> None:
    line = live()
    line.receive_data(frame(b"", opcode=8), 101.0)
    assert drain(line) == [Closed(1005, "", "network", False)]


def test_an_end_of_stream_without_close_is_the_networks() -> None:
    line = live()
    line.receive_eof(101.0)
    (closed,) = drain(line)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.by) == (1006, "network")


def test_a_lost_transport_is_told_with_its_reason() -> None:
    line = new()
    line.connection_lost("connection refused", 100.1)
    assert drain(line) == [Closed(1006, "connection refused", "network", False)]


def test_an_error_message_last_makes_a_normal_close_an_error() -> None:
    line = live()
    line.receive_data(
        frame('{"type":"error","message":"no credits"}') + close_frame(1000, "connection cancelled"), 101.0
    )
    _, closed = drain(line)
    assert closed == Closed(1000, "connection cancelled", "error", False)


@pytest.mark.parametrize(
    "later",
    [
        '{"event":"custom","metadata":{}}',
        '{"event":"media_output","stream_id":"sid_9b0","media":{"payload":"/w=="}}',
        '{"media":{"payload":"/w=="},"event":"media_output"}',
    ],
)
def test_an_error_message_is_forgotten_once_the_call_goes_on(later: str) -> None:
    line = live()
    line.receive_data(frame('{"type":"error","message":"slow"}') + frame(later) + close_frame(1000), 101.0)
    assert drain(line)[-1] == Closed(1000, "", "agent", False)


def test_a_close_before_the_ack_is_an_error() -> None:
    line = opened()
    line.start(metadata={}, now=100.3)
    drain(line)
    line.receive_data(close_frame(1000, "connection cancelled"), 101.0)
    assert drain(line) == [Closed(1000, "connection cancelled", "error", False)]


def test_an_error_before_the_ack_is_fatal_and_closes() -> None:
    line = opened()
    line.start(metadata={}, now=100.3)
    drain(line)
    line.data_to_send(100.3)
    line.receive_data(frame('{"type":"error","message":"no such agent"}'), 100.5)
    (error,) = drain(line)
    assert isinstance(error, ErrorMessage)
    assert error.fatal
    assert sent(line) == [(8, struct.pack("!H", 1002) + b"no such agent")]
    line.receive_data(close_frame(1002), 100.6)
    assert drain(line) == [Closed(1002, "no such agent", "error", False)]


@pytest.mark.parametrize("answer", [close_frame(1000), close_frame(1000, "call ended by agent"), None])
def test_our_close_is_expected_whatever_comes_back(answer: bytes | None) -> None:
    line = live()
    line.close(now=101.0)
    assert sent(line) == [(8, struct.pack("!H", 1000) + b"session completed")]
    line.close(now=101.1)
    line.receive_data(frame('{"event":"custom","metadata":{}}'), 101.2)
    assert drain(line) == []
    if answer is None:
        line.receive_eof(101.2)
    else:
        line.receive_data(answer, 101.2)
    (closed,) = drain(line)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.by, closed.expected) == (1000, "us", True)


def test_our_close_is_given_two_seconds() -> None:
    line = live()
    line.close(now=101.0)
    assert line.next_timer() == 103.0
    line.on_timer(102.9)
    assert drain(line) == []
    line.on_timer(103.0)
    assert drain(line) == [Closed(1000, "session completed", "us", True)]
    assert line.data_to_send(103.0)[-1] == b""


def test_while_closing_no_other_timer_runs() -> None:
    line = live()
    line.close(now=160.1)
    line.data_to_send(160.1)
    assert line.next_timer() == 162.1
    line.on_timer(160.2)  # the ping's time
    assert sent(line) == []
    line = opened()
    line.start(metadata={}, now=101.0)
    line.close(now=110.0)
    line.on_timer(111.0)  # the ack's time
    line.receive_data(close_frame(1000), 111.5)
    assert drain(line)[-1] == Closed(1000, "", "us", True)


def test_close_before_the_socket_is_open_ends_at_once() -> None:
    for line in (new(), new()):
        line.close(now=100.1)
        assert drain(line) == [Closed(1000, "session completed", "us", True)]
        line.connected(100.2)
        assert b"GET" not in b"".join(line.data_to_send(100.2))


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 5000, 70000])
def test_codes_that_must_not_be_sent_are_refused(code: int) -> None:
    line = live()
    with pytest.raises(ValueError, match="close code"):
        line.close(code, now=101.0)
    assert line.state is State.LIVE


def test_long_close_reasons_are_cut_at_a_character() -> None:
    line = live()
    line.close(1000, "é" * 200, now=101.0)
    ((opcode, payload),) = sent(line)
    assert opcode == 8
    assert payload[2:].decode() == "é" * 61


def test_timers_connect_ack_ping_pong() -> None:
    line = new()
    assert line.next_timer() == 105.0
    line.on_timer(105.0)
    assert drain(line) == [Closed(1006, "not open within 5 s", "network", False)]

    line = opened()
    drain(line)
    assert line.next_timer() == 160.2
    line.start(metadata={}, now=101.0)
    assert line.next_timer() == 111.0
    line.data_to_send(101.0)
    line.on_timer(111.0)
    assert sent(line) == [(8, struct.pack("!H", 1002) + b"no ack within 10 s")]
    line.on_timer(113.0)
    assert drain(line) == [Closed(1002, "no ack within 10 s", "error", False)]

    line = live()
    assert line.next_timer() == 160.2
    line.on_timer(160.2)
    assert sent(line) == [(9, b"")]
    assert line.next_timer() == 180.2
    line.receive_data(frame(b"", opcode=10), 161.0)
    assert line.next_timer() == 220.2
    line.on_timer(220.2)
    line.on_timer(240.2)
    (closed,) = drain(line)
    assert isinstance(closed, Closed)
    assert (closed.by, closed.reason) == ("network", "no answer to a ping within 20 s")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\xfe" + b"\x00" * 8, 1002),  # a masked frame from a server
        (b"\xf1\x00", 1002),  # reserved bits
        (b"\x83\x00", 1002),  # reserved opcode
        (frame("x", opcode=0), 1002),  # continuation of nothing
        (b"\x81\x7f" + struct.pack("!Q", MAX_MESSAGE + 1), 1009),
        (frame("x" * (MAX_MESSAGE // 2 + 1), fin=False) + frame("x" * (MAX_MESSAGE // 2), opcode=0), 1009),
        (frame(b"\x00", opcode=8), 1002),  # close frame of one byte
    ],
)
def test_websocket_faults_close_with_the_standard_code(data: bytes, code: int) -> None:
    line = live()
    line.receive_data(data, 101.0)
    (closed,) = drain(line)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.by) == (code, "error")
    line.receive_data(b"more", 101.1)
    line.receive_eof(101.1)
    line.connection_lost("late", 101.1)
    assert drain(line) == []


def test_a_message_of_exactly_the_limit_passes() -> None:
    line = live()
    head, tail = '{"event":"custom","metadata":{"x":"', '"}}'
    text = head + "y" * (MAX_MESSAGE - len(head) - len(tail)) + tail
    line.receive_data(frame(text), 101.0)
    (event,) = drain(line)
    assert isinstance(event, Custom)


def test_an_oversized_stream_id_is_not_repeated_with_every_frame() -> None:
    line = opened()
    line.start(metadata={}, now=100.3)
    line.receive_data(frame(json.dumps({"event": "ack", "stream_id": "s" * 300})), 100.4)
    line.data_to_send(100.4)
    line.send_audio(b"\xff", 100.5)
    assert sent_json(line) == [{"event": "media_input", "media": {"payload": "/w=="}}]
