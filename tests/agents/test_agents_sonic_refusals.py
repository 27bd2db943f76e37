"""What Sonic's client refuses to send, and what it cannot understand."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.agents.events import Unknown
from cordboard.agents.json_messages import NotJson
from cordboard.agents.sonic import (
    BadRequest,
    SonicAudio,
    SonicError,
)
from cordboard.agents.state import MAX_REPORTED
from cordboard.agents.websocket import MAX_MESSAGE, BadAddress

from .agent_peer import drain, frame, sent
from .sonic_peer import FORMAT, SETTINGS, chunk, live, new, receive

BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"output_format": FORMAT}, "output_format"),
    ({"cancel": True}, "cancel"),
    ({"continue": 1}, "continue"),
    ({"flush": "yes"}, "flush"),
    ({"flush": True, "continue": True, "transcript": "x"}, "flush"),
    ({"flush": True}, "flush"),
    ({"add_timestamps": 1}, "add_timestamps"),
    ({"transcript": 5}, "transcript"),
    ({"transcript": "x" * 20_001}, "transcript"),
    ({"context_id": ""}, "context_id"),
    ({"context_id": "x" * 257}, "context_id"),
    ({"context_id": 4}, "context_id"),
    ({"max_buffer_delay_ms": -1}, "max_buffer_delay_ms"),
    ({"max_buffer_delay_ms": 5001}, "max_buffer_delay_ms"),
    ({"max_buffer_delay_ms": True}, "max_buffer_delay_ms"),
    ({"language": "en", "locale": "en-GB"}, "locale"),
    ({"model_id": ""}, "model_id"),
    ({"voice": {}}, "voice"),
    ({"voice": 3}, "voice"),
]


@pytest.mark.parametrize(("request_", "field"), BAD_REQUESTS)
def test_a_bad_request_is_refused_by_name_and_changes_nothing(request_: dict[str, Any], field: str) -> None:
    sonic = live()
    with pytest.raises(BadRequest, match=rf"^{field}: ") as caught:
        sonic.generate({"transcript": "", **request_}, 101.0)
    assert caught.value.field == field
    assert (sonic.contexts, sent(sonic)) == ((), [])


@pytest.mark.parametrize(("name", "value"), [("voice", "v-2"), ("model_id", "sonic-2"), ("language", "de")])
def test_a_context_keeps_its_voice(name: str, value: str) -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", continue_=True, now=101.0)
    with pytest.raises(BadRequest, match=rf"^{name}: must stay the same"):
        sonic.generate({"context_id": "c", "transcript": "x", name: value}, 101.0)
    sonic.generate({"context_id": "c", "transcript": "x", name: SETTINGS[name]}, 101.0)
    with pytest.raises(BadRequest, match=r"^context_id: was finished"):
        sonic.generate({"context_id": "c", "transcript": "x"}, 101.0)


def test_what_has_no_json_form_and_what_is_too_large_is_refused() -> None:
    sonic = live()
    for notes in (object(), "x" * MAX_MESSAGE):
        with pytest.raises(NotJson):
            sonic.generate({"transcript": "hi", "notes": notes}, 101.0)
    assert (sonic.contexts, sent(sonic)) == ((), [])
    with pytest.raises(BadRequest, match="is not open"):
        sonic.flush("c", 101.0)


def test_settings_are_checked() -> None:
    with pytest.raises(BadRequest, match=r"^transcript: belongs"):
        new({"transcript": ""})
    with pytest.raises(BadRequest, match=r"^max_buffer_delay_ms"):
        new({"max_buffer_delay_ms": "soon"})
    with pytest.raises(BadRequest, match=r"^encoding"):
        new(encoding="mp3")
    with pytest.raises(BadRequest, match=r"^sample_rate"):
        new(sample_rate=11025)
    with pytest.raises(BadAddress):
        new(base_url="https://api.cartesia.ai")
    with pytest.raises(BadRequest, match=r"^voice: is missing"):
        live({}).speak("hi", now=101.0)


MALFORMED: list[tuple[bytes | str, str]] = [
    ("[]", "not a JSON object"),
    ("{", "not JSON"),
    (b"\xff", "not UTF-8"),
    ('{"type":"chunk","context_id":"c"}', "data is not a string"),
    ('{"type":"chunk","context_id":"c","data":"*"}', "not base64"),
    ('{"type":"timestamps","context_id":"c"}', "word_timestamps is not an object"),
    ('{"type":"timestamps","context_id":"c","word_timestamps":{"words":["a"],"start":[0],"end":[]}}', "one length"),
    ('{"type":"timestamps","context_id":"c","word_timestamps":{"words":["a"],"start":0,"end":[1]}}', "one length"),
    ('{"type":"timestamps","context_id":"c","word_timestamps":{"words":[1],"start":[0],"end":[1]}}', "not a text"),
    ('{"type":"timestamps","context_id":"c","word_timestamps":{"words":["a"],"start":[-1],"end":[1]}}', "not a number"),
    ('{"type":"timestamps","context_id":"c","word_timestamps":{"words":["a"],"start":[true],"end":[1]}}', "not a"),
    ('{"type":"timestamps","context_id":"c","word_timestamps":{"words":["a"],"start":[1e999],"end":[1]}}', "too large"),
]


@pytest.mark.parametrize(("data", "complaint"), MALFORMED)
def test_what_cannot_be_understood_is_told_and_survived(data: bytes | str, complaint: str) -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    sonic.receive_data(frame(data), 101.0)
    (event,) = drain(sonic)
    assert isinstance(event, SonicError)
    assert complaint in event.message
    assert (event.context_id, event.error_code, sonic.malformed) == ("", "malformed", 1)
    assert receive(sonic, chunk("c", b"a")) == [SonicAudio("c", b"a")]


def test_a_flood_of_nonsense_is_told_so_often_and_no_more() -> None:
    sonic = live()
    sonic.receive_data(frame(b"\x00\x01", opcode=2) + frame("nonsense") * 100, 101.0)
    assert len(drain(sonic)) == MAX_REPORTED
    assert sonic.malformed == 101


def test_unknown_types_and_fields_pass() -> None:
    sonic = live()
    sonic.speak("hi", context_id="c", now=101.0)
    phonemes = {"type": "phoneme_timestamps", "context_id": "c", "phoneme_timestamps": {"phonemes": []}}
    unnamed = {"context_id": "c"}
    odd = {"type": ["x"], "context_id": ["c"]}
    bare: dict[str, Any] = {"type": "done"}
    events = receive(sonic, phonemes, unnamed, odd, bare, chunk("c", b"a", extra={"x": 1}))
    assert events == [
        Unknown("phoneme_timestamps", phonemes),
        Unknown("", unnamed),
        Unknown("", odd),
        Unknown("done", bare),
        SonicAudio("c", b"a"),
    ]
