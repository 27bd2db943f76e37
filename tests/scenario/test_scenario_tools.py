"""One tool, three ways: how a call arrives, what is checked, and what the agent is told."""

import json
from typing import Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenario.rounds import AGENT, CALLER, Played, invocation, played

from cordboard.contract.codec import decode
from cordboard.contract.commands import MAX_TOOL_RESULT, AgentToolResult
from cordboard.scenario import (
    JSON,
    AppEvents,
    Cartesia,
    HttpResponse,
    Scenario,
    Session,
    ToolError,
    VoxEngine,
    events,
)

WAYS = ("agent.tool_call", "agent.custom", "http.request")


def restaurant() -> Scenario[None]:
    scenario = Scenario("restaurant")

    @scenario.tool()
    async def find_table(
        session: Session[None],
        day: str,
        seats: int,
        room: Literal["in", "out"] = "in",
        *,
        budget: float | None = None,
        tags: list[str] = [],  # noqa: B006 (a tool's default is JSON, and not written to)
        quiet: Optional[bool] = None,  # noqa: UP045 (both spellings are taken)
    ) -> JSON:
        if seats > 12:
            VoxEngine.set_timeout("asked", seconds=1)
            raise ToolError("large parties: offer a call back")
        return {"day": day, "seats": seats, "room": room, "budget": budget, "tags": tags, "quiet": quiet}

    @scenario.tool("end_call", timeout=2.0)
    async def hang_up(session: Session[None]) -> JSON:
        session.calls["caller"].hangup(after="playout")
        return "ok"

    @scenario.tool()
    async def echo(session: Session[None], size: int) -> JSON:
        return "x" * size

    @scenario.tool()
    async def nothing(session: Session[None]) -> JSON:
        return None

    @scenario.tool()
    async def broken(session: Session[None]) -> JSON:
        VoxEngine.terminate()
        raise RuntimeError("of the code")

    @scenario.tool()
    async def no_json(session: Session[None]) -> JSON:
        return {"when": object()}  # type: ignore[dict-item]

    @scenario.tool()
    async def waits(session: Session[None], to: str) -> JSON:
        await VoxEngine.set_timeout("first", seconds=1)
        VoxEngine.set_timeout("second", seconds=1)
        return {"to": to, "url": session.access_secure_url}

    return scenario


SCENARIO = restaurant()


def call(way: str, name: str, arguments: object, scenario: Scenario[Any] = SCENARIO) -> Played:
    match way:
        case "agent.tool_call":
            data: dict[str, Any] = {"data": {"id": "tc_1", "name": name, "parameters": arguments}}
        case "agent.custom":
            data = {"data": {"metadata": {"tool": name, "arguments": arguments, "id": "tc_1"}}}
        case _:
            data = {"method": "POST", "path": f"/{name}", "verb": name, "content": json.dumps(arguments)}
    target = None if way == "http.request" else "agent"
    return played(scenario, invocation(way, target, data, objects=(CALLER, AGENT)))


def told(event: Played) -> tuple[object, str | None]:
    """(result or error text, error type) as the agent has it."""
    last = event.last
    assert last.status == "done", last.error
    if last.reply is not None:
        value = json.loads(last.reply.content())
        assert last.reply.headers.get("Content-Type", "application/json") == "application/json"
        return (value, None) if last.reply.status == 200 else (value["error"], value["error_type"])
    command = last.commands[-1]
    assert command.target == "agent"
    if command.type == "agent.custom":
        metadata = command.args["metadata"]
        assert metadata["id"] == "tc_1"
        return (metadata["result"], None) if "result" in metadata else (metadata["error"], metadata["error_type"])
    args = decode(AgentToolResult, command.args)
    assert (command.type, args.id, args.is_error) == ("agent.tool_result", "tc_1", args.error_type is not None)
    return (args.result if args.is_error else json.loads(args.result)), args.error_type


def acted(event: Played) -> list[str]:
    """Commands but the one that carries the result."""
    return [c for c in event.commands if not c.startswith(("agent.tool_result", "agent.custom"))]


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_gets_its_arguments_and_the_agent_its_result(way: str) -> None:
    given = {"day": "Friday", "seats": 4}
    whole = {"day": "Friday", "seats": 4, "room": "in", "budget": None, "tags": [], "quiet": None}
    assert told(call(way, "find_table", given)) == (whole, None)
    more = {"room": "out", "budget": 20, "tags": ["a", "b"], "quiet": True}
    assert told(call(way, "find_table", given | more)) == (whole | more, None)
    event = call(way, "end_call", {})
    assert (told(event), acted(event)) == (("ok", None), ["call.hangup caller"])
    assert told(call(way, "nothing", {})) == (None, None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"day": "Friday"}, "seats: missing"),
        ({"day": "Friday", "seats": "4"}, "seats: expected a whole number, got a string"),
        ({"day": "Friday", "seats": True}, "seats: expected a whole number, got true or false"),
        ({"day": "Friday", "seats": 4.5}, "seats: expected a whole number"),
        ({"day": 5, "seats": 4}, "day: expected a string"),
        ({"day": None, "seats": 4}, "day: expected a string, got null"),
        ({"day": "Friday", "seats": 4, "room": "roof"}, "room: 'roof' is none of 'in', 'out'"),
        ({"day": "Friday", "seats": 4, "budget": "much"}, "budget: expected a finite number"),
        ({"day": "Friday", "seats": 4, "budget": 10**400}, "budget: expected a finite number"),
        ({"day": "Friday", "seats": 4, "tags": ["a", 1]}, "tags[1]: expected a string"),
        ({"day": "Friday", "seats": 4, "tags": "a"}, "tags: expected a list"),
        ({"day": "Friday", "seats": 4, "quiet": 1}, "quiet: expected true or false"),
        ({"day": "Friday", "seats": 4, "party": 1}, "'party' is no parameter"),
        ({"seats": "x"}, "day: missing; seats: expected"),
        ([1], "the arguments of find_table are no JSON object"),
        ("text", "no JSON object"),
    ],
)
def test_arguments_that_do_not_fit_are_named_to_the_agent(way: str, arguments: object, part: str) -> None:
    text, error_type = told(call(way, "find_table", arguments))
    assert isinstance(text, str)
    if part.endswith("no JSON object") and way == "http.request":
        part = "no JSON object"
    assert (error_type, part in text) == ("invalid_arguments", True), text


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_error_is_read_by_the_agent_and_the_round_stands(way: str) -> None:
    event = call(way, "find_table", {"day": "Friday", "seats": 13})
    assert told(event) == ("large parties: offer a call back", "tool_error")
    assert acted(event) == ["timer.set asked"]
    assert event.logs == ["tool 'find_table': tool_error"]


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_that_is_not_there_is_answered_with_those_that_are(way: str) -> None:
    text, error_type = told(call(way, "find_chair", {}))
    assert isinstance(text, str)
    assert (error_type, "no tool 'find_chair'" in text, "find_table, end_call" in text) == ("unknown_tool", True, True)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_has_at_most_4096_bytes_of_json(way: str) -> None:
    fits = MAX_TOOL_RESULT - len('""')
    assert told(call(way, "echo", {"size": fits})) == ("x" * fits, None)
    text, error_type = told(call(way, "echo", {"size": fits + 1}))
    assert (text, error_type) == (
        "the result of echo has 4097 bytes, more than the 4096 that a tool may return",
        "result_too_large",
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "kind"), [("broken", "RuntimeError"), ("no_json", "DecodeError")])
def test_any_other_exception_fails_the_round_as_a_handlers_does(way: str, name: str, kind: str) -> None:
    event = call(way, name, {})
    assert event.last.error is not None
    assert (event.last.status, event.last.error.type, event.commands) == ("failed", kind, [])


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_may_await_and_is_replayed(way: str) -> None:
    event = call(way, "waits", {"to": "+1"})
    assert [answer.status for answer in event.answers] == ["suspended", "done"]
    assert acted(event) == ["timer.set first", "timer.set second"]
    value, _ = told(event)
    assert value == {"to": "+1", "url": "https://edge.example/control/t0k3n-of-the-session"}


def test_the_results_command_names_the_tools_line() -> None:
    command = call("agent.tool_call", "end_call", {}).last.commands[-1]
    assert command.line.startswith("scenario/test_scenario_tools.py:")


def test_a_call_without_arguments_and_one_that_expects_no_response() -> None:
    for data in ({"id": "tc", "name": "end_call"}, {"id": "tc", "name": "end_call", "parameters": None}):
        event = played(SCENARIO, invocation("agent.tool_call", "agent", {"data": data}, objects=(CALLER, AGENT)))
        assert event.commands == ["call.hangup caller", "agent.tool_result agent"]
    silent = {"id": "tc", "name": "end_call", "expects_response": False}
    event = played(SCENARIO, invocation("agent.tool_call", "agent", {"data": silent}, objects=(CALLER, AGENT)))
    assert event.commands == ["call.hangup caller"]


@pytest.mark.parametrize(
    ("id_", "answer"),
    [
        (None, {"tool": "end_call", "result": "ok"}),
        (7, {"tool": "end_call", "id": 7, "result": "ok"}),
        ("", {"tool": "end_call", "id": "", "result": "ok"}),
    ],
)
def test_the_id_of_a_custom_call_comes_back(id_: object, answer: dict[str, Any]) -> None:
    data = {"data": {"metadata": {"tool": "end_call", "id": id_}}}
    event = played(SCENARIO, invocation("agent.custom", "second", data, objects=(CALLER,)))
    assert (event.last.commands[-1].args["metadata"], event.last.commands[-1].target) == (answer, "second")


@pytest.mark.parametrize("id_", ["x" * 257, 2**63, True, 1.5, [], {}])
def test_an_id_that_no_answer_can_carry_runs_nothing(id_: object) -> None:
    data = {"data": {"metadata": {"tool": "end_call", "id": id_}}}
    event = played(SCENARIO, invocation("agent.custom", "agent", data, objects=(CALLER, AGENT)))
    assert event.commands == ["agent.custom agent"]
    assert event.last.commands[0].args["metadata"]["error_type"] == "invalid_arguments"


def request(method: str, verb: str | None, content: str = "", scenario: Scenario[Any] = SCENARIO) -> Played:
    data = {"method": method, "path": f"/{verb or ''}", "verb": verb, "content": content}
    return played(scenario, invocation("http.request", None, data))


@pytest.mark.parametrize(
    ("method", "verb", "content", "status", "commands"),
    [
        ("POST", "end_call", "", 200, ["call.hangup caller"]),
        ("POST", "end_call", "{}", 200, ["call.hangup caller"]),
        ("GET", "end_call", "", 405, []),
        ("POST", "end_call", "{", 400, []),
        ("POST", "end_call", "[]", 400, []),
        ("POST", "echo", '{"size": 1e999}', 400, []),
        ("POST", "echo", '{"size": NaN}', 400, []),
        ("POST", "find_table", '{"day": "F", "seats": 13}', 422, ["timer.set asked"]),
        ("POST", "echo", '{"size": 5000}', 500, []),
        ("POST", "other", "{}", 404, []),
        ("POST", None, "{}", 404, []),
        ("GET", None, "", 404, []),
    ],
)
def test_a_control_request_is_answered_by_status(
    method: str, verb: str | None, content: str, status: int, commands: list[str]
) -> None:
    event = request(method, verb, content)
    assert event.last.reply is not None
    assert (event.last.reply.status, event.commands) == (status, commands)


def test_what_calls_no_tool_and_has_no_handler_is_left_alone() -> None:
    for data in ({}, {"data": {"metadata": {"stage": 1}}}, {"data": {"metadata": {"tool": 1}}}, {"data": {"x": 1}}):
        event = played(SCENARIO, invocation("agent.custom", "agent", data))
        assert (event.last.status, event.commands) == ("done", [])


def test_a_tool_wins_over_a_handler_which_keeps_the_rest() -> None:
    scenario = restaurant()

    @scenario.on(AppEvents.HttpRequest)
    async def on_request(session: Session[None], event: events.HttpRequest) -> HttpResponse:
        return HttpResponse({"handler": event.verb}, status=201)

    @scenario.on(Cartesia.AgentsEvents.Custom, target="agent")
    async def on_custom(session: Session[None], event: events.AgentEvent) -> None:
        event.client.custom({"handler": True})

    assert told(call("http.request", "end_call", {}, scenario)) == ("ok", None)
    other = request("GET", "status", scenario=scenario).last.reply
    assert other is not None
    assert (other.status, other.body) == (201, '{"handler":"status"}')
    assert told(call("agent.custom", "end_call", {}, scenario)) == ("ok", None)
    args = call("agent.custom", "not_ours", {}, scenario).last.commands[0].args
    assert args == {"metadata": {"handler": True}}


def test_an_error_text_holds_neither_a_token_nor_half_a_character() -> None:
    scenario = Scenario("s")

    @scenario.tool()
    async def tell(session: Session[None], how: Literal["a"]) -> JSON:
        raise ToolError("at " + session.access_secure_url + "/x \ud800" + "y" * 5_000)

    text, _ = told(call("agent.tool_call", "tell", {"how": "a"}, scenario))
    assert isinstance(text, str)
    assert text.startswith("at https://edge.example/control/…/x ?yy")
    assert len(text) <= 1_010
    text, _ = told(call("agent.tool_call", "tell", {"how": "/control/***", "\ud800" * 99: 1}, scenario))
    assert isinstance(text, str)
    assert "how: " in text
    assert "/control/***" not in text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
arguments = st.dictionaries(st.sampled_from(["day", "seats", "room", "budget", "tags", "quiet", "x"]), json_values)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WAYS), arguments | json_values)
def test_hostile_arguments_are_always_answered(way: str, given: object) -> None:
    if given is None and way == "http.request":
        given = {}
    _, error_type = told(call(way, "find_table", given))
    assert error_type in (None, "invalid_arguments", "tool_error")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WAYS[:2]), json_values)
def test_hostile_data_raises_nothing(way: str, data: object) -> None:
    event = played(SCENARIO, invocation(way, "agent", {"data": data}))
    assert (event.last.status, event.last.error and event.last.error.type) in (
        ("done", None), ("failed", "DecodeError"), ("failed", "ValueError"),
    )  # fmt: skip
