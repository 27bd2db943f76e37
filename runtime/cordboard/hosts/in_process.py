"""Functions in this process: for tests, the simulator and quick trials. No isolation: a handler that blocks, blocks.

Each function of each release has a module namespace of its own: its code is imported under private names
(`_cordboard_3.line_agent`), so that three functions that share a module do not share its handlers, nor two releases.
Leaves out: `importlib.import_module` with public names inside of function code; memory and CPU limits.
"""

import asyncio
import builtins
import importlib
import importlib.abc
import importlib.machinery
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, TypeAlias

from cordboard.scenario import CartesiaWebhooks, Scenario, Stores

from .errors import FunctionError, FunctionRaised, FunctionTimeout
from .host import SnapshotHost, read_answer
from .snapshot import Snapshot
from .template import FunctionSpec

Function: TypeAlias = Scenario[Any] | CartesiaWebhooks

_numbers: Final = itertools.count(1)


class InProcessHost(SnapshotHost):
    """A FunctionHost without processes. `stores` None: what `bind_storage` or the environment says."""

    def __init__(self, template: Path, *, stores: Stores | None = None) -> None:
        super().__init__(template)
        self._stores = stores

    def _open(self, snapshot: Snapshot) -> "_InProcess":
        return _InProcess(snapshot, self._stores)


class _InProcess:
    def __init__(self, snapshot: Snapshot, stores: Stores | None) -> None:
        self._stores = stores
        self._namespaces: list[Namespace] = []
        self._functions: dict[str, Function] = {}
        try:
            for spec in snapshot.functions:
                namespace = Namespace(spec.code)
                self._namespaces.append(namespace)
                self._functions[spec.name] = load_function(spec, namespace)
        except BaseException:
            self._forget()
            raise

    async def invoke(self, function: str, body: bytes, timeout: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout):
                answer = await self._functions[function].run(json.loads(body), stores=self._stores)
        except TimeoutError as error:
            raise FunctionTimeout(function, f"no answer within {timeout:g} s") from error
        except Exception as error:
            raise FunctionRaised(function, f"{type(error).__name__}: {error}") from error
        return read_answer(function, json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode())

    async def close(self) -> None:
        self._forget()

    def _forget(self) -> None:
        for namespace in self._namespaces:
            namespace.close()


def load_function(spec: FunctionSpec, namespace: "Namespace") -> Function:
    """What a function's handler was made by. Raises FunctionError, FunctionRaised."""
    module_name, _, attribute = spec.handler.rpartition(".")
    try:
        handler = getattr(namespace.load(module_name), attribute)
    except Exception as error:
        raise FunctionRaised(
            spec.name, f"{spec.handler} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    function = getattr(handler, "function", None)
    if not isinstance(function, Scenario | CartesiaWebhooks):
        raise FunctionError(spec.name, f"{spec.handler} is not made by scenario.lambda_handler()")
    return function


class Namespace(importlib.abc.MetaPathFinder):
    """Modules of one code folder under a private package; imports between them stay inside."""

    def __init__(self, root: Path) -> None:
        self.package = f"_cordboard_{next(_numbers)}"
        self._root = str(root)
        package = ModuleType(self.package)
        package.__path__ = [self._root]
        sys.modules[self.package] = package
        sys.meta_path.insert(0, self)
        self.builtins: Final = {**vars(builtins), "__import__": self._import}

    def load(self, name: str) -> ModuleType:
        """Import a module of the folder. Raises whatever its code raises."""
        return importlib.import_module(f"{self.package}.{name}")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Import protocol: our private names alone."""
        if not fullname.startswith(f"{self.package}."):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, self)
        return spec

    def close(self) -> None:
        """Forget the modules."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [name for name in sys.modules if name == self.package or name.startswith(f"{self.package}.")]:
            del sys.modules[name]

    def _import(
        self,
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or PathFinder.find_spec(top, [self._root]) is None:
            return builtins.__import__(name, globals_, locals_, fromlist or (), level)
        module = self.load(name)
        if not fromlist:
            return sys.modules[f"{self.package}.{top}"]
        for item in fromlist:
            if item != "*" and not hasattr(module, item) and hasattr(module, "__path__"):
                self.load(f"{name}.{item}")
        return module


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, namespace: Namespace) -> None:
        super().__init__(name, path)
        self._namespace = namespace

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._namespace.builtins
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(self.get_data(self.path), self.path)  # no __pycache__ beside the user's code
