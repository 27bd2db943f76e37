"""How events and commands enter their tables: a class decorator with the wire types that the class stands for."""

from collections.abc import Callable
from typing import TypeVar

Kind = TypeVar("Kind", bound=type)


def entry_in(table: dict[str, type], types: tuple[str, ...]) -> Callable[[Kind], Kind]:
    """Register a class under each of `types`."""

    def register(kind: Kind) -> Kind:
        for name in types:
            table[name] = kind
        return kind

    return register
