"""Dataclasses to JSON values and back, strictly: a wrong value is refused with the path of its field.

`encode` and `decode` cover exactly what the contract's dataclasses use: str, int, float, bool, None, Literal,
unions, homogeneous tuples and lists, string-keyed mappings, nested dataclasses, and JSON values passed through.
Whoever acts on what it reads refuses unknown fields (an argument nobody executes must not pass in silence);
whoever only reads ignores them, since the contract grows by addition within a version.
"""

import dataclasses
import functools
import math
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"

T = TypeVar("T")

MAX_DEPTH = 32
"""Levels of nesting that a JSON value may have; deeper input is hostile (Python's own json stops near 1,000)."""


class DecodeError(ValueError):
    """A value does not fit the contract. `path` names the field (`commands[2].args.code`), `problem` says why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'value'}: {problem}")
        self.path = path
        self.problem = problem


def encode(value: object) -> JSON:
    """The JSON value of a contract object; fields that are None are left out."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[return-value]  # most of what there is, so asked first
    names = _names(kind)
    if names is not None:
        return {wire: encode(item) for name, wire in names if (item := getattr(value, name)) is not None}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form in the contract")


def decode(kind: type[T], value: object, *, path: str = "", unknown: Literal["refuse", "ignore"] = "refuse") -> T:
    """Build `kind` from a JSON value. Raises `DecodeError` that names the first field that does not fit."""
    return cast(T, _decode(kind, value, path, unknown == "ignore", 0))


def check_json(value: object, path: str, depth: int = 0) -> JSON:
    """Refuse what JSON cannot carry (other types, NaN, infinities) and what is nested too deep."""
    if depth > MAX_DEPTH:
        raise DecodeError(path, f"nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DecodeError(path, "not a finite number")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DecodeError(path, f"key {key!r} is not a string")
        return {key: check_json(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [check_json(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise DecodeError(path, f"a {type(value).__name__} has no JSON form")


def _wire_name(name: str) -> str:
    return name.rstrip("_")  # `from_` is `from` on the wire


_PLAIN = frozenset({str, int, float, bool, type(None)})
_EXACT = frozenset({str, int, bool})
"""Types whose values need no further look."""


@functools.cache
def _names(kind: Any) -> tuple[tuple[str, str], ...] | None:
    """(attribute, wire name) of each field; None: no dataclass."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((field.name, _wire_name(field.name)) for field in dataclasses.fields(kind))


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, str, Any, bool], ...]:
    """(attribute, wire name, type, required) of each field."""
    hints = get_type_hints(kind)
    found = []
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        found.append((field.name, _wire_name(field.name), hints[field.name], required))
    return tuple(found)


@functools.cache
def _known(kind: type) -> frozenset[str]:
    return frozenset(wire for _, wire, _, _ in _fields(kind))


@functools.cache
def _shape(kind: Any) -> tuple[Any, bool]:
    """(origin, whether it is a dataclass) of a field's type."""
    return get_origin(kind), isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _decode(kind: Any, value: object, path: str, lenient: bool, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise DecodeError(path, f"nested deeper than {MAX_DEPTH} levels")
    if kind is type(value) and kind in _EXACT:
        return value
    if kind is Any or kind is object:
        return check_json(value, path, depth)
    origin, is_dataclass = _shape(kind)
    if is_dataclass:
        return _decode_dataclass(kind, value, path, lenient, depth)
    if origin in (Union, types.UnionType):
        return _decode_union(kind, value, path, lenient, depth)
    if origin is Literal:
        if not any(type(value) is type(one) and value == one for one in get_args(kind)):  # 1 is not True, nor 1.0
            raise DecodeError(path, f"{value!r} is none of {', '.join(map(repr, get_args(kind)))}")
        return value
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise DecodeError(path, f"expected a list, got {_kind_of(value)}")
        item_kind = get_args(kind)[0]
        return origin(_decode(item_kind, item, f"{path}[{i}]", lenient, depth + 1) for i, item in enumerate(value))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise DecodeError(path, f"expected an object, got {_kind_of(value)}")
        item_kind = get_args(kind)[1]
        return {str(k): _decode(item_kind, v, _join(path, str(k)), lenient, depth + 1) for k, v in value.items()}
    return _decode_scalar(kind, value, path)


def _decode_scalar(kind: Any, value: object, path: str) -> object:
    if kind is type(None):
        if value is not None:
            raise DecodeError(path, f"expected null, got {_kind_of(value)}")
        return None
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            raise DecodeError(path, f"expected a finite number, got {_kind_of(value)}")
        return float(value)
    if kind is int and isinstance(value, bool):
        raise DecodeError(path, "expected a whole number, got true or false")
    if not isinstance(value, kind):
        raise DecodeError(path, f"expected {_NAMES.get(kind, kind.__name__)}, got {_kind_of(value)}")
    return value


def _decode_dataclass(kind: type, value: object, path: str, lenient: bool, depth: int) -> object:
    if type(value) is not dict and not isinstance(value, Mapping):
        raise DecodeError(path, f"expected an object, got {_kind_of(value)}")
    fields = _fields(kind)
    if not lenient:
        known = _known(kind)
        for key in value:
            if key not in known:
                raise DecodeError(_join(path, str(key)), f"unknown field of {kind.__name__}")
    found: dict[str, object] = {}
    for attribute, wire, hint, required in fields:
        if wire in value:
            found[attribute] = _decode(hint, value[wire], _join(path, wire), lenient, depth + 1)
        elif required:
            raise DecodeError(_join(path, wire), "missing")
    try:
        return kind(**found)
    except DecodeError as error:
        raise DecodeError(_join(path, error.path), error.problem) from error


def _decode_union(kind: Any, value: object, path: str, lenient: bool, depth: int) -> object:
    members = get_args(kind)
    if value is None and type(None) in members:
        return None
    real = [member for member in members if member is not type(None)]
    errors: list[DecodeError] = []
    for member in real:
        try:
            return _decode(member, value, path, lenient, depth)
        except DecodeError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    raise DecodeError(path, " or ".join(error.problem for error in errors))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_NAMES = {str: "a string", int: "a whole number", bool: "true or false", dict: "an object"}


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    for kind, name in ((str, "a string"), (int, "a whole number"), (float, "a number"), (Mapping, "an object")):
        if isinstance(value, kind):
            return name
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__
