"""A tool's definition: what the function says of it, how its calls are routed, and what import refuses."""

import asyncio
import functools
import json
from typing import Any, Literal

import pytest
from tests.scenario.rounds import invocation, payload, played

from cordboard.contract.codec import decode, encode
from cordboard.contract.records import Description, EventRoute, ToolDescription
from cordboard.contract.release import Release, RouteConflict
from cordboard.scenario import JSON, AppEvents, Cartesia, Scenario, Session, events

WAYS = ("agent.tool_call", "agent.custom", "http.request")


def test_a_description_holds_schemas_timeouts_and_routes() -> None:
    scenario = Scenario("s")

    @scenario.tool(timeout=7.5)
    async def find(
        session: Session[None],
        day: str,
        tags: list[int],
        room: Literal["in", 1] = "in",
        near: float | None = None,
    ) -> JSON:
        return None

    @scenario.tool()
    async def stop(session: Session[None]) -> JSON:
        return None

    scenario.on(AppEvents.HttpRequest)(on_anything)
    described = scenario.describe()
    schema = {
        "type": "object",
        "properties": {
            "day": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "integer"}},
            "room": {"enum": ["in", 1], "default": "in"},
            "near": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        },
        "required": ["day", "tags"],
        "additionalProperties": False,
    }
    empty = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert described.tools == (ToolDescription("find", schema, 7.5), ToolDescription("stop", empty, 5.0))
    assert described.events == (
        EventRoute("http.request"),
        *(EventRoute(t, name, s, tool=True) for t in WAYS for name, s in (("find", 7.5), ("stop", 5.0))),
        EventRoute("agent.tool_call", None, 7.5, tool=True),
        EventRoute("agent.custom", None, 7.5, tool=True),
    )
    assert decode(Description, json.loads(json.dumps(encode(described)))) == described


async def on_anything(session: Session[Any], event: events.Event) -> None:
    """A handler that does nothing."""


def one_tool(name: str, *handled: Any) -> Description:
    scenario = Scenario("s")

    async def tool(session: Session[None]) -> JSON:
        return name

    scenario.tool(name)(tool)
    for constant in handled:
        scenario.on(constant)(on_anything)
    return scenario.describe()


def function_of(release: Release, type_: str, target: str | None, data: dict[str, Any]) -> str | None:
    found = release.route("s", type_, release.routing_target("s", type_, target, data))
    return None if found is None else found[0]


def test_an_exact_name_finds_its_function_and_the_rest_goes_to_handlers() -> None:
    plain = Scenario("s")
    plain.on(AppEvents.HttpRequest)(on_anything)
    plain.on(Cartesia.AgentsEvents.Custom, target="agent")(on_anything)
    for functions in (
        {"One": one_tool("a"), "Two": one_tool("b"), "Plain": plain.describe()},
        {"Plain": plain.describe(), "One": one_tool("a"), "Two": one_tool("b")},
    ):
        release = Release("r", functions)

        def custom(name: object) -> dict[str, Any]:
            return {"data": {"metadata": {"tool": name}}}

        cases: list[tuple[str, str | None, dict[str, Any], str | None]] = [
            ("agent.tool_call", "agent", {"data": {"name": "a"}}, "One"),
            ("agent.tool_call", "agent", {"data": {"name": "b"}}, "Two"),
            ("agent.tool_call", "agent", {"data": {"name": "c"}}, "One"),  # answers: unknown_tool
            ("agent.tool_call", "agent", {"data": 1}, "One"),
            ("agent.custom", "agent", custom("b"), "Two"),
            ("agent.custom", "agent", custom("c"), "Plain"),
            ("agent.custom", "agent", custom(7), "Plain"),
            ("agent.custom", "second", custom("c"), "One"),
            ("http.request", None, {"verb": "a"}, "One"),
            ("http.request", None, {"verb": "b"}, "Two"),
            ("http.request", None, {"verb": "c"}, "Plain"),
            ("http.request", None, {"verb": None}, "Plain"),
            ("timer", "a", {"timer": "a"}, None),
        ]
        for type_, target, data, function in cases:
            assert function_of(release, type_, target, data) == function, (type_, data)


def test_two_functions_may_not_hold_one_tool_and_a_handlers_exact_target_is_no_tool() -> None:
    with pytest.raises(RouteConflict, match=r"'One' and 'Two' both listen to agent.tool_call of 'a'"):
        Release("r", {"One": one_tool("a"), "Two": one_tool("a")})
    exact = Description("s", (EventRoute("agent.custom", "agent"),))
    data = {"data": {"metadata": {"tool": "agent"}}}
    assert Release("r", {"E": exact}).routing_target("s", "agent.custom", "second", data) == "second"


# -- what import refuses


async def bare(session, day):  # type: ignore[no-untyped-def]
    """A parameter without an annotation."""


async def stars(session: Session[None], *days: str) -> JSON:
    return None


async def free(session: Session[None], **days: str) -> JSON:
    return None


async def positional(session: Session[None], day: str, /) -> JSON:
    return None


async def an_object(session: Session[None], day: dict[str, str]) -> JSON:
    return None


async def a_union(session: Session[None], day: str | int) -> JSON:
    return None


async def a_bare_list(session: Session[None], day: list) -> JSON:  # type: ignore[type-arg]
    return None


async def bytes_literal(session: Session[None], day: Literal[b"x"]) -> JSON:
    return None


async def not_there(session: Session[None], day: "Nowhere") -> JSON:  # type: ignore[name-defined]  # noqa: F821
    return None


async def wrong_default(session: Session[None], day: int = "x") -> JSON:  # type: ignore[assignment]
    return None


async def no_session() -> JSON:
    return None


async def keyword_session(*, session: Session[None]) -> JSON:
    return None


def no_coroutine(session: Session[None]) -> JSON:
    return None


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (bare, "parameter 'day' has no annotation; write str"),
        (stars, "parameter 'days' has no name"),
        (free, "parameter 'days' has no name"),
        (positional, "parameter 'day' has no name"),
        (an_object, r"parameter 'day' is dict\[str, str\]; write str"),
        (a_union, "parameter 'day' is str | int"),
        (a_bare_list, "parameter 'day' is <class 'list'>"),
        (bytes_literal, "parameter 'day'"),
        (not_there, "an annotation cannot be read: name 'Nowhere'"),
        (wrong_default, "the default of day: expected a whole number"),
        (no_session, "first parameter is the session"),
        (keyword_session, "first parameter is the session"),
        (no_coroutine, "write async def"),
    ],
)
def test_what_an_agent_could_not_call_is_refused_at_import(function: Any, part: str) -> None:
    with pytest.raises(TypeError, match=part):
        Scenario("s").tool()(function)


@pytest.mark.parametrize("name", ["", "1st", "two words", "a/b", "x" * 65, "ü"])
def test_a_name_fits_a_url_and_a_model(name: str) -> None:
    with pytest.raises(ValueError, match="a name is 1 to 64"):
        Scenario("s").tool(name)(tool_of_its_own)


async def tool_of_its_own(session: "OnlyForTypeCheckers", day: "str | None" = None) -> JSON:  # type: ignore[name-defined]  # noqa: F821
    return day


def test_a_tool_is_itself_and_its_sessions_class_need_not_exist_at_run_time() -> None:
    scenario: Scenario[Any] = Scenario("s")
    assert scenario.tool()(tool_of_its_own) is tool_of_its_own
    data = {"method": "POST", "path": "/tool_of_its_own", "verb": "tool_of_its_own", "content": '{"day": "Friday"}'}
    reply = played(scenario, invocation("http.request", None, data)).last.reply
    assert reply is not None
    assert reply.body == '"Friday"'
    with pytest.raises(ValueError, match=r"two tools 'tool_of_its_own': scenario/test_tool_definitions\.py:\d+ and"):
        scenario.tool()(tool_of_its_own)
    with pytest.raises(ValueError, match="timeout=0: seconds above 0"):
        scenario.tool("other", timeout=0)(tool_of_its_own)


def test_a_decorated_tool_keeps_its_signature_and_its_written_annotations() -> None:
    async def seat(session: Session[None], room: "Literal['in', 'out']") -> JSON:
        return room

    @functools.wraps(seat)
    async def counted(*args: Any, **given: Any) -> JSON:
        return [1, await seat(*args, **given)]

    scenario = Scenario("s")
    scenario.tool()(counted)
    (described,) = scenario.describe().tools
    assert (described.name, described.parameters["properties"]) == ("seat", {"room": {"enum": ["in", "out"]}})
    data = {"method": "POST", "path": "/seat", "verb": "seat", "content": '{"room": "out"}'}
    reply = played(scenario, invocation("http.request", None, data)).last.reply
    assert reply is not None
    assert reply.body == '[1,"out"]'


def test_a_tool_and_a_handler_of_one_target_are_refused_in_either_order() -> None:
    first: Scenario[Any] = Scenario("s")
    first.on(AppEvents.HttpRequest, target="status")(on_anything)
    with pytest.raises(ValueError, match=r"the tool 'status' both answer http\.request"):
        first.tool("status")(tool_of_its_own)
    second: Scenario[Any] = Scenario("s")
    second.tool("agent")(tool_of_its_own)
    with pytest.raises(ValueError, match=r"the tool 'agent' both answer agent\.custom"):
        second.on(Cartesia.AgentsEvents.Custom, target="agent")(on_anything)


def test_without_tools_a_tool_call_has_nobody() -> None:
    asked = invocation("agent.tool_call", "agent", {"data": {"name": "x"}})
    answer = asyncio.run(Scenario("s").run(payload(asked)))
    assert answer["error"]["type"] == "not_found"
