"""Properties of Sonic's client: audio is what came for open contexts, hostile bytes never raise, one Closed ends it."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.agents.events import Closed
from cordboard.agents.sonic import BadRequest, SonicAudio, SonicConnection, SonicDone, SonicError
from cordboard.agents.state import State

from .agent_peer import accept, drain, frame, unmask

SETTINGS = settings(max_examples=80, deadline=None)


def live() -> SonicConnection:
    sonic = SonicConnection(
        base_url="ws://h",
        api_key="k",
        settings={"voice": "v"},
        encoding="pcm_s16le",
        sample_rate=16000,
        rng=random.Random(3),
        now=0.0,
    )
    accept(sonic)
    drain(sonic)
    return sonic


IDS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), IDS, st.booleans()),
        st.tuples(st.just("cancel"), IDS),
        st.tuples(st.just("chunk"), IDS, st.binary(max_size=5)),
        st.tuples(st.just("done"), IDS),
        st.tuples(st.just("error"), IDS),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 4.0, 6.0])),
    ),
    max_size=40,
)


@SETTINGS
@given(STEPS)
def test_each_context_gives_its_own_audio_until_its_one_end(steps: list[tuple[Any, ...]]) -> None:
    sonic, now = live(), 1.0
    fed: dict[str, bytes] = {}
    cancelled: set[str] = set()
    for step in steps:
        match step:
            case ("speak", name, more):
                known = name in sonic.contexts
                try:
                    sonic.speak("hello", context_id=name, continue_=more, now=now)
                except BadRequest:
                    continue  # finished, or cancelled before
                if not known:
                    fed[name] = b""
            case ("cancel", name):
                assert sonic.cancel(name, now) is (name in fed)
                if fed.pop(name, None) is not None:
                    cancelled.add(name)
            case ("chunk", name, payload):
                message = {"type": "chunk", "context_id": name, "data": base64.b64encode(payload).decode()}
                sonic.receive_data(frame(json.dumps(message)), now)
                if name in fed:
                    before = len(fed[name]) & ~1
                    fed[name] += payload
                    told = b"".join(event.payload for event in drain(sonic) if isinstance(event, SonicAudio))
                    assert told == fed[name][before : len(fed[name]) & ~1]
                assert drain(sonic) == []
            case ("done" | "error" as kind, name):
                sonic.receive_data(frame(json.dumps({"type": kind, "context_id": name, "done": True})), now)
                ends = [event for event in drain(sonic) if isinstance(event, SonicDone | SonicError)]
                assert len(ends) == (name in fed or (kind == "error" and name not in cancelled))
                fed.pop(name, None)
            case ("wait", seconds):
                now += seconds
                sonic.on_timer(now)
                for event in drain(sonic):
                    assert isinstance(event, SonicError)
                    assert event.error_code == "audio_timeout"
                    del fed[event.context_id]
                    cancelled.add(event.context_id)
        assert set(sonic.contexts) == set(fed)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["type", "context_id", "data", "done", "word_timestamps", "flush_id", "status_code", "error", "message"]
)
WORDS = st.sampled_from(["chunk", "timestamps", "flush_done", "done", "error", "c", "AQID"])
TIMINGS = st.fixed_dictionaries({name: st.lists(VALUES, max_size=2) for name in ("words", "start", "end")})
MESSAGES = st.dictionaries(KEYS, VALUES | WORDS | TIMINGS, max_size=6)
CHUNKS = st.lists(
    st.binary(max_size=60)
    | st.binary(max_size=30).map(frame)
    | MESSAGES.map(lambda message: frame(json.dumps({"context_id": "c", **message}))),
    max_size=12,
)


@SETTINGS
@given(CHUNKS, st.randoms(use_true_random=False))
def test_hostile_bytes_never_raise_and_one_closed_comes_last(chunks: list[bytes], rng: random.Random) -> None:
    sonic = live()
    sonic.speak("hello", context_id="c", continue_=True, now=0.2)
    data = b"".join(chunks)
    while data:
        size = rng.randint(1, 40)
        sonic.receive_data(data[:size], 0.3)
        sonic.data_to_send(0.3)
        data = data[size:]
    sonic.receive_eof(0.4)
    for _ in range(3):
        due = sonic.next_timer()
        if due is not None:
            sonic.on_timer(due)
    events = drain(sonic)
    assert [type(event) for event in events].count(Closed) == 1
    assert type(events[-1]) is Closed
    assert sonic.state is State.CLOSED
    assert sonic.next_timer() is None


@SETTINGS
@given(st.dictionaries(st.text(max_size=12) | KEYS, VALUES, max_size=5))
def test_a_request_is_sent_as_json_or_refused_by_name(request: dict[str, Any]) -> None:
    sonic = live()
    sonic.data_to_send(0.1)
    refusal = ""
    try:
        sonic.generate(request, 0.2)
    except BadRequest as exc:
        refusal = exc.field
    told = b"".join(sonic.data_to_send(0.2))
    assert len(sonic.contexts) == bool(told) == (not refusal)
    if not refusal:
        ((_, data),) = unmask(told)
        assert {**json.loads(data), **request} == json.loads(data)
