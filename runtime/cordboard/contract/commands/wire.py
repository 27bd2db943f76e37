"""One command as it stands in an answer, and the table of argument classes."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..registry import Kind, entry_in

COMMANDS: dict[str, type] = {}
"""Wire type → argument class."""


def command(*types: str) -> Callable[[Kind], Kind]:
    return entry_in(COMMANDS, types)


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it stands in an answer."""

    id: str
    """`{seq}.{n}`, n counting every journalled step of the event from 0."""
    type: str
    """A key of `COMMANDS`."""
    hash: str
    """`fingerprint(type, target, args)`; a replay that differs fails the event."""
    target: str | None = None
    """Name of the object; `a+b` for a pair."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the type's argument class."""
    line: str = ""
    """`file.py:12`, where the handler emitted it; for messages only."""


def fingerprint(type_: str, target: str | None, args: Mapping[str, Any]) -> str:
    """16 hex digits over canonical JSON; the same on every machine and Python."""
    text = json.dumps([type_, target, args], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Stands wherever a secret's value will be needed; the edge resolves it, the value never travels."""

    secret: str
    """Name in the secret store."""
