"""Strict reading of TOML tables: every key is named, typed and bounded, and what is left over is an error."""

from __future__ import annotations

from typing import Any, TypeVar


class ScriptError(ValueError):
    """The script is wrong; the text names the key, and with it the agent."""


T = TypeVar("T")


class Table:
    """A TOML table whose keys are taken one by one; what is left over is an error."""

    def __init__(self, path: str, value: object, *, what: str = "a table") -> None:
        if not isinstance(value, dict):
            raise ScriptError(f"{path}: must be {what}")
        self.path = path
        self.rest: dict[str, Any] = dict(value)

    def fault(self, key: str, text: str) -> ScriptError:
        return ScriptError(f"{self.path}.{key}: {text}" if self.path else f"{key}: {text}")

    def take(self, key: str, kind: type[T], default: T) -> T:
        value = self.rest.pop(key, default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)  # TOML writes 2 for 2.0
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise self.fault(key, f"must be of type {kind.__name__}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self.take(key, float, default)
        if not low <= value <= high:
            raise self.fault(key, f"must be between {low:g} and {high:g}")
        return value

    def choice(self, key: str, default: T, choices: tuple[T, ...]) -> T:
        value: T = self.rest.pop(key, default)
        if value not in choices:
            raise self.fault(key, f"must be one of {', '.join(map(str, choices))}")
        return value

    def done(self, known: str) -> None:
        if self.rest:
            raise self.fault(next(iter(self.rest)), f"unknown key; known are {known}")
