"""Breaks one thing in whichever process imports it, so that the demo can be seen to notice. CORDBOARD_SABOTAGE says
what: clear, bridge or ringback. Loaded by Python itself through PYTHONPATH."""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def _clear(module: ModuleType) -> None:
    module.Cord.clear = lambda self, before=None: 0


def _bridge(module: ModuleType) -> None:
    module.Switch._join = lambda self, source, sink: None


def _ringback(module: ModuleType) -> None:
    module.Switch.set_fallback = lambda self, leg, source: None


BREAKS: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    "clear": ("cordboard.plane.cord", _clear),
    "bridge": ("cordboard.plane.switch", _bridge),
    "ringback": ("cordboard.plane.switch", _ringback),
}


class Saboteur(importlib.abc.MetaPathFinder):
    """Finds one module as always, and breaks it once it is loaded."""

    def __init__(self, name: str, act: Callable[[ModuleType], None]) -> None:
        self.name, self.act = name, act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load: Any = spec.loader.exec_module
            act = self.act

            def exec_module(module: ModuleType) -> None:
                load(module)
                act(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if (broken := os.environ.get("CORDBOARD_SABOTAGE")) in BREAKS:
    sys.meta_path.insert(0, Saboteur(*BREAKS[broken]))
