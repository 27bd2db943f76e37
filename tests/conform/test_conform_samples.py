"""The events that are played are ones that an edge could send, and there is one for each that it can."""

from typing import Any

import pytest

from cordboard.conform.samples import DATA, Given, OwnEvent, samples, tool_calls, webhook
from cordboard.contract.codec import decode
from cordboard.contract.events import EVENTS
from cordboard.contract.records import Description, EventRoute
from cordboard.contract.webhooks import WEBHOOKS, Unknown, read_webhook
from cordboard.scenario import JSON, Scenario, Session

scenario = Scenario("tools")


@scenario.tool()
async def find(session: Session[None], day: str, seats: int, room: str | None = None, near: bool = False) -> JSON:
    return [day, seats, room, near]


@scenario.tool()
async def wait(session: Session[None]) -> JSON:
    return None


def test_every_event_of_the_contract_has_one() -> None:
    assert DATA.keys() == EVENTS.keys(), "add the new event's data to cordboard.conform.samples.DATA"


@pytest.mark.parametrize("type_", DATA)
@pytest.mark.parametrize("target", [None, "consult"])
def test_its_data_fits_the_contract(type_: str, target: str | None) -> None:
    found = samples(Description("any", (EventRoute(type_, target, 2.0),)), Given())
    assert len(found) == len(DATA[type_]) == len({each.label for each in found})
    for each in found:
        decode(EVENTS[type_], each.data)
        assert target is None or each.target == target
        assert each.timeout == 2.0
        names = [record.name for record in each.objects()]
        assert len(names) == len(set(names))


def test_a_leg_that_is_not_the_caller_lives_beside_it() -> None:
    (failed, _) = samples(Description("any", (EventRoute("call.failed", "consult"),)), Given())
    states = {record.name: (record.kind, record.state, record.incoming) for record in failed.objects()}
    assert states["consult"] == ("call", "TERMINATED", False)
    assert states["caller"] == ("call", "CONNECTED", True)
    assert states["agent"][1] == "STARTED"


def test_what_the_user_gives_is_played_where_it_fits() -> None:
    own = OwnEvent("mine.json", "call.tone", "consult", {"tone": "7"})
    routes = (EventRoute("call.tone"), EventRoute("call.tone", "other"), EventRoute("session.started"))
    given = Given(custom_data={"x": 1}, events=(own,))
    found = {each.label: each for each in samples(Description("any", routes), given)}
    assert [label for label in found if "mine" in label] == ["call.tone of mine.json"]
    assert (found["call.tone of mine.json"].target, found["call.tone of mine.json"].data) == ("consult", {"tone": "7"})
    assert found["session.started"].data["custom_data"] == {"x": 1} == found["session.started"].custom_data


def test_tools_are_called_in_every_way_with_what_fits_and_what_does_not() -> None:
    by_name = {tool.name: tool for tool in scenario.describe().tools}
    calls = tool_calls(by_name["find"], Given())
    assert {call.sample.type for call in calls} == {"agent.tool_call", "agent.custom", "http.request"}
    arguments: list[tuple[bool, Any]] = [
        (call.good, call.sample.data["data"]["parameters"]) for call in calls if call.sample.type == "agent.tool_call"
    ]
    assert [given for good, given in arguments if good] == [
        {"day": "Zoë 漢字 🙂", "seats": 2},
        {"day": "Zoë 漢字 🙂", "seats": 2, "room": "Zoë 漢字 🙂", "near": True},
    ]
    wrong = {"neither": "text nor number"}
    assert [given for good, given in arguments if not good] == [
        *({"day": "Zoë 漢字 🙂", "seats": 2} | {name: wrong} for name in ("day", "seats", "room", "near")),
        {},
        {"day": "Zoë 漢字 🙂", "seats": 2, "unheard_of": 1},
    ]
    assert not any(not call.good and "{}" in call.sample.label for call in tool_calls(by_name["wait"], Given()))


@pytest.mark.parametrize("type_", [*WEBHOOKS, "*"])
def test_webhooks_read_as_what_they_are(type_: str) -> None:
    assert type(read_webhook(webhook(type_))) is WEBHOOKS.get(type_, Unknown)
