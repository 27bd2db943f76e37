"""Keeps a webhook below the size that receivers take: what a program's tools returned is cut first, words last.

The service documents no limit. A receiver's own is often less than a megabyte, and a refused end of a call is lost.
Leaves out the call's metadata, which its own limit keeps small.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

MAX_EVENT: Final = 200_000
"""Bytes of an event: Cordboard hands 256 KB to a function, AWS Lambda takes no more of an asynchronous invocation."""

MAX_VALUE: Final = 1000
"""Bytes of a tool's arguments or result, of a logged event or metric, in an event that is too large."""

MAX_TEXT: Final = 4000
"""Characters of one turn in an event that is still too large: five minutes of speech."""

TRUNCATED: Final = "_truncated"
"""Names in an event what was cut out of it; in place of a value it is true."""


def bounded(event: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The event and its JSON of at most MAX_EVENT bytes. What had to be cut stands in `_truncated`, in this order:
    `tool_calls`, `logs`, `text_chunks`, `body`, `text`, `transcript` (its oldest turns are gone)."""
    told, body = dict(event), _json(event)
    cuts: list[str] = []
    for name, cut in _CUTS.items():
        if len(body) <= MAX_EVENT:
            break
        shorter = cut(told)
        if shorter != told:
            told = {**shorter, TRUNCATED: [*cuts, name]}
            cuts.append(name)
            body = _json(told)
    return told, body


def _each_turn(event: Mapping[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The event with all of its turns changed."""
    told = dict(event)
    if "turn" in told:
        told["turn"] = change(told["turn"])
    if "body" in told:
        told["body"] = [change(turn) for turn in told["body"]]
    if "transcript" in told.get("call", ()):
        told["call"] = {**told["call"], "transcript": [change(turn) for turn in told["call"]["transcript"]]}
    return told


def _without_values(turn: dict[str, Any]) -> dict[str, Any]:
    if "tool_calls" not in turn:
        return turn
    calls = [{name: _short(value) for name, value in call.items()} for call in turn["tool_calls"]]
    return {**turn, "tool_calls": calls}


def _without_logs(turn: dict[str, Any]) -> dict[str, Any]:
    logs = ("log_event", "log_metric")
    return {
        name: {key: _short(item) for key, item in value.items()} if name in logs and value else value
        for name, value in turn.items()
    }


def _without_chunks(turn: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in turn.items() if name != "text_chunks"}


def _without_body(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "body"}


def _with_short_text(turn: dict[str, Any]) -> dict[str, Any]:
    text = turn.get("text", "")
    return turn if len(text) <= MAX_TEXT else {**turn, "text": f"{text[: MAX_TEXT - 1]}…"}


def _with_newest_turns(event: dict[str, Any]) -> dict[str, Any]:
    if "transcript" not in event.get("call", ()):
        return {**event, "turn": {**event["turn"], "tool_calls": []}} if "turn" in event else event
    transcript = event["call"]["transcript"]
    empty = {**event, "call": {**event["call"], "transcript": []}}
    left = MAX_EVENT - len(_json(empty)) - 200  # of the name that says so
    kept = 0
    for size in _sizes(transcript):
        left -= size
        if left < 0:
            break
        kept += 1
    return {**event, "call": {**event["call"], "transcript": transcript[len(transcript) - kept :]}}


def _sizes(transcript: list[Any]) -> Iterator[int]:
    return (len(_json(turn)) + 1 for turn in reversed(transcript))


_CUTS: Final[Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "tool_calls": lambda event: _each_turn(event, _without_values),
    "logs": lambda event: _each_turn(event, _without_logs),
    "text_chunks": lambda event: _each_turn(event, _without_chunks),
    "body": _without_body,
    "text": lambda event: _each_turn(event, _with_short_text),
    "transcript": _with_newest_turns,
}


def _short(value: object) -> object:
    size = len(_json(value))
    return value if size <= MAX_VALUE else {TRUNCATED: True, "_bytes": size}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
