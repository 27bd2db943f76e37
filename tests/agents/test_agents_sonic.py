"""Sonic's client. Messages are written by hand from reference cartesia-protocols §5.1."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.agents.events import Closed, HttpResponse, Opened
from cordboard.agents.sonic import (
    MAX_CANCELLED,
    MAX_CONTEXTS,
    MAX_HELD,
    BadRequest,
    SonicAudio,
    SonicBusy,
    SonicDone,
    SonicError,
    SonicFlushDone,
    SonicTimestamps,
    SpokenWord,
)
from cordboard.agents.state import PING_INTERVAL, State, WrongState

from .agent_peer import accept, close_frame, drain, frame, sent, sent_json
from .sonic_peer import DONE, FORMAT, KEY, SETTINGS, chunk, live, new, receive


def test_handshake_has_key_and_version_in_headers() -> None:
    sonic = new(base_url="wss://api.cartesia.ai/base/")
    assert (sonic.host, sonic.port, sonic.secure) == ("api.cartesia.ai", 443, True)
    head, *rows = accept(sonic).decode().split("\r\n")
    assert head == "GET /base/tts/websocket HTTP/1.1"
    assert {f"X-API-Key: {KEY}", "Cartesia-Version: 2026-08-14"} <= {*rows}
    (event,) = drain(sonic)
    assert isinstance(event, Opened)
    assert event.web_socket_id == sonic.web_socket_id
    assert KEY not in repr(sonic)
    assert "SonicConnection" in repr(sonic)


def test_a_reply_in_pieces_as_the_documents_have_it() -> None:
    sonic = live({**SETTINGS, "add_timestamps": True})
    assert sonic.speak("For two, ", context_id="turn-4", continue_=True, now=101.0) == "turn-4"
    assert sonic.speak("certainly.", context_id="turn-4", continue_=True, now=101.1) == "turn-4"
    sonic.flush("turn-4", 101.2)
    sonic.speak("", context_id="turn-4", now=101.3)
    common = {**SETTINGS, "add_timestamps": True, "output_format": FORMAT, "context_id": "turn-4"}
    assert sent_json(sonic) == [
        {**common, "transcript": "For two, ", "continue": True},
        {**common, "transcript": "certainly.", "continue": True},
        {**common, "transcript": "", "continue": True, "flush": True},
        {**common, "transcript": "", "continue": False},
    ]
    timings = {"words": ["For", "two,"], "start": [0.0, 0.3], "end": [0.25, 0.5]}
    events = receive(
        sonic,
        chunk("turn-4", b"abc"),
        {"type": "timestamps", "context_id": "turn-4", "word_timestamps": timings, "done": False, "status_code": 206},
        chunk("turn-4", b"de", flush_id=1),
        {"type": "flush_done", "context_id": "turn-4", "flush_id": 1, "flush_done": True, "done": False},
        {**DONE, "context_id": "turn-4"},
    )
    assert events == [
        SonicAudio("turn-4", b"abc"),
        SonicTimestamps("turn-4", (SpokenWord("For", 0.0, 0.25), SpokenWord("two,", 0.3, 0.5))),
        SonicAudio("turn-4", b"de", 1),
        SonicFlushDone("turn-4", 1),
        SonicDone("turn-4", 5 / 8000),
    ]
    assert sonic.contexts == ()


def test_a_raw_request_goes_out_as_it_is() -> None:
    sonic = live()
    fields = {"generation_config": {"speed": 1.2}, "new_field": [1, None], "voice": "v-2", "locale": "en-GB"}
    assert sonic.generate({"transcript": "Hi", "context_id": "c", "continue": True, **fields}, 101.0) == "c"
    sonic.generate({"transcript": "!", "context_id": "c"}, 101.0)
    settings = {key: value for key, value in SETTINGS.items() if key != "language"}
    common = {**settings, **fields, "output_format": FORMAT, "context_id": "c"}
    assert sent_json(sonic) == [
        {**common, "transcript": "Hi", "continue": True},
        {**common, "transcript": "!", "continue": False},
    ]


def test_contexts_of_their_own_do_not_mix() -> None:
    sonic = live()
    first, second = sonic.speak("one", now=101.0), sonic.speak("two", now=101.0)
    assert first != second
    assert sonic.contexts == (first, second)
    events = receive(sonic, chunk(second, b"22"), chunk(first, b"1"), {**DONE, "context_id": second})
    assert events == [SonicAudio(second, b"22"), SonicAudio(first, b"1"), SonicDone(second, 2 / 8000)]
    assert list(sonic.contexts) == [first]


def test_what_is_asked_before_the_socket_is_open_is_held() -> None:
    sonic = new()
    kept, dropped = sonic.speak("one", now=100.0), sonic.speak("two", now=100.0)
    assert sonic.cancel(dropped, 100.0)
    accept(sonic)
    (message,) = sent_json(sonic)
    assert (message["context_id"], message["transcript"]) == (kept, "one")
    assert sonic.next_timer() == 100.2 + 5.0


def test_what_is_held_is_bounded() -> None:
    sonic = new()
    sonic.speak("one", context_id="c", continue_=True, now=100.0)
    for _ in range(MAX_HELD - 1):
        sonic.speak("more ", context_id="c", continue_=True, now=100.0)
    with pytest.raises(SonicBusy, match="wait for the socket"):
        sonic.speak("too much", context_id="c", now=100.0)
    large = new()
    for _ in range(8):
        large.generate({"transcript": "x" * 20_000, "context_id": "c", "continue": True, "notes": "y" * 100_000}, 100.0)
    with pytest.raises(SonicBusy, match="bytes"):
        large.generate({"transcript": "", "context_id": "c", "notes": "y" * 100_000}, 100.0)


def test_open_contexts_are_bounded() -> None:
    sonic = live()
    for _ in range(MAX_CONTEXTS):
        sonic.speak("x", now=101.0)
    with pytest.raises(SonicBusy, match="contexts are open"):
        sonic.speak("x", now=101.0)


def test_a_cancelled_context_is_silent_at_once() -> None:
    sonic = live()
    sonic.speak("a long story", context_id="c", now=101.0)
    sent_json(sonic)
    assert sonic.cancel("c", 101.1)
    assert sent_json(sonic) == [{"context_id": "c", "cancel": True}]
    late = [chunk("c", b"late"), {"type": "error", "context_id": "c", "message": "Invalid context ID", "done": True}]
    assert receive(sonic, *late, {**DONE, "context_id": "c"}) == []
    assert not sonic.cancel("c", 101.2)
    assert sent_json(sonic) == []
    with pytest.raises(BadRequest, match="context_id: was cancelled"):
        sonic.speak("again", context_id="c", now=101.3)
    sonic.speak("else", context_id="d", now=101.3)
    assert receive(sonic, chunk("c", b"late"), chunk("d", b"new")) == [SonicAudio("d", b"new")]


def test_a_context_that_is_over_is_not_cancelled_at_the_service() -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    receive(sonic, {**DONE, "context_id": "c"})
    sent(sonic)
    assert not sonic.cancel("c", 101.1)
    assert not sonic.cancel("never", 101.1)
    assert sent(sonic) == []


def test_cancelled_contexts_are_forgotten_in_time() -> None:
    sonic = live()
    for number in range(MAX_CANCELLED + 1):
        sonic.cancel(sonic.speak("x", context_id=f"c{number}", now=101.0), 101.0)
    assert sonic.speak("x", context_id="c0", now=101.0) == "c0"
    with pytest.raises(BadRequest):
        sonic.speak("x", context_id="c1", now=101.0)


ERRORS: list[tuple[dict[str, Any], SonicError]] = [
    (
        {"type": "error", "context_id": "c", "status_code": 400, "done": True, "error": "Invalid voice"},
        SonicError("c", "Invalid voice", 400),
    ),
    (
        {
            "type": "error",
            "title": "Bad voice",
            "message": "No voice v-1",
            "error_code": "voice_not_found",
            "status_code": 404,
            "doc_url": "https://docs.example",
            "request_id": "r-1",
            "context_id": "c",
            "done": True,
        },
        SonicError("c", "No voice v-1", 404, "voice_not_found"),
    ),
    (
        {"type": "error", "context_id": "c", "status_code": "x", "error_code": 7},
        SonicError("c", "the service reported an error without a text"),
    ),
]


@pytest.mark.parametrize(("message", "expected"), ERRORS)
def test_both_shapes_of_an_error_end_their_context_alone(message: dict[str, Any], expected: SonicError) -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    sonic.speak("hi", context_id="d", now=101.0)
    (event,) = receive(sonic, message)
    assert isinstance(event, SonicError)
    assert (event.context_id, event.message, event.status_code, event.error_code, event.data) == (
        expected.context_id,
        expected.message,
        expected.status_code,
        expected.error_code,
        message,
    )
    assert sonic.contexts == ("d",)
    assert sonic.state is State.LIVE


def test_an_error_of_no_context_ends_none_but_judges_the_close() -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    (event,) = receive(sonic, {"type": "error", "title": "Quota", "status_code": 402})
    assert event == SonicError("", "Quota", 402, "", {"type": "error", "title": "Quota", "status_code": 402})
    assert sonic.contexts == ("c",)
    sonic.receive_data(close_frame(1000), 102.0)
    (closed,) = receive(sonic)
    assert (closed.by, closed.expected) == ("error", False)


def test_no_audio_is_an_error_in_time() -> None:
    sonic = live({**SETTINGS, "max_buffer_delay_ms": 300}, audio_timeout=2.0)
    sonic.speak("hi", context_id="c", continue_=True, now=101.0)
    sent(sonic)
    assert sonic.next_timer() == pytest.approx(103.3)
    sonic.on_timer(103.2)
    assert drain(sonic) == []
    sonic.on_timer(103.4)
    assert drain(sonic) == [SonicError("c", "no audio within 2.3 s", error_code="audio_timeout")]
    assert sent_json(sonic) == [{"context_id": "c", "cancel": True}]
    assert receive(sonic, chunk("c", b"late")) == []
    assert sonic.next_timer() == 100.2 + PING_INTERVAL


def test_a_stream_that_stops_in_mid_utterance_is_an_error_in_time() -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    assert receive(sonic, chunk("c", b"a"), now=104.0) == [SonicAudio("c", b"a")]
    assert sonic.next_timer() == 109.0
    sonic.on_timer(109.0)
    assert drain(sonic) == [SonicError("c", "no audio within 5 s", error_code="audio_timeout")]


def test_a_context_that_waits_for_more_text_may_be_silent() -> None:
    sonic = live()
    sonic.speak("", context_id="warm", continue_=True, now=101.0)
    sonic.speak("hi", context_id="c", continue_=True, now=101.0)
    receive(sonic, chunk("c", b"a"))
    assert sonic.next_timer() == 100.2 + PING_INTERVAL
    sonic.flush("c", 102.0)
    assert sonic.next_timer() == 107.0
    receive(sonic, {"type": "flush_done", "context_id": "c", "flush_id": 1, "flush_done": True, "done": False})
    assert sonic.next_timer() == 100.2 + PING_INTERVAL
    assert sonic.contexts == ("warm", "c")


def test_an_idle_socket_is_kept_by_pings_and_a_dead_one_found() -> None:
    sonic = live()
    due = 100.2 + PING_INTERVAL
    sonic.on_timer(due)
    assert [opcode for opcode, _ in sent(sonic)] == [9]
    sonic.receive_data(frame(b"", opcode=10), due + 1)
    assert sonic.next_timer() == due + PING_INTERVAL
    sonic.on_timer(due + PING_INTERVAL)
    sonic.on_timer(due + PING_INTERVAL + 20)
    (closed,) = drain(sonic)
    assert isinstance(closed, Closed)
    assert (closed.by, closed.code) == ("network", 1006)
    assert sonic.next_timer() is None


def test_samples_are_whole_whatever_the_chunks() -> None:
    sonic = live(encoding="pcm_s16le", sample_rate=16000)
    sonic.speak("hi", context_id="c", now=101.0)
    events = receive(sonic, chunk("c", b"a"), chunk("c", b"bc"), chunk("c", b"def"), chunk("c", b""))
    assert events == [SonicAudio("c", b"ab"), SonicAudio("c", b"cdef")]
    assert receive(sonic, {**DONE, "context_id": "c"}) == [SonicDone("c", 6 / 32000)]


def test_a_last_chunk_may_say_that_it_is_the_last() -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    events = receive(sonic, chunk("c", b"a", done=True), {**DONE, "context_id": "c"})
    assert events == [SonicAudio("c", b"a"), SonicDone("c", 1 / 8000)]


def test_a_text_of_which_nothing_is_made_is_told() -> None:
    sonic = live()
    sonic.speak("…", context_id="c", now=101.0)
    assert receive(sonic, {**DONE, "context_id": "c"}) == [SonicDone("c", 0.0)]


def test_a_refused_handshake_masks_the_key() -> None:
    sonic = new()
    sonic.speak("hi", now=100.0)
    sonic.connected(100.1)
    body = f"no such key {KEY}".encode()
    sonic.receive_data(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), 100.2)
    refused, closed = drain(sonic)
    assert isinstance(refused, HttpResponse)
    assert (refused.status, refused.body) == (401, "no such key ***")
    assert isinstance(closed, Closed)
    assert closed.by == "error"
    with pytest.raises(WrongState):
        sonic.speak("hi", now=100.3)


def test_a_lost_socket_and_a_close_of_ours_are_told_once() -> None:
    lost = live()
    lost.speak("hi", now=101.0)
    lost.connection_lost("reset by peer", 102.0)
    (event,) = receive(lost)
    assert (event.by, event.reason, lost.contexts, lost.next_timer()) == ("network", "reset by peer", (), None)
    ours = live()
    ours.speak("hi", context_id="c", now=101.0)
    ours.close(reason="call over", now=101.1)
    assert receive(ours, chunk("c", b"late")) == []
    assert ours.contexts == ()
    ours.receive_data(close_frame(1000, "call over"), 101.2)
    (event,) = receive(ours)
    assert (event.by, event.expected) == ("us", True)


def test_a_socket_that_does_not_open_ends_in_time() -> None:
    sonic = new(connect_timeout=3.0)
    assert sonic.next_timer() == 103.0
    sonic.on_timer(103.0)
    (closed,) = receive(sonic)
    assert (closed.by, closed.reason) == ("network", "not open within 3 s")
