"""Scenario: its handlers, what it says of itself, and its entry for Lambda, for workers and in process."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeAlias, TypeVar, overload

from cordboard.contract.codec import JSON, encode
from cordboard.contract.events import Event
from cordboard.contract.patience import Fallback, Patience
from cordboard.contract.records import DESCRIBE_SCHEMA, Description, EventRoute

from .binding import Stores
from .process_loop import run_alone
from .runner import Handler, read_invocation, run_round
from .session import Session, check_state_class
from .stamp import code_stamp
from .tool_calls import TOOL_EVENTS, Tools
from .tools import make_tool
from .vocabulary import EventType

OnError: TypeAlias = Literal["terminate", "ignore", "fallback"]
S = TypeVar("S")
E = TypeVar("E")
R = TypeVar("R")
P = ParamSpec("P")


class Scenario(Generic[S]):
    """A named set of handlers; it may span several modules and functions."""

    @overload
    def __init__(
        self: "Scenario[None]",
        name: str,
        *,
        on_error: OnError | None = None,
        patience: Patience | None = None,
        fallback: Fallback | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        state: type[S],
        on_error: OnError | None = None,
        patience: Patience | None = None,
        fallback: Fallback | None = None,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        state: Any = None,
        on_error: OnError | None = None,
        patience: Patience | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        """`state`: a dataclass with a default for each field; `patience`: what a call hears while a handler is late;
        `fallback`: what becomes of it without its handler. Raises TypeError, ValueError at import."""
        if not name:
            raise ValueError("a scenario's name is a text that is not empty")
        self.name = name
        self._state: type | None = state
        self._state_default = {} if state is None else check_state_class(state)
        self._on_error = on_error
        self._patience = patience
        self._fallback = fallback
        self._check_fallback(f"Scenario({name!r})", on_error, patience, fallback)
        self._handlers: dict[tuple[str, str | None], Handler] = {}
        self._tools = Tools()
        self._routes: list[EventRoute] = []
        self._log_only: list[str] = []

    def on(
        self,
        *event: EventType[E, R],
        target: str | None = None,
        timeout: float = 5.0,
        on_error: OnError | None = None,
        patience: Patience | None = None,
        fallback: Fallback | None = None,
    ) -> Callable[[Callable[[Session[S], E], Awaitable[R]]], Callable[[Session[S], E], Awaitable[R]]]:
        """Register a handler; `timeout` in seconds a round. Raises at import: TypeError, ValueError for a second one.

        An exact `target` (name of object, timer or gather) wins over none. `on_error`, `patience` and `fallback` take
        the place of the scenario's.
        """
        if not event:
            raise TypeError("scenario.on() names no event: @scenario.on(AppEvents.CallAlerting)")
        if not timeout > 0:
            raise ValueError(f"timeout={timeout}: seconds above 0")
        self._check_fallback(f"scenario.on({event[0].name})", on_error, patience, fallback)

        def register(handler: Callable[[Session[S], E], Awaitable[R]]) -> Callable[[Session[S], E], Awaitable[R]]:
            if not inspect.iscoroutinefunction(handler):
                raise TypeError(f"{_named(handler)} is no async function: write async def")
            for kind in event:
                self._add(EventRoute(kind.name, target, timeout, on_error, False, patience, fallback), handler)
            return handler

        return register

    def _check_fallback(
        self, where: str, on_error: OnError | None, patience: Patience | None, fallback: Fallback | None
    ) -> None:
        if fallback is not None or self._fallback is not None:
            return
        for wanted, what in (
            (on_error == "fallback", 'on_error="fallback"'),
            (patience is not None and patience.fallback_after is not None, "patience with fallback_after"),
        ):
            if wanted:
                raise ValueError(f"{where} has {what} and no fallback: give fallback=Fallback(...)")

    def _add(self, route: EventRoute, handler: Handler) -> None:
        key = (route.type, route.target)
        if key in self._handlers:
            both = f"{_named(self._handlers[key])} and {_named(handler)}"
            raise ValueError(f"{both} both listen to {route.type} of {route.target!r}; there is one handler for each")
        if route.type in TOOL_EVENTS and route.target in self._tools:
            raise ValueError(_both(handler, route.type, route.target))
        self._handlers[key] = handler
        self._routes.append(route)

    def tool(
        self, name: str | None = None, *, timeout: float = 5.0
    ) -> Callable[
        [Callable[Concatenate[Session[S], P], Awaitable[JSON]]], Callable[Concatenate[Session[S], P], Awaitable[JSON]]
    ]:
        """A function the agent may call; `name` None: the function's own; `timeout` in seconds a round.

        One function, three ways: Managed client tool, `custom` event `{"tool": …}`, and `POST <control url>/<name>`.
        The arguments are checked by the annotations: str, int, float, bool, Literal, list, Optional. The result is JSON
        of at most 4,096 bytes; a ToolError is what the agent reads in its place. A tool's name wins over a handler of
        the event. Raises at import: TypeError, ValueError for what the agent could not call, and for a second one.
        """

        def register(
            function: Callable[Concatenate[Session[S], P], Awaitable[JSON]],
        ) -> Callable[Concatenate[Session[S], P], Awaitable[JSON]]:
            tool = make_tool(function, name, timeout)
            self._tools.add(tool)
            for type_ in TOOL_EVENTS:
                if (type_, tool.name) in self._handlers:
                    raise ValueError(_both(self._handlers[type_, tool.name], type_, tool.name))
            return function

        return register

    def log_only(self, *events: EventType[Any, Any]) -> None:
        """Events that the edge writes to the session's log without an invocation; a handler for one wins."""
        self._log_only = list(dict.fromkeys([*self._log_only, *(event.name for event in events)]))

    def describe(self) -> Description:
        """What this function says of itself."""
        routes = (*self._routes, *self._tools.routes({route.type for route in self._routes}))
        log_only, tools = tuple(self._log_only), self._tools.describe()
        return Description(
            self.name,
            routes,
            log_only,
            self._on_error,
            self._state_default,
            tools,
            release=code_stamp(),
            patience=self._patience,
            fallback=self._fallback,
        )

    async def run(self, payload: Mapping[str, Any], *, stores: Stores | None = None) -> dict[str, Any]:
        """One round: a `cordboard.invocation/1` in, a `cordboard.answer/1` out. Raises DecodeError for no invocation.

        `stores` None: what `bind_storage` or the environment says.
        """
        if payload.get("schema") == DESCRIBE_SCHEMA:
            return _object(encode(self.describe()))
        invocation = read_invocation(payload)
        return _object(encode(await run_round(self._handler(invocation.event), self._state, invocation, stores)))

    def _handler(self, event: Event) -> Handler | None:
        """The tool that the event calls, else the handler of its target, of none, else what tells of unknown tools."""
        return (
            self._tools.handler(event)
            or self._handlers.get((event.type, event.target))
            or self._handlers.get((event.type, None))
            or self._tools.otherwise(event.type)
        )

    def lambda_handler(self) -> Callable[[dict[str, Any], object], dict[str, Any]]:
        """The function's entry: `handler = scenario.lambda_handler()`."""

        def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
            return run_alone(lambda: self.run(event))

        handler.__dict__["function"] = self  # how a host in the same process finds the async form
        return handler


def _object(value: JSON) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value


def _both(handler: Callable[..., Any], type_: str, name: str | None) -> str:
    return f"{_named(handler)} and the tool {name!r} both answer {type_} of {name!r}; give one another name"


def _named(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return f"{getattr(function, '__qualname__', function)}{where}"
