"""Every event that a handler may have is built from the wire's, live objects or not."""

import dataclasses
from typing import Any

import pytest
from tests.scenario.rounds import AGENT, ALERTING, CALLER, invocation, played

from cordboard.contract.events import EVENTS
from cordboard.scenario import AppEvents, CallEvents, Cartesia, EventType, Scenario, Session, WebSocketEvents, events
from cordboard.scenario.events import BUILDERS
from cordboard.scenario.vocabulary import PlayerEvents

NEEDED: dict[str, dict[str, Any]] = {
    "session.started": {"access_secure_url": "https://e/control/t", "custom_data": {"to": "+1"}},
    "call.alerting": ALERTING,
    "call.failed": {"code": 486},
    "call.tone": {"tone": "5"},
    "call.gathered": {"digits": "1"},
    "call.playback_finished": {"call": "caller"},
    "player.marker": {"offset": 1.5},
    "player.chunks_finished": {"context_id": "c", "time_to_first_byte": 0.1},
    "call.transfer_complete": {"to": "+1"},
    "call.transfer_failed": {"to": "+1"},
    "http.request": {"method": "GET", "path": "/"},
    "timer": {"timer": "t"},
    "media.replaced": {"source": "agent", "sink": "caller", "by": "consult"},
    "command.failed": {"command": "call.ring", "code": "timeout"},
    "session.terminating": {"cause": "caller.hangup"},
    "websocket.close": {"code": 1006},
    "media.started": {"source": "agent"},
    "media.ended": {"source": "agent"},
}
CONSTANTS = {
    constant.name: constant
    for home in (AppEvents, CallEvents, PlayerEvents, WebSocketEvents, Cartesia.AgentsEvents, Cartesia.Events)
    for constant in vars(home).values()
    if isinstance(constant, EventType)
}


def received(type_: str, target: str | None, objects: tuple[Any, ...]) -> events.Event:
    scenario = Scenario("s")
    seen: list[events.Event] = []

    @scenario.on(CONSTANTS[type_])
    async def handler(session: Session[None], event: Any) -> None:
        seen.append(event)

    last = played(scenario, invocation(type_, target, NEEDED.get(type_, {}), objects=objects)).last
    assert last.status == "done", last.error
    return seen[0]


def test_each_constant_has_a_builder_and_each_builder_a_constant() -> None:
    assert set(BUILDERS) - set(CONSTANTS) == {"agent.tool_call"}  # answered by tools alone
    assert set(CONSTANTS) <= set(BUILDERS)
    assert set(BUILDERS) <= set(EVENTS)


@pytest.mark.parametrize("type_", sorted(CONSTANTS))
@pytest.mark.parametrize("live", [True, False])
def test_an_event_arrives_as_its_class(type_: str, live: bool) -> None:
    target = "agent" if type_.startswith(("agent.", "websocket.", "media.")) else "caller"
    event = received(type_, target, (CALLER, AGENT) if live else ())
    assert (event.id, event.seq, event.name) == ("s_1:7", 7, type_)
    assert event.at.isoformat() == "2026-11-20T20:00:01.123000+00:00"
    for item in dataclasses.fields(event):
        assert getattr(event, item.name) is not None or item.name in ("verb", "target", "call")
    if isinstance(event, events.CallEvent):
        assert event.call.id() == ("leg-1" if live else "caller")
    for kind in (events.AgentEvent, events.WebSocketClose, events.MediaEvent):
        if isinstance(event, kind):
            assert event.client.web_socket_id() == ("socket-1" if live else "")


def test_gathered_digits_do_not_stand_in_the_print_of_their_event() -> None:
    event = received("call.gathered", "menu", ())
    assert isinstance(event, events.Gathered)
    assert event.digits == "1"
    assert "digits" not in repr(event)


def test_a_control_url_in_an_event_prints_without_its_token() -> None:
    event = received("session.started", None, ())
    assert "https://e/control/***" in repr(event)
