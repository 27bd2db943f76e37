"""What an agent of the stand-in can do: the steps of its script, and the sounds that it makes.

The keys are explained in `script`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cordboard.line.tables import ScriptError, Table
from cordboard.line.tool import TOOL_TIMEOUT

Happening = Literal["ack", "speech", "speech_end", "dtmf", "custom"]

DTMF_DIGITS = "0123456789*#"
"""What the wire's `dtmf` may carry (reference cartesia-protocols §1.2.3)."""

MAX_TEXT = 2000
"""Characters of one spoken text: about two minutes of speech."""

MAX_SECONDS = 3600.0
"""Longest wait or tone in a script; longer is surely a mistake in the unit."""


@dataclass(frozen=True, slots=True)
class Text:
    """Something to be spoken."""

    text: str


@dataclass(frozen=True, slots=True)
class WavFile:
    """A recorded sound."""

    path: Path


@dataclass(frozen=True, slots=True)
class Tone:
    """A sine."""

    hz: float
    seconds: float


Sound = Text | WavFile | Tone


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for something that the caller or the wire does."""

    happening: Happening
    digit: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for time to pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Say:
    """Make a sound and wait until it was sent or interrupted."""

    sound: Sound


@dataclass(frozen=True, slots=True)
class Tool:
    """POST JSON to `url`, which may be `metadata.<key>` of the call's `start`."""

    url: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClientTool:
    """Call a tool that the client of the socket runs; wait for its answer, if one is expected, so many seconds."""

    name: str
    arguments: Mapping[str, Any]
    expects_response: bool
    timeout: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message; `event` and its own fields."""

    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """Send any text."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket in good order."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Abort:
    """Reset the TCP connection."""


Step = Wait | Pause | Say | Tool | ClientTool | Send | Raw | Close | Abort


def parse_sound(table: Table, key: str, value: object, folder: Path) -> Sound:
    if isinstance(value, str):
        if not value.strip() or len(value) > MAX_TEXT or "\0" in value:
            raise table.fault(key, f"must be a text of 1 to {MAX_TEXT} characters")
        return Text(value)
    inner = Table(f"{table.path}.{key}", value, what="a text, {wav = …} or {tone = …}")
    if len(inner.rest) != 1 or not inner.rest.keys() <= {"wav", "tone"}:
        raise table.fault(key, "must be a text, {wav = …} or {tone = …}")
    return _wav(inner, folder) if "wav" in inner.rest else _tone(inner)


def _wav(table: Table, folder: Path) -> WavFile:
    path = folder / table.take("wav", str, "")
    if not path.is_file():
        raise table.fault("wav", f"no such file: {path}")
    return WavFile(path)


def _tone(table: Table) -> Tone:
    inner = Table(f"{table.path}.tone", table.rest.pop("tone"))
    tone = Tone(inner.number("hz", 0, 20, 3800), inner.number("seconds", 0, 0.02, MAX_SECONDS))
    inner.done("hz, seconds")
    return tone


def parse_step(path: str, value: object, folder: Path) -> Step:
    """Return the step in one table of `steps`; raise `ScriptError`."""
    table = Table(path, value)
    if len(table.rest) != 1:
        raise ScriptError(f"{path}: must have exactly one key of {', '.join(STEPS)}")
    key = next(iter(table.rest))
    if key not in STEPS:
        raise table.fault(key, f"unknown step; known are {', '.join(STEPS)}")
    return STEPS[key](table, folder)


def _wait(table: Table, folder: Path) -> Step:
    value = table.rest["wait"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Pause(table.number("wait", 0, 0, MAX_SECONDS))
    if isinstance(value, dict):
        return Wait("dtmf", _digit(Table(f"{table.path}.wait", value)))
    return Wait(table.choice("wait", "ack", get_args(Happening)))


def _digit(table: Table) -> str:
    digit = table.take("dtmf", str, "")
    if len(digit) != 1 or digit not in DTMF_DIGITS:
        raise table.fault("dtmf", "must be one of 0-9, * and #")
    table.done("dtmf")
    return digit


def _tool(table: Table, folder: Path) -> Step:
    inner = Table(f"{table.path}.tool", table.rest["tool"])
    url = inner.take("url", str, "")
    if not url.startswith(("metadata.", "http://", "https://")):
        raise inner.fault("url", "must be http://…, https://… or metadata.<key>")
    body = _json_object(inner, "body")
    inner.done("url, body")
    return Tool(url, body)


def _client_tool(table: Table, folder: Path) -> Step:
    inner = Table(f"{table.path}.tool_call", table.rest["tool_call"])
    name = inner.take("name", str, "")
    if not name:
        raise inner.fault("name", "must name a tool")
    arguments = _json_object(inner, "arguments")
    expects_response = inner.take("expects_response", bool, True)
    timeout = inner.number("timeout", TOOL_TIMEOUT, 0.0, MAX_SECONDS)
    inner.done("name, arguments, expects_response, timeout")
    return ClientTool(name, arguments, expects_response, timeout)


def _json_object(table: Table, key: str) -> Mapping[str, Any]:
    value = table.take(key, dict, {})
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise table.fault(key, f"has no JSON form: {exc}") from exc
    return value


def _transfer(table: Table, folder: Path) -> Step:
    target = table.take("transfer_call", str, "")
    if not target:
        raise table.fault("transfer_call", "must be a phone number or a sip: URI")
    return Send(transfer_call(target))


def transfer_call(target: str) -> Mapping[str, Any]:
    """The agent gives the caller to a phone number or, with both spellings (§7 of the reference), to a `sip:` URI."""
    if target.lower().startswith(("sip:", "sips:")):
        destination = {"type": "sip", "value": target}
        return {"event": "transfer_call", "transfer": {"target_sip_uri": target}, "transfer_destination": destination}
    return {"event": "transfer_call", "transfer": {"target_phone_number": target}}


def _clear(table: Table, folder: Path) -> Step:
    if not table.take("clear", bool, False):
        raise table.fault("clear", "can only be true")
    return Send({"event": "clear"})


def _drop(table: Table, folder: Path) -> Step:
    value = table.rest["drop"]
    if value == "abort":
        return Abort()
    inner = Table(f"{table.path}.drop", value, what='"abort" or {code = …, reason = …}')
    code = inner.take("code", int, 0)
    if code not in range(3000, 5000) and code not in (1000, 1001, 1002, 1003, *range(1007, 1015)):
        raise inner.fault("code", "is no close code that may be sent (RFC 6455 §7.4)")
    reason = _reason(inner, "reason", "")
    inner.done("code, reason")
    return Close(code, reason)


def _reason(table: Table, key: str, prefix: str) -> str:
    reason = prefix + table.take(key, str, "")
    if len(reason.encode()) > 123:
        raise table.fault(key, "is longer than a close frame carries (RFC 6455 §5.5)")
    return reason


def _end(table: Table, folder: Path) -> Step:
    if table.rest["end"] == "":
        return Close(1000, "call ended by agent")
    return Close(1000, _reason(table, "end", "call ended by agent, reason: "))


STEPS: Mapping[str, Callable[[Table, Path], Step]] = {
    "wait": _wait,
    "say": lambda table, folder: Say(parse_sound(table, "say", table.take("say", str, ""), folder)),
    "wav": lambda table, folder: Say(_wav(table, folder)),
    "tone": lambda table, folder: Say(_tone(table)),
    "tool": _tool,
    "tool_call": _client_tool,
    "dtmf": lambda table, folder: Send({"event": "dtmf", "dtmf": _digit(table)}),
    "custom": lambda table, folder: Send({"event": "custom", "metadata": _json_object(table, "custom")}),
    "transfer_call": _transfer,
    "clear": _clear,
    "error": lambda table, folder: Send({"type": "error", **_json_object(table, "error")}),
    "raw": lambda table, folder: Raw(table.take("raw", str, "")),
    "drop": _drop,
    "end": _end,
}
"""How each key of a step is read."""
