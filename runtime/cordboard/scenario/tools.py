"""A tool: an async function that the agent may call. Its signature is its check and its JSON Schema (HANDLERS §1.1).

Parameters may be str, int, float, bool, Literal of such, list[...] of any of these, and Optional. Leaves out: other
unions, objects as parameters, `*args` and `**kwargs`, which are refused at import. How a call arrives and its result
leaves stands in `tool_calls.py`.
"""

import inspect
import re
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from cordboard.contract.codec import JSON, DecodeError, decode, encode
from cordboard.contract.records import ToolDescription
from cordboard.contract.schema import type_schema

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # fits a URL's path segment and a model's function name
_ALLOWED: Final = "write str, int, float, bool, Literal, list[...] or one of these | None"
_SCALARS: Final = (str, int, float, bool)
MAX_PROBLEMS: Final = 10  # arguments that an error names; an agent corrects a few at a time


class InvalidArguments(ValueError):
    """Arguments that do not fit the signature; the text names each one and is for the agent to read."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter."""

    name: str
    """Its name, in Python and for the agent."""
    kind: Any
    """Its annotation, resolved."""
    required: bool
    """It has no default."""
    default: JSON = None
    """Its default, where it has one."""

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        found = type_schema(self.kind, {})
        return found if self.required else {**found, "default": self.default}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of a scenario."""

    name: str
    """What the agent calls it by."""
    function: Callable[..., Awaitable[JSON]]
    """Takes the session, and the parameters by name."""
    parameters: tuple[Parameter, ...]
    """In the signature's order, without the session."""
    timeout: float
    """Seconds a round may take."""
    line: str
    """`folder/file.py:12`, for messages."""

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the function is called with. Raises InvalidArguments that names each argument that does not fit."""
        known = {parameter.name for parameter in self.parameters}
        problems = [f"{name[:64]!r} is no parameter" for name in given if name not in known]
        found: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name not in given:
                if parameter.required:
                    problems.append(f"{parameter.name}: missing")
                continue
            try:
                found[parameter.name] = decode(parameter.kind, given[parameter.name], path=parameter.name)
            except DecodeError as error:
                problems.append(str(error)[:200])
        if problems:
            more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
            have = ", ".join(parameter.name for parameter in self.parameters) or "none"
            raise InvalidArguments(f"{'; '.join(problems[:MAX_PROBLEMS])}{more} (parameters of {self.name}: {have})")
        return found

    def describe(self) -> ToolDescription:
        """What the function says of it."""
        schema = {
            "type": "object",
            "properties": {parameter.name: parameter.schema() for parameter in self.parameters},
            "required": [parameter.name for parameter in self.parameters if parameter.required],
            "additionalProperties": False,
        }
        return ToolDescription(self.name, schema, self.timeout)


def make_tool(function: Callable[..., Awaitable[JSON]], name: str | None, timeout: float) -> Tool:
    """A tool of a function; `name` None: the function's own. Raises TypeError, ValueError that say what to write."""
    own = getattr(function, "__name__", "")
    called = own if name is None else name
    if not _NAME.fullmatch(called):
        raise ValueError(f"tool {called!r}: a name is 1 to 64 letters, digits, _ and -, and begins with no digit or -")
    if not timeout > 0:
        raise ValueError(f"tool {called!r}: timeout={timeout}: seconds above 0")
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"tool {called!r} is no async function: write async def")
    code = getattr(inspect.unwrap(function), "__code__", None)  # a decorator of the user's may stand between
    line = "" if code is None else f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_firstlineno}"
    return Tool(called, function, _parameters(function, called), timeout, line)


def _parameters(function: Callable[..., Awaitable[JSON]], tool: str) -> tuple[Parameter, ...]:
    found = list(inspect.signature(function).parameters.values())
    rest = found[1:]
    if not found or found[0].kind not in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
        raise TypeError(f"tool {tool!r}: its first parameter is the session: async def f(session: Session[State], …)")
    for parameter in rest:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"tool {tool!r}: parameter {parameter.name!r} has no name that an agent could give it by")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"tool {tool!r}: parameter {parameter.name!r} has no annotation; {_ALLOWED}")
    hints = _resolved({parameter.name: parameter.annotation for parameter in rest}, function, tool)
    return tuple(_parameter(parameter, hints[parameter.name], tool) for parameter in rest)


def _resolved(annotations: dict[str, Any], function: Callable[..., Any], tool: str) -> dict[str, Any]:
    # the agent's parameters alone: a session's class may be known to type checkers only
    holder = types.SimpleNamespace(__annotations__=annotations)
    try:
        return get_type_hints(holder, globalns=getattr(inspect.unwrap(function), "__globals__", {}))
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise TypeError(f"tool {tool!r}: an annotation cannot be read: {error}") from error


def _parameter(parameter: inspect.Parameter, kind: Any, tool: str) -> Parameter:
    if not _allowed(kind):
        raise TypeError(f"tool {tool!r}: parameter {parameter.name!r} is {parameter.annotation!r}; {_ALLOWED}")
    if parameter.default is parameter.empty:
        return Parameter(parameter.name, kind, True)
    try:
        default = encode(decode(kind, parameter.default, path=parameter.name))
    except (DecodeError, TypeError) as error:
        raise TypeError(f"tool {tool!r}: the default of {error}") from error
    return Parameter(parameter.name, kind, False, default)


def _allowed(kind: Any) -> bool:
    if kind in _SCALARS:
        return True
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return all(value is None or isinstance(value, str | int | bool) for value in args)
    if origin is list:
        return _allowed(args[0])
    if origin in (Union, types.UnionType):
        real = [member for member in args if member is not type(None)]
        return len(real) == 1 and _allowed(real[0])
    return False
