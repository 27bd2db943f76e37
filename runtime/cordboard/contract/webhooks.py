"""Cartesia's webhooks as typed events, and how the edge hands one to a function.

Follows the seed "observability", Webhooks, and reference cartesia-protocols §4.5 and §4.7. Reads leniently: null is as
if it were not there, values of a vocabulary are any text, and `raw` keeps what has no field here.
Leaves out the envelope of 2025 without `call_id`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from .codec import JSON, DecodeError, check_json, decode
from .records import AnswerError

WEBHOOK_SCHEMA: Final = "cordboard.webhook/1"

WebhookType: TypeAlias = Literal["call_started", "call_turn", "call_completed", "call_failed", "post_call_analysis"]
"""The documented types."""


@dataclass(frozen=True, slots=True)
class CallTurnDetails:
    """One utterance, in a call_turn and in a transcript."""

    role: str
    """user or assistant; in a transcript also system, whose entries are log events and metrics."""
    text: str = ""
    """What was said."""
    start_timestamp: float | None = None
    """Seconds from the call's start."""
    end_timestamp: float | None = None
    """Seconds from the call's start."""
    tts_ttfb: float | None = None
    """The agent's time to first audio, seconds."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """Tools called during the turn: id, name, arguments, result."""


@dataclass(frozen=True, slots=True)
class CallDetails:
    """A call as `GET /agents/calls/{call_id}` gives it."""

    id: str
    """`ac_…`."""
    agent_id: str = ""
    """`agent_…`."""
    agent_name: str = ""
    """Its name at Cartesia."""
    status: str = ""
    """started, completed or failed."""
    start_time: str | None = None
    """RFC 3339."""
    end_time: str | None = None
    """RFC 3339; None before the end."""
    end_reason: str | None = None
    """client_hangup, agent_hangup, inactivity, …"""
    transcript: tuple[CallTurnDetails, ...] = ()
    """Turns in order."""
    telephony_params: Mapping[str, Any] = field(default_factory=dict)
    """from, to, direction, call_sid, connection_type."""
    error_message: str | None = None
    """Of a failed call."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the call was started with."""
    summary: str | None = None
    """If there is one at the time of the event."""


@dataclass(frozen=True, slots=True)
class AnalysisDetails:
    """What the analysis after a call found."""

    summary: str = ""
    """One or two sentences."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What every event tells."""

    type: str
    """`call_started` …"""
    call_id: str
    """The call."""
    agent_id: str
    """Its agent."""
    webhook_id: str
    """The webhook's configuration at Cartesia."""
    timestamp: str
    """RFC 3339, of the event; the same when it is delivered again."""
    raw: Mapping[str, Any]
    """The whole envelope as it came."""


@dataclass(frozen=True, slots=True)
class CallStarted(WebhookEvent):
    """A call's session began."""

    call: CallDetails
    """What is known of it yet."""


@dataclass(frozen=True, slots=True)
class CallTurn(WebhookEvent):
    """Caller or agent has spoken."""

    turn: CallTurnDetails
    """The utterance."""


@dataclass(frozen=True, slots=True)
class CallCompleted(WebhookEvent):
    """A call ended normally."""

    call: CallDetails
    """The call with its transcript."""


@dataclass(frozen=True, slots=True)
class CallFailed(WebhookEvent):
    """A call ended with an error."""

    call: CallDetails
    """The call; `error_message` says what went wrong."""


@dataclass(frozen=True, slots=True)
class PostCallAnalysis(WebhookEvent):
    """The analysis after a call is ready."""

    analysis: AnalysisDetails
    """What it found."""


@dataclass(frozen=True, slots=True)
class Unknown(WebhookEvent):
    """A type that was not documented when this was written; everything is in `raw`."""


WEBHOOKS: Final[Mapping[str, type[WebhookEvent]]] = {
    "call_started": CallStarted,
    "call_turn": CallTurn,
    "call_completed": CallCompleted,
    "call_failed": CallFailed,
    "post_call_analysis": PostCallAnalysis,
}
"""Type → class."""


@dataclass(frozen=True, slots=True)
class WebhookInvocation:
    """A verified event on its way from the edge to a function."""

    event: Mapping[str, Any]
    """The envelope as it came."""
    schema: Literal["cordboard.webhook/1"] = "cordboard.webhook/1"
    """Version of this record."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What the function answers."""

    status: Literal["done", "failed"]
    """done: the handler returned."""
    error: AnswerError | None = None
    """Only with failed."""
    schema: Literal["cordboard.webhook_answer/1"] = "cordboard.webhook_answer/1"
    """Version of this record."""


def read_webhook(value: object) -> WebhookEvent:
    """The event of an envelope. Raises DecodeError that names the field."""
    if not isinstance(value, Mapping):
        raise DecodeError("", "expected an object")
    raw = check_json(value, "")
    assert isinstance(raw, Mapping)
    type_ = raw.get("type")
    kind = WEBHOOKS.get(type_, Unknown) if isinstance(type_, str) else Unknown
    known = _without_null(raw)
    assert isinstance(known, dict)
    return decode(kind, {**known, "raw": raw}, unknown="ignore")


def webhook_key(event: WebhookEvent) -> str:
    """What is equal for every delivery of one event and differs between events, 64 hex digits.

    A call starts, ends and is analysed once; a turn is named by its speaker and its start. An unknown type goes by
    `request_id`, where the envelope has one, else by its time.
    """
    parts: list[JSON] = [event.type, event.call_id]
    match event:
        case CallTurn(turn=turn):
            parts += [turn.role, event.timestamp if turn.start_timestamp is None else turn.start_timestamp]
        case Unknown():
            parts.append(event.raw.get("request_id") or event.timestamp)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _without_null(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {name: _without_null(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_null(item) for item in value]
    return value
