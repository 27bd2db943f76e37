"""Plausible events: what a function says it listens to, as an edge would send it in the middle of a call.

One table of data by wire type; a test keeps it whole. Texts hold what is beyond ASCII, since hashes and lengths of
other languages go wrong there. Leaves out what only the user knows: which requests and tools mean what.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cordboard.contract.events import EVENTS
from cordboard.contract.records import Description, EventRoute, ObjectRecord, ToolDescription

CONTROL_URL: Final = "https://voice.example/control/conformance"
TOOL_CALL: Final = "tc_conformance"
"""Id of every tool call that is played."""
CUSTOM_DATA: Final[Mapping[str, Any]] = {"to": "+15550111", "order": 17}
"""What the starter of the session passed, unless the user says."""
_TEXT: Final = "Zoë 漢字 🙂"
_CALLER: Final = "+15550100"
_CALLED: Final = "+18005550100"
_JSON: Final = {"content-type": "application/json"}


def _post(content: str) -> dict[str, Any]:
    return {"method": "POST", "path": "/", "headers": _JSON, "content": content}


_PLAYER: Final = {"duration": 1.5, "call": "caller"}
_TRANSFER: Final = {"to": "+15550111", "mode": "blind", "code": 200, "reason": "OK"}
DATA: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "session.started": ({"access_secure_url": CONTROL_URL, "custom_data": {}},),
    "call.alerting": (
        {"callerid": _CALLER, "destination": _CALLED, "display_name": _TEXT, "headers": {"X-Order": "17"},
         "from_uri": f"sip:{_CALLER}@192.0.2.7", "to_uri": f"sip:{_CALLED}@192.0.2.8"},
        {"callerid": "anonymous", "destination": _CALLED},
    ),
    **{f"call.{name}": ({"headers": {}},) for name in ("ringing", "connected", "audio_started", "hold", "unhold")},
    "call.disconnected": ({"reason": "Normal call clearing", "duration": 12.5, "by": "them"}, {"by": "us"}),
    "call.failed": ({"code": 486, "reason": "Busy Here"}, {"code": 408}),
    "call.tone": ({"tone": "5"}, {"tone": "#"}),
    "call.gathered": (
        {"digits": "1", "reason": "complete"}, {"digits": "", "reason": "timeout"},
        {"digits": "", "reason": "interrupted"},
    ),
    "call.message": ({"mime": "text/plain", "body": _TEXT},),
    "call.info": ({"mime": "application/json", "body": "{}"},),
    "call.transfer_requested": (_TRANSFER,),
    "call.transfer_complete": (_TRANSFER,),
    "call.transfer_failed": ({**_TRANSFER, "code": 486, "reason": "Busy Here"},),
    "call.media_statistics": ({"packets_received": 500, "packets_sent": 498, "packets_lost": 2, "jitter": 0.004},),
    "call.playback_finished": ({"call": "caller"}, {"call": "caller", "error": "404"}),
    "http.request": (
        _post('{"action": "end_call"}'), _post('{"action": "call_transfer", "to": "sales"}'),
        _post(json.dumps({"text": _TEXT}, ensure_ascii=False)), _post("{"),
        {"method": "GET", "path": "/", "headers": {}, "content": ""},
    ),
    "agent.ack": ({"data": {"stream_id": "st_1"}},),
    "agent.clear": ({"data": {}},),
    "agent.dtmf": ({"data": {"dtmf": "5"}},),
    "agent.custom": ({"data": {"metadata": {"note": _TEXT}}}, {"data": {}}),
    "agent.transfer": ({"data": {"target_phone_number": "+15550111"}},),
    "agent.turn_started": ({"data": {"turn_id": "t1"}},),
    "agent.turn_ended": ({"data": {"turn_id": "t1", "text": _TEXT}},),
    "agent.tool_call": ({"data": {"id": TOOL_CALL, "name": "no_such_tool", "parameters": {}}},),
    "agent.unknown": ({"data": {"event": "from_tomorrow"}},),
    "agent.http_response": ({"data": {"status": 200}},),
    "agent.connector_information": ({"data": {"version": "1"}},),
    "agent.websocket_error": ({"data": {"message": "reset by peer"}},),
    "websocket.open": ({"data": {}},),
    "websocket.message": ({"data": {"text": _TEXT}},),
    "websocket.close": (
        {"code": 1000, "reason": "call ended by agent", "by": "agent", "expected": False},
        {"code": 1006, "by": "network"},
        {"code": 1000, "by": "us", "expected": True},
    ),
    "media.started": ({"source": "agent", "sink": "caller"},),
    "media.ended": ({"source": "agent", "sink": "caller"},),
    "media.replaced": ({"source": "agent", "sink": "caller", "by": "player"},),
    **{f"player.{name}": (_PLAYER,) for name in ("ready", "started", "stopped", "finished")},
    "player.failed": ({**_PLAYER, "reason": "404"},),
    "player.marker": ({"offset": 1.0, "call": "caller"},),
    "player.chunks_finished": ({"context_id": "c1", "time_to_first_byte": 0.12, "call": "caller"},),
    "record.started": ({},),
    "record.stopped": ({"url": "file:///recordings/recording.wav", "duration": 12.5},),
    "record.failed": ({"reason": "no space left"},),
    "command.failed": ({"command": "call.dial", "code": "refused", "message": "not allowed", "target": "consult"},),
    "timer": ({},),
    "session.terminating": ({"cause": "caller.hangup"},),
}  # fmt: skip
"""Wire type → data of one or more events; what a target decides is added by `samples`."""

_TARGETS: Final = {"call": "caller", "agent": "agent", "websocket": "agent", "media": "agent", "player": "player",
                   "record": "recording"}  # fmt: skip
_LEG_STATES: Final = {"call.alerting": "ALERTING", "call.ringing": "PROGRESSING", "call.disconnected": "TERMINATED",
                      "call.failed": "TERMINATED"}  # fmt: skip
_NOT_LEGS: Final = {"call.gathered": "menu", "call.playback_finished": "say"}
"""Types whose target is no leg → a name for it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One event to play."""

    label: str
    """What rows call it."""
    type: str
    """Wire type."""
    target: str | None
    """Name of the object that it happens to."""
    data: Mapping[str, Any]
    """Fields of the type's data class."""
    timeout: float
    """Seconds a round may take, as the function says."""
    custom_data: Mapping[str, Any] = field(default_factory=lambda: CUSTOM_DATA)
    """What the starter of the session passed."""

    def objects(self) -> tuple[ObjectRecord, ...]:
        """What lives when it happens."""
        if self.type in ("session.started", "session.terminating"):
            return ()
        caller = ObjectRecord("caller", "call", "leg_1", "CONNECTED", _CALLED, _CALLER, _TEXT, True)
        found = {"caller": caller}
        if self.type.startswith("call.") and self.target is not None and self.type not in _NOT_LEGS:
            state = _LEG_STATES.get(self.type, "CONNECTED")
            own = self.target == "caller"
            found[self.target] = ObjectRecord(
                self.target, "call", f"leg_{self.target}", state, _CALLED, _CALLER, _TEXT if own else "", own
            )
        if self.type not in ("call.alerting", "websocket.close"):
            found["agent"] = ObjectRecord("agent", "agent", "unit_1", "STARTED", web_socket_id="ws_1")
        if self.target is not None and self.type.startswith("player."):
            found[self.target] = ObjectRecord(self.target, "player", "unit_2", "ACTIVE")
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """An event that the user wants to see played."""

    label: str
    """Whence it is."""
    type: str
    """Wire type."""
    target: str | None
    """Name of the object that it happens to; None: as usual."""
    data: Mapping[str, Any]
    """Fields of the type's data class, decoded once before."""

    def fits(self, route: EventRoute) -> bool:
        """Whether the route would take it."""
        return self.type == route.type and route.target in (None, self.target)


@dataclass(frozen=True, slots=True)
class Given:
    """What only the user knows."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """What ApplicationStorage holds."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What `Secret.reveal` finds."""
    custom_data: Mapping[str, Any] = field(default_factory=lambda: CUSTOM_DATA)
    """What the starter of the session passed."""
    events: tuple[OwnEvent, ...] = ()
    """Played beside the plausible ones."""


def samples(description: Description, given: Given) -> list[Sample]:
    """Events that the function says it listens to, tools' calls left out."""
    return [
        each
        for route in description.events
        if route.type in EVENTS and not (route.tool and route.target is not None)
        for each in _samples(route, given)
    ]


def _samples(route: EventRoute, given: Given) -> Iterator[Sample]:
    target = route.target or _NOT_LEGS.get(route.type) or _TARGETS.get(route.type.partition(".")[0])
    label = f"{route.type}:{route.target}" if route.target else route.type
    if route.type == "timer":
        target = target or "timer"
    for number, data in enumerate(DATA[route.type]):
        own: Mapping[str, Any] = {}
        if route.type == "timer":
            own = {"timer": target}
        elif route.type == "session.started":
            own = {"custom_data": given.custom_data}
        name = f"{label} #{number + 1}" if number else label
        yield Sample(name, route.type, target, {**data, **own}, route.timeout, given.custom_data)
    for event in given.events:
        if event.fits(route):
            name = f"{label} of {event.label}"
            yield Sample(name, route.type, event.target or target, event.data, route.timeout, given.custom_data)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, and whether its arguments fit its schema."""

    sample: Sample
    good: bool
    tool: str
    """Its name."""


def tool_calls(tool: ToolDescription, given: Given) -> list[ToolCall]:
    """Every way to call it, once with arguments that fit and then with some that do not."""
    properties = tool.parameters.get("properties")
    known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
    named = tool.parameters.get("required")
    required = named if isinstance(named, list) else []
    good = {name: _fitting(schema) for name, schema in known.items() if name in required}
    wrong: list[object] = [{**good, name: {"neither": "text nor number"}} for name in known]
    if required:
        wrong.append({})
    if tool.parameters.get("additionalProperties") is False:
        wrong.append({**good, "unheard_of": 1})
    fitting: list[object] = [good, {name: _fitting(schema) for name, schema in known.items()}]
    tried = [(arguments, True) for arguments in fitting] + [(arguments, False) for arguments in wrong]
    return [call for arguments, fits in tried for call in _calls(tool, arguments, fits, given)]


def _calls(tool: ToolDescription, arguments: object, good: bool, given: Given) -> Iterator[ToolCall]:
    text = json.dumps(arguments, ensure_ascii=False)
    ways: Mapping[str, dict[str, Any]] = {
        "agent.tool_call": {"data": {"id": TOOL_CALL, "name": tool.name, "parameters": arguments}},
        "agent.custom": {"data": {"metadata": {"tool": tool.name, "arguments": arguments, "id": TOOL_CALL}}},
        "http.request": {
            "method": "POST", "path": f"/{tool.name}", "headers": _JSON, "content": text, "verb": tool.name
        },
    }  # fmt: skip
    for type_, data in ways.items():
        target = None if type_ == "http.request" else "agent"
        label = f"{type_} of tool {tool.name} with {text[:60]}"
        yield ToolCall(Sample(label, type_, target, data, tool.timeout, given.custom_data), good, tool.name)


def _fitting(schema: Any) -> Any:
    """A value that fits a parameter's JSON Schema."""
    if not isinstance(schema, Mapping):
        return _TEXT
    for word in ("enum", "anyOf"):
        options = schema.get(word)
        if isinstance(options, list) and options:
            return options[0] if word == "enum" else _fitting(options[0])
    match schema.get("type"):
        case "integer":
            return 2
        case "number":
            return 2.5
        case "boolean":
            return True
        case "array":
            return [_fitting(schema.get("items"))]
        case "null":
            return None
        case _:
            return _TEXT


_CALL: Final = {
    "id": "ac_conformance", "agent_id": "agent_1", "status": "completed", "end_reason": "client_hangup",
    "transcript": [{"role": "user", "text": _TEXT, "start_timestamp": 0.4, "end_timestamp": 1.2}],
}  # fmt: skip
_WEBHOOKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "call_started": {"call": {"id": "ac_conformance", "agent_id": "agent_1", "status": "started"}},
    "call_turn": {"turn": {"role": "user", "text": _TEXT, "start_timestamp": 0.4}},
    "call_completed": {"call": _CALL},
    "call_failed": {"call": {**_CALL, "status": "failed", "error_message": "the agent's process has ended"}},
    "post_call_analysis": {"analysis": {"summary": _TEXT}},
}


def webhook(type_: str) -> dict[str, Any]:
    """An envelope of a type; `*`: of one that nobody has heard of."""
    name = "from_tomorrow" if type_ == "*" else type_
    head = {"call_id": "ac_conformance", "agent_id": "agent_1", "webhook_id": "agent_webhook_1",
            "timestamp": "2026-04-16T01:08:50.061907836Z", "from_tomorrow": {"x": 1}}  # fmt: skip
    return {"type": name, **head, **_WEBHOOKS.get(name, {})}
