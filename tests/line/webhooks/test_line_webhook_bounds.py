"""How large a webhook may be, and what is cut of one that is larger."""

import json
import logging
from typing import Any

import pytest

from cordboard.contract.webhooks import CallCompleted, CallTurn, read_webhook
from cordboard.line.transcript import MAX_ENTRIES, MAX_TOOL_CALLS
from cordboard.line.webhooks import bounds, envelope
from cordboard.line.webhooks.bounds import MAX_EVENT, bounded
from cordboard.line.webhooks.outbox import Outbox
from cordboard.line.webhooks.sender import Webhooks


def turn(number: int, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "text": f"turn {number}", "start_timestamp": float(number), **more}


def tool(size: int) -> dict[str, Any]:
    return {"id": "t", "name": "find", "arguments": {"q": "a" * size}, "result": {"rows": "b" * size}}


def completed(transcript: list[dict[str, Any]]) -> dict[str, Any]:
    call = {"id": "ac_1", "agent_id": "a", "status": "completed", "transcript": transcript}
    return envelope.call_ended(call, "w", "2026-01-01T00:00:00Z")


def test_what_fits_is_sent_as_it_is() -> None:
    event = completed([turn(0, tool_calls=[tool(5000)])])
    told, body = bounded(event)
    assert told == event == json.loads(body)


@pytest.mark.parametrize("size", [60_000, 300_000, 5_000_000])
def test_large_results_and_arguments_are_cut_and_the_words_stay(size: int) -> None:
    event = completed([turn(0, tool_calls=[tool(size), {**tool(10), "id": "small"}]), turn(1)])
    told, body = bounded(event)
    assert len(body) <= MAX_EVENT
    assert told == json.loads(body)
    assert told["_truncated"] == ["tool_calls"]
    first, second = told["call"]["transcript"]
    large, small = first["tool_calls"]
    assert (large["name"], large["result"]) == ("find", {"_truncated": True, "_bytes": size + len('{"rows":""}')})
    assert large["arguments"]["_truncated"] is True
    assert small == {**tool(10), "id": "small"}
    assert (first["text"], second, told["body"]) == ("turn 0", turn(1), told["call"]["transcript"])
    assert isinstance(read_webhook(told), CallCompleted)
    assert "_truncated" not in event


def test_of_very_many_turns_the_newest_are_told() -> None:
    chunks = [{"text": "word", "start_timestamp": 0.0}] * 50
    logged = {"event": "e", "metadata": {"x": "y" * 3000}, "timestamp": 0.0}
    many = [turn(at, text=f"{at} " + "é" * 9000, text_chunks=chunks, log_event=logged) for at in range(MAX_ENTRIES)]
    told, body = bounded(completed(many))
    assert 0.9 * MAX_EVENT < len(body) <= MAX_EVENT
    assert told["_truncated"] == ["logs", "text_chunks", "body", "text", "transcript"]
    transcript = told["call"]["transcript"]
    assert [entry["start_timestamp"] for entry in transcript] == [
        float(MAX_ENTRIES - len(transcript) + at) for at in range(len(transcript))
    ]
    assert transcript


def test_a_turn_with_every_tool_call_that_it_may_have_fits() -> None:
    one = turn(0, text="x" * 300_000, tool_calls=[tool(990)] * MAX_TOOL_CALLS)
    told, body = bounded(envelope.call_turn("ac_1", "a", one, "w", "t"))
    assert len(body) <= MAX_EVENT
    assert "text" in told["_truncated"]
    assert isinstance(read_webhook(told), CallTurn)


def test_the_log_says_what_was_cut(caplog: pytest.LogCaptureFixture) -> None:
    box = Outbox(None)
    webhooks = Webhooks("http://127.0.0.1:9/", "secret", box)
    with caplog.at_level(logging.WARNING, "cordboard.line.webhooks"):
        webhooks.ended(
            {"id": "ac_1", "agent_id": "a", "status": "completed", "transcript": [turn(0, tool_calls=[tool(300_000)])]}
        )
    assert caplog.messages == ["webhook call_completed of call ac_1 is cut: tool_calls"]
    (waiting,) = box.first_of_calls((), 1)
    assert len(waiting.body) <= bounds.MAX_EVENT
    box.close()
