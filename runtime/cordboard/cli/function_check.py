"""`cordboard functions check`: what is wrong with function code that no single test shows.

A function keeps nothing between two events but what the edge holds: `global` and what is changed in a module work in a
test and fail where each event may meet another process. A handler for an object that nothing names never runs. Read
from the source: of each function its module and those of its folder that it imports. Leaves out what only a call tells.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cordboard.config.model import Config
from cordboard.contract.release import Release
from cordboard.hosts.template import FunctionSpec

NAMED_BY_ITSELF: Final = frozenset({"caller", "agent", "recording", "consult", "say", "playback", "tone", "tts"})
"""Objects that have a name where the code gives none."""

_MUTABLE_NODES: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MUTABLE_TYPES: Final = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict"}
)
_CHANGES: Final = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "rotate",
        "setdefault",
        "sort",
        "subtract",
        "update",
    }
)
_NAMING: Final = frozenset({"set_timeout", "gather"})
"""Methods whose first argument is a name."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct."""

    file: str
    """Path of the module, or of the configuration."""
    line: int
    """From 1; 0: of the file as a whole."""
    message: str
    """What is wrong and what to write instead."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


def check_code(specs: Sequence[FunctionSpec]) -> list[Problem]:
    """Problems of the functions' source, in order. Raises OSError, SyntaxError."""
    found: set[Problem] = set()
    by_folder: dict[Path, dict[Path, ast.Module]] = {}
    for spec in specs:
        by_folder.setdefault(spec.code, {}).update(modules_of(spec))
    for modules in by_folder.values():
        known = _names_in(modules.values())
        for path, tree in modules.items():
            found.update(_state_problems(path, tree))
            if known is not None:
                found.update(_target_problems(path, tree, known | NAMED_BY_ITSELF))
    return sorted(found)


def check_routes(config: Config, release: Release, file: str) -> list[Problem]:
    """Routes of the configuration that lead to no function."""
    known = release.scenarios()
    return [
        Problem(file, 0, f"[[routes]] to {route.to!r}: no function is of scenario {route.scenario!r}")
        for route in config.routes
        if route.scenario not in known
    ]


def modules_of(spec: FunctionSpec) -> dict[Path, ast.Module]:
    """The function's module and all that it imports from its folder. Raises OSError, SyntaxError."""
    found: dict[Path, ast.Module] = {}
    waiting = [*_files(spec.code, spec.handler.rpartition(".")[0])]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = tree = ast.parse(path.read_bytes(), str(path))
        for name in _imports(tree, path, spec.code):
            waiting += _files(spec.code, name)
    return found


def _files(folder: Path, module: str) -> list[Path]:
    parts = module.split(".")
    packages = [folder.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in (*packages, folder.joinpath(*parts).with_suffix(".py")) if path.is_file()]


def _imports(tree: ast.Module, path: Path, folder: Path) -> Iterator[str]:
    package = path.relative_to(folder).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*base, *((node.module,) if node.module else ())))
            if origin:
                yield origin
            yield from (f"{origin}.{each.name}" if origin else each.name for each in node.names)


# --- state of modules


def _state_problems(path: Path, tree: ast.Module) -> Iterator[Problem]:
    mutable: set[str] = set()
    for statement in tree.body:
        for name, value, is_final in _assigned(statement):
            if not _is_mutable(value):
                continue
            mutable.add(name)
            if not is_final:
                advice = "keep it in session.state; a constant is a tuple, a frozenset, or annotated Final"
                yield Problem(
                    str(path), statement.lineno, f"{name!r} may change and no other process sees it: {advice}"
                )
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            names = ", ".join(node.names)
            yield Problem(str(path), node.lineno, f"global {names}: each event may meet another process: session.state")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _changes(path, node, mutable)


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr, bool]]:
    """(name, value, annotated Final) of an assignment."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value, "Final" in ast.unparse(node.annotation)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id != "__all__":
                yield target.id, node.value, False


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        called = value.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        return name in _MUTABLE_TYPES
    return isinstance(value, _MUTABLE_NODES)


def _changes(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef, names: set[str]) -> Iterator[Problem]:
    arguments = function.args
    own = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    own |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(function):
        target: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            target = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            target = node.func.value
        if isinstance(target, ast.Name) and target.id in names - own:
            yield Problem(str(path), target.lineno, f"changes {target.id!r} of the module: keep it in session.state")


# --- names of objects


def _names_in(trees: Iterable[ast.Module]) -> frozenset[str] | None:
    """Every text that may name an object; None where a name is computed."""
    found: set[str] = set()
    for tree in trees:
        decorators = {id(node) for each in _handlers(tree) for node in ast.walk(each)}
        for node in ast.walk(tree):
            if id(node) in decorators:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.Call) and _computes_a_name(node):
                return None
    return frozenset(found)


def _computes_a_name(call: ast.Call) -> bool:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
    if isinstance(call.func, ast.Attribute) and call.func.attr in _NAMING:
        named += call.args[:1]
    return any(isinstance(each, ast.JoinedStr | ast.BinOp | ast.Call) for each in named)


def _target_problems(path: Path, tree: ast.Module, known: frozenset[str]) -> Iterator[Problem]:
    for call in _handlers(tree):
        for keyword in call.keywords:
            target = keyword.value
            if keyword.arg == "target" and isinstance(target, ast.Constant) and target.value not in known:
                message = f"target={target.value!r}: nothing is named so; the handler never runs"
                yield Problem(str(path), call.lineno, message)


def _handlers(tree: ast.Module) -> Iterator[ast.Call]:
    """Decorators `….on(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.decorator_list:
                if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "on":
                    yield each
