"""How a tool is called and how its result leaves, three ways alike (HANDLERS §1.1, `.tool`).

| event | call | result |
|---|---|---|
| `agent.tool_call` (Managed client tool) | data `{id, name, parameters}` | command `agent.tool_result` |
| `agent.custom` | metadata `{"tool": name, "arguments": {…}, "id": …}` | `agent.custom` with `result`, or `error` |
| `http.request` | `POST <control url>/<name>`, the arguments as JSON | the reply |

A wrong call, a ToolError and a result that is too large are answered to the agent: the round is done, what the tool
commanded before stands. Any other exception fails the round as a handler's does.
Leaves out: the answer to an agent whose round failed, which only the edge can give.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from cordboard.contract import commands
from cordboard.contract import events as wire
from cordboard.contract.codec import JSON, check_json
from cordboard.contract.commands import MAX_TOOL_CALL_ID, MAX_TOOL_RESULT, is_tool_call_id
from cordboard.contract.records import EventRoute, ToolDescription

from .errors import BadRequest, ToolError
from .events import AgentEvent, HttpRequest
from .reply import HttpResponse
from .runner import Handler
from .secret import REDACTED, redact, whole
from .session import Session
from .tools import InvalidArguments, Tool
from .turn import Turn

TOOL_EVENTS: Final = ("agent.tool_call", "agent.custom", "http.request")
"""Events that may call a tool."""
MAX_ERROR: Final = 1_000  # characters; 4 bytes each fit MAX_TOOL_RESULT
_STATUS: Final = {"unknown_tool": 404, "invalid_arguments": 400, "tool_error": 422, "result_too_large": 500}
ErrorType = Literal["unknown_tool", "invalid_arguments", "tool_error", "result_too_large"]


@dataclass(frozen=True, slots=True)
class _Result:
    value: JSON
    """What the tool gave; of an error its text."""
    text: str
    """The value as JSON; of an error its text."""
    error_type: ErrorType | None = None
    line: str = ""
    """Where the tool stands, for messages."""


class Tools:
    """The tools of a scenario that this function holds."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def add(self, tool: Tool) -> None:
        """Take a tool. Raises ValueError for a second one of that name."""
        if tool.name in self._tools:
            raise ValueError(f"there are two tools {tool.name!r}: {self._tools[tool.name].line} and {tool.line}")
        self._tools[tool.name] = tool

    def describe(self) -> tuple[ToolDescription, ...]:
        """What the function says of them."""
        return tuple(tool.describe() for tool in self._tools.values())

    def routes(self, handled: Collection[str]) -> tuple[EventRoute, ...]:
        """By name for each tool and event; and, for events that no handler of this function listens to (`handled` are
        the types that have one), without a target: a call of no known tool is answered, too."""
        if not self._tools:
            return ()
        named = [
            EventRoute(t, tool.name, tool.timeout, tool=True) for t in TOOL_EVENTS for tool in self._tools.values()
        ]
        longest = max(tool.timeout for tool in self._tools.values())
        return (*named, *(EventRoute(t, None, longest, tool=True) for t in TOOL_EVENTS if t not in handled))

    def handler(self, event: wire.Event) -> Handler | None:
        """What answers an event that calls one of these tools; None: it calls none of them."""
        return self.otherwise(event.type) if wire.tool_called(event.type, event.data) in self._tools else None

    def otherwise(self, type_: str) -> Handler | None:
        """What answers an event of a type that no handler listens to; None: not tools."""
        return _Answers(self).by_type.get(type_) if self._tools else None

    async def run(self, session: Session[Any], name: str, arguments: object) -> _Result:
        """Check, call, and measure. Raises what the tool raises but ToolError; DecodeError for what is no JSON."""
        tool = self._tools.get(name)
        if tool is None:
            return _error("unknown_tool", f"there is no tool {name[:64]!r}; there are: {', '.join(self._tools)}")
        if not isinstance(arguments, Mapping):
            return _error("invalid_arguments", f"the arguments of {name} are no JSON object", tool)
        try:
            given = tool.arguments(arguments)
        except InvalidArguments as error:
            return _error("invalid_arguments", str(error), tool)
        try:
            returned = await tool.function(session, **given)
        except ToolError as error:
            return _error("tool_error", str(error) or f"{name} failed", tool)
        value: JSON = whole(check_json(returned, f"the result of tool {name!r}"))
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if (size := len(text.encode())) > MAX_TOOL_RESULT:
            problem = f"the result of {name} has {size} bytes, more than the {MAX_TOOL_RESULT} that a tool may return"
            return _error("result_too_large", problem, tool)
        return _Result(value, text, line=tool.line)


class _Answers:
    """The handlers that call tools."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.by_type: Final[Mapping[str, Handler]] = {
            "agent.tool_call": self._tool_call,
            "agent.custom": self._custom,
            "http.request": self._http_request,
        }

    async def _tool_call(self, session: Session[Any], event: AgentEvent) -> None:
        name, id_ = str(event.data.get("name", "")), str(event.data.get("id", ""))
        parameters = event.data.get("parameters")
        result = await self._run(session, name, {} if parameters is None else parameters)
        if event.data.get("expects_response") is False:
            return
        args = commands.AgentToolResult(id_, result.text, result.error_type is not None, result.error_type)
        _turn().emit(f"the result of tool {name!r}", "agent.tool_result", event.client.name, args, line=result.line)

    async def _custom(self, session: Session[Any], event: AgentEvent) -> None:
        name = wire.tool_called("agent.custom", {"data": event.data})
        if name is None:
            return  # a message for handlers, and none listens
        metadata = event.data["metadata"]
        id_, arguments = metadata.get("id"), metadata.get("arguments")
        result: _Result
        if id_ is not None and not is_tool_call_id(id_):
            result = _error(
                "invalid_arguments", f"id: write a text of at most {MAX_TOOL_CALL_ID} characters or a number"
            )
            id_ = None
        else:
            result = await self._run(session, name, {} if arguments is None else arguments)
        answer: dict[str, JSON] = {"tool": name[:64]}
        if id_ is not None:
            answer["id"] = id_
        if result.error_type is None:
            answer["result"] = result.value
        else:
            answer |= {"error": result.text, "error_type": result.error_type}
        args = commands.AgentCustom(answer)
        _turn().emit(f"the result of tool {name!r}", "agent.custom", event.client.name, args, line=result.line)

    async def _http_request(self, session: Session[Any], event: HttpRequest) -> HttpResponse:
        name = event.verb or ""
        if name in self._tools and event.method != "POST":  # a GET may be a preview or a crawler: it must do nothing
            return HttpResponse({"error": "call a tool with POST"}, status=405, headers={"Allow": "POST"})
        try:
            arguments = event.json() if event.content.strip() else {}
        except BadRequest as error:
            result = _error("invalid_arguments", str(error))
        else:
            result = await self._run(session, name, arguments)
        if result.error_type is not None:
            status = _STATUS[result.error_type]
            return HttpResponse({"error": result.text, "error_type": result.error_type}, status=status)
        if result.value is None:  # an empty body is no JSON
            return HttpResponse(b"null", headers={"Content-Type": "application/json"})
        return HttpResponse(result.value)

    async def _run(self, session: Session[Any], name: str, arguments: object) -> _Result:
        result = await self._tools.run(session, name, arguments)
        if result.error_type is not None:  # not its text: a private agent's words stand in no timeline
            _turn().log.add("WARNING", f"tool {name[:64]!r}: {result.error_type}", {})
        return result


def _turn() -> Turn:
    return Turn.require("a tool's result")


def _error(type_: ErrorType, text: str, tool: Tool | None = None) -> _Result:
    # neither a control URL's token nor the mark of a redacted one, which a command refuses; and Unicode text alone
    safe = redact(text[:MAX_ERROR]).replace(REDACTED, "/control/…").encode(errors="replace").decode()
    return _Result(safe, safe, type_, "" if tool is None else tool.line)
