"""The wire between the harness and agent code: what is sent to a `cartesia-line` program, and how its answers are read.

Follows reference cartesia-protocols §3.1-§3.4 (SDK 0.2.8 to 0.2.19). Leaves out the URL query of SDKs before 0.2.8,
which take no `start`: `opening` tells them apart. Fields that are not known are ignored; types that are not known are
`Unknown`; what a known type must have and has not raises `AgentFault`. Values that are no JSON, such as NaN, are
replaced (`json_values`), whatever the type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cordboard.line.json_values import read

Message = Mapping[str, Any]

MAX_CONTENT = 10_000
"""Characters of one `message`: pieces are streamed words; ten minutes of speech in one piece are a mistake."""

MAX_DESTINATION = 256
"""Characters of a transfer's destination: a SIP URI with parameters."""


MAX_SETTINGS = 64
"""Settings of a call: the SDK knows five (§3.4)."""

MAX_NAME = 80
"""Characters of a setting's name."""

MAX_SETTING = 1000
"""Characters of a setting's value as JSON: ids and languages have fewer than 40."""


class AgentFault(Exception):
    """The agent program did something that the protocol does not allow, or did nothing in time."""


class CallRejected(AgentFault):
    """The program's `pre_call_handler` refused the call (403)."""


@dataclass(frozen=True, slots=True)
class Output:
    """Any message of the program."""

    responding_to: str | None
    """`event_id` of the event that made the program speak; an id of the SDK's own for the opening turn."""


@dataclass(frozen=True, slots=True)
class Say(Output):
    """`message`: a piece of text, to be joined verbatim with its neighbours."""

    content: str
    """The piece."""
    interruptible: bool
    """Whether the caller's voice may end it."""


@dataclass(frozen=True, slots=True)
class Dtmf(Output):
    """`dtmf`: a digit for the caller's side."""

    button: str
    """One of 0-9, * and #."""


@dataclass(frozen=True, slots=True)
class EndCall(Output):
    """`end_call`: hang up when all queued speech was heard."""

    reason: str
    """Free text; empty for none."""
    interruptible: bool
    """Whether the caller's voice takes it back."""


@dataclass(frozen=True, slots=True)
class Transfer(Output):
    """`transfer`: to somebody else, when all queued speech was heard."""

    destination: str
    """A phone number, or a SIP URI with its scheme."""
    interruptible: bool
    """Whether the caller's voice takes it back."""


@dataclass(frozen=True, slots=True)
class Custom(Output):
    """`custom`: application data for the client."""

    metadata: Message
    """The data."""


@dataclass(frozen=True, slots=True)
class Config(Output):
    """`config`: voice and language from now on."""

    changes: Message
    """Fields that are not null, flat: `tts.voice_id`, `tts.pronunciation_dict_id`, `tts.language`, `stt.language`,
    `language`, and whatever else came."""


@dataclass(frozen=True, slots=True)
class Note(Output):
    """`tool_call`, `log_event` or `log_metric`: for the record of the call alone."""

    kind: str
    """The message's type."""
    fields: Message
    """The message without `type` and `responding_to`."""


@dataclass(frozen=True, slots=True)
class ResponseEnd(Output):
    """`response_end`: the program says no more in answer to that event."""


@dataclass(frozen=True, slots=True)
class Failed(Output):
    """`error`: the program crashed, and closes."""

    content: str
    """What it says about it, often a traceback."""


@dataclass(frozen=True, slots=True)
class Unknown(Output):
    """A type that this reader does not know."""

    kind: str
    """The type, cut."""


# Reading


def parse(data: str | bytes, complain: Callable[[str], None] = lambda flaw: None) -> dict[str, Any]:
    """Return the JSON object of a message; raise `AgentFault`. `complain` is as in `json_values.read`."""
    if isinstance(data, bytes):
        raise AgentFault("binary message; this wire has only text")
    try:
        message = read(data, complain)
    except ValueError:
        raise AgentFault("message is not JSON") from None
    if not isinstance(message, dict):
        raise AgentFault("message is not a JSON object")
    return message


def decode(message: Message) -> Output:
    """Return what a parsed message means; raise `AgentFault`."""
    kind = message.get("type")
    to = message.get("responding_to")
    if to is not None and not isinstance(to, str):
        raise AgentFault(f"{str(kind)[:40]}: responding_to is not a string")
    match kind:
        case "message":
            content = _text(message, "content")
            if len(content) > MAX_CONTENT:
                raise AgentFault(f"message: content has more than {MAX_CONTENT} characters")
            return Say(to, content, _flag(message, "interruptible"))
        case "dtmf":
            button = _text(message, "button")
            if len(button) != 1 or button not in "0123456789*#":
                raise AgentFault("dtmf: button is not one of 0-9, * and #")
            return Dtmf(to, button)
        case "end_call":
            reason = message.get("reason")
            return EndCall(to, "" if reason is None else _text(message, "reason"), _flag(message, "interruptible"))
        case "transfer":
            return Transfer(to, _destination(message), _flag(message, "interruptible"))
        case "custom":
            return Custom(to, _object(message, "metadata"))
        case "config":
            return Config(to, flat(message))
        case "tool_call" | "log_event" | "log_metric":
            _text(message, "event" if kind == "log_event" else "name")
            rest = {key: value for key, value in message.items() if key not in ("type", "responding_to")}
            return Note(to, kind, rest)
        case "response_end":
            return ResponseEnd(to)
        case "error":
            return Failed(to, _text(message, "content"))
        case _:
            return Unknown(to, str(kind)[:40])


def flat(config: Message) -> dict[str, Any]:
    """Return the fields of a configuration that are not null, those of its tables as `table.key`.

    Raises `AgentFault` for what is too large.
    """
    found = _flat(config)
    if len(found) > MAX_SETTINGS:
        raise AgentFault(f"config: more than {MAX_SETTINGS} settings")
    for name, value in found.items():
        if len(name) > MAX_NAME:
            raise AgentFault(f"config: a setting's name has more than {MAX_NAME} characters")
        if len(json.dumps(value)) > MAX_SETTING:
            raise AgentFault(f"config: {name} has more than {MAX_SETTING} characters")
    return found


def _flat(config: Message) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if key in ("type", "responding_to") or value is None:
            continue
        if isinstance(value, dict):
            found.update({f"{key}.{inner}": item for inner, item in value.items() if item is not None})
        else:
            found[key] = value
    return found


def _destination(message: Message) -> str:
    """Both forms (§3.4): typed since SDK 0.2.18, a bare phone number before."""
    destination = message.get("transfer_destination")
    if destination is None:
        destination = {"type": "phone", "value": message.get("target_phone_number")}
    if not isinstance(destination, dict):
        raise AgentFault("transfer: transfer_destination is not an object")
    value, kind = destination.get("value"), destination.get("type")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_DESTINATION or not value.isprintable():
        raise AgentFault("transfer: there is no destination")
    if kind not in ("phone", "sip_uri"):
        raise AgentFault("transfer: the destination's type is neither phone nor sip_uri")
    if (kind == "sip_uri") is not value.lower().startswith(("sip:", "sips:")):
        raise AgentFault(f"transfer: the destination's value is no {kind}")
    return value


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise AgentFault(f"{message['type']}: {key} is not a string")
    return value


def _flag(message: Message, key: str) -> bool:
    value = message.get(key)
    if value is not None and not isinstance(value, bool):
        raise AgentFault(f"{message['type']}: {key} is not a boolean")
    return value is not False


def _object(message: Message, key: str) -> dict[str, Any]:
    value = message.get(key)
    if not isinstance(value, dict):
        raise AgentFault(f"{message['type']}: {key} is not an object")
    return value


# The opening


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls whom, as both opening messages tell it."""

    call_id: str
    """The `stream_id` of the client's socket."""
    agent_call_id: str
    """`ac_…`."""
    from_: str
    """The caller."""
    to: str
    """Who was called."""
    agent: Message
    """`id`, and `system_prompt` and `introduction` when the client gave them."""
    metadata: Message
    """Of the client's `start`."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The program's answer to `POST /chats`."""

    path: str
    """Path and query of the WebSocket on the same host."""
    wants_start: bool
    """Whether it names a `cartesia_version`: then the first message is `start` (§3.1)."""
    metadata: Message
    """The caller's, with what `pre_call_handler` added."""
    config: Message
    """Flat, see `flat`."""


def chat(caller: Caller) -> Message:
    """Body of `POST /chats`, with both spellings of the caller: the SDK reads `from_`, the documents say `from`."""
    return {
        "call_id": caller.call_id,
        "from": caller.from_,
        "from_": caller.from_,
        "to": caller.to,
        "agent_call_id": caller.agent_call_id,
        "agent": dict(caller.agent),
        "metadata": dict(caller.metadata),
    }


def opening(status: int, body: str, complain: Callable[[str], None] = lambda flaw: None) -> Opening:
    """Read the answer to `POST /chats`; raise `CallRejected` or `AgentFault`. `complain` as in `json_values.read`."""
    if status == 403:
        raise CallRejected("the agent rejected the call")
    if status != 200:
        raise AgentFault(f"POST /chats was answered with {status}")
    try:
        answer = read(body, complain)
    except ValueError:
        raise AgentFault("POST /chats: the answer is not JSON") from None
    path = answer.get("websocket_url") if isinstance(answer, dict) else None
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or not _is_target(path):
        raise AgentFault("POST /chats: websocket_url is not a path on the same host")
    metadata, config = answer.get("metadata") or {}, answer.get("config") or {}
    if not isinstance(metadata, dict) or not isinstance(config, dict):
        raise AgentFault("POST /chats: metadata or config is not an object")
    versioned = bool(answer.get("cartesia_version")) or "cartesia_version" in parse_qs(urlsplit(path).query)
    return Opening(path, versioned, metadata, flat(config))


def _is_target(path: str) -> bool:
    return path.isascii() and path.isprintable() and not {" ", "#"} & set(path)


# Sending


def start(caller: Caller, metadata: Message, api_base_url: str, agent_token: str | None = None) -> Message:
    """The first message of the WebSocket (§3.2). `agent_token` opens the knowledge base, where one is served."""
    return {
        "type": "start",
        "call_id": caller.call_id,
        "from": caller.from_,
        "to": caller.to,
        "agent_call_id": caller.agent_call_id,
        "agent": dict(caller.agent),
        "metadata": dict(metadata),
        "agent_token": agent_token,
        "api_base_url": api_base_url,
    }


def user_state(value: str, event_id: str) -> Message:
    """The caller's turn begins (`speaking`) or ends (`idle`)."""
    return {"type": "user_state", "value": value, "event_id": event_id}


def transcript(content: str, event_id: str) -> Message:
    """What the caller said."""
    return {"type": "message", "content": content, "event_id": event_id}


def dtmf(button: str, event_id: str) -> Message:
    """A digit of the caller."""
    return {"type": "dtmf", "button": button, "event_id": event_id}


def custom(metadata: Message, event_id: str) -> Message:
    """Application data of the client."""
    return {"type": "custom", "metadata": dict(metadata), "event_id": event_id}


def agent_state(value: str, event_id: str) -> Message:
    """The agent's speech begins (`speaking`) or is over (`idle`)."""
    return {"type": "agent_state", "value": value, "event_id": event_id}


def agent_speech(content: str, event_id: str) -> Message:
    """A word of the agent that was heard."""
    return {"type": "agent_speech", "content": content, "event_id": event_id}


def validation_error(text: str, event_id: str) -> Message:
    """A message of the program was not understood."""
    return {
        "type": "validation_error",
        "error_message": text,
        "error_type": "invalid_message",
        "event_id": event_id,
    }
