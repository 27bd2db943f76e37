"""Definition of a scenario: what import refuses, and what a function says of itself."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.scenario.rounds import invocation, payload, played

from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.patience import Fallback, Patience
from cordboard.contract.records import Description, EventRoute
from cordboard.contract.release import Release
from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Cartesia,
    Logger,
    OutsideTurn,
    Scenario,
    Session,
    VoxEngine,
    WebSocketEvents,
    events,
)


@dataclass
class Inner:
    note: str | None = "x"


@dataclass
class State:
    count: int = 0
    score: int | None = 5
    names: list[str] = field(default_factory=list)
    by_name: dict[str, int] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


async def nothing(session: Session[Any], event: events.Event) -> None:
    """A handler that does nothing."""


def test_a_description_holds_routes_defaults_and_policy() -> None:
    scenario = Scenario("desk", state=State, on_error="ignore", fallback=Fallback(code=503))
    scenario.on(AppEvents.CallAlerting, timeout=2.5)(nothing)
    scenario.on(CallEvents.Connected, CallEvents.Failed, target="consult", on_error="fallback")(nothing)
    scenario.log_only(Cartesia.AgentsEvents.ACK, Cartesia.Events.WebSocketMediaStarted, Cartesia.AgentsEvents.ACK)
    assert scenario.describe() == Description(
        "desk",
        (
            EventRoute("call.alerting", None, 2.5),
            EventRoute("call.connected", "consult", 5.0, "fallback"),
            EventRoute("call.failed", "consult", 5.0, "fallback"),
        ),
        ("agent.ack", "media.started"),
        "ignore",
        {"count": 0, "score": 5, "names": [], "by_name": {}, "inner": {"note": "x"}},
        fallback=Fallback(code=503),
    )


def test_a_description_holds_patience_and_fallbacks() -> None:
    shared, own = Patience(tone_after=0.7, prompt="one moment", fallback_after=5.0), Patience(tone_after=0.4)
    scenario = Scenario("desk", patience=shared, fallback=Fallback(to="+1555", callerid="+1444"))
    scenario.on(AppEvents.CallAlerting, patience=own, fallback=Fallback(code=503))(nothing)
    scenario.on(AppEvents.HttpRequest)(nothing)
    found = decode(Description, encode(scenario.describe()))
    assert found == scenario.describe()
    release = Release("r", {"app": found})
    assert release.patience("desk", "call.alerting", None) == own
    assert release.patience("desk", "http.request", None) == shared
    assert release.fallback("desk", "call.alerting", None) == Fallback(code=503)
    assert release.fallback("desk", "http.request", None) == Fallback(to="+1555", callerid="+1444")
    assert release.last_resort("desk") == Fallback(to="+1555", callerid="+1444")
    assert release.last_resort("other") is None


def test_a_fallback_that_is_asked_for_must_be_given() -> None:
    with pytest.raises(ValueError, match=r"Scenario\('s'\) has on_error=\"fallback\" and no fallback"):
        Scenario("s", on_error="fallback")
    with pytest.raises(ValueError, match=r"Scenario\('s'\) has patience with fallback_after and no fallback"):
        Scenario("s", patience=Patience(fallback_after=5.0))
    with pytest.raises(ValueError, match=r"scenario.on\(timer\) has on_error=\"fallback\" and no fallback"):
        Scenario("s").on(AppEvents.Timer, on_error="fallback")
    Scenario("s").on(AppEvents.Timer, on_error="fallback", fallback=Fallback(prompt="goodbye"))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Patience(tone_after=0.1), "tone_after"),
        (lambda: Patience(prompt="x", prompt_after=61), "prompt_after"),
        (lambda: Patience(fallback_after=0), "fallback_after"),
        (lambda: Patience(prompt="x" * 1501), "prompt"),
        (lambda: Fallback(callerid="+1"), "to"),
        (lambda: Fallback(to="+1", timeout=0), "timeout"),
        (lambda: Fallback(code=302), "code"),
        (lambda: Fallback(prompt=" "), "prompt"),
    ],
)
def test_what_no_patience_can_be_is_refused_by_name(make: Callable[[], object], field: str) -> None:
    with pytest.raises(DecodeError) as refused:
        make()
    assert refused.value.path == field


def test_one_handler_for_each_event_and_target() -> None:
    scenario = Scenario("s")
    scenario.on(AppEvents.Timer, target="a")(nothing)
    scenario.on(AppEvents.Timer, target="b")(nothing)
    scenario.on(AppEvents.Timer)(nothing)

    async def other(session: Session[None], event: events.Timer) -> None: ...

    with pytest.raises(ValueError, match=r"nothing .* and .*other .* both listen to timer of 'a'"):
        scenario.on(AppEvents.Timer, target="a")(other)


def test_what_is_no_handler_is_refused_at_import() -> None:
    scenario = Scenario("s")
    with pytest.raises(TypeError, match="names no event"):
        scenario.on()
    with pytest.raises(TypeError, match="write async def"):
        scenario.on(AppEvents.Timer)(lambda session, event: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="seconds above 0"):
        scenario.on(AppEvents.Timer, timeout=0)
    with pytest.raises(ValueError, match="name"):
        Scenario("")


@dataclass
class NoDefault:
    count: int


@dataclass
class NoJson:
    when: object = field(default_factory=object)


@dataclass
class WrongDefault:
    count: int = "x"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "part"),
    [(dict, "must be a dataclass"), (NoDefault, "'count' has no default"), (NoJson, "when"), (WrongDefault, "count")],
)
def test_a_state_that_cannot_travel_is_refused_at_import(kind: type, part: str) -> None:
    with pytest.raises(TypeError, match=part):
        Scenario("s", state=kind)


def test_state_is_saved_whole_once_changed_and_read_strictly() -> None:
    scenario = Scenario("s", state=State)

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[State], event: events.Timer) -> None:
        assert session.state.inner == Inner("x")
        session.state.score = None
        session.state.inner.note = None
        session.state.names += ["a"]

    event = played(scenario, invocation("timer", None, {"timer": "t"}, state={"count": 4}))
    assert event.last.state is not None
    saved = {"count": 4, "score": None, "names": ["a"], "by_name": {}, "inner": {"note": None}}
    assert (event.last.state.base_version, event.last.state.data) == (3, saved)
    for wrong in ({"count": "4"}, {"unknown": 1}, {"names": [1]}):
        failed = played(scenario, invocation("timer", None, {"timer": "t"}, state=wrong))
        assert failed.last.error is not None
        assert failed.last.error.type == "DecodeError"


def test_namespaces_outside_of_a_handler_say_what_to_write() -> None:
    with pytest.raises(OutsideTurn, match="at import, in a thread, or after its event"):
        VoxEngine.terminate()
    with pytest.raises(OutsideTurn, match="create_agents_client"):
        Cartesia.create_agents_client(api_key="k", agent_id="a", cartesia_version="2025-04-16")
    with pytest.raises(OutsideTurn, match="ApplicationStorage"):
        asyncio.run(ApplicationStorage.require("K"))
    Logger.write("standard logging takes it")


def test_what_is_no_invocation_is_refused() -> None:
    scenario = Scenario("s")
    with pytest.raises(DecodeError, match="session"):
        asyncio.run(scenario.run({}))
    asked = payload(invocation("timer", None, {"timer": "t"}))
    with pytest.raises(DecodeError, match=r"event\.type"):
        asyncio.run(scenario.run({**asked, "event": {**asked["event"], "type": "no.such"}}))
    assert asyncio.run(scenario.run({**asked, "of_a_newer_edge": 1}))["error"]["type"] == "not_found"


def test_data_that_does_not_fit_its_event_fails_the_round() -> None:
    scenario = Scenario("s")
    scenario.on(WebSocketEvents.CLOSE)(nothing)
    failed = played(scenario, invocation("websocket.close", "agent", {"code": "x"}))
    assert failed.last.error is not None
    assert (failed.last.error.type, "event.data.code" in failed.last.error.message) == ("DecodeError", True)
