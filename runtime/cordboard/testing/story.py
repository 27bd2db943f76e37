"""The source of a test as something that can be made shorter, run and printed.

A story is the lines of a test function, some left out, with a line for each fault at the beginning of its body. What
stands behind the line that failed never ran and is left out. Leaves out methods of classes, whose lines are printed
whole.
"""

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import count
from types import FunctionType
from typing import TYPE_CHECKING

from cordboard.simulator.faults import Fault

if TYPE_CHECKING:
    from .edge import Edge

_numbers = count(1)


class Story:
    """A test's source."""

    def __init__(self, function: Callable[..., object], failed_at: int) -> None:
        """`failed_at`: the line of its file at which it failed; 0: outside of it."""
        assert isinstance(function, FunctionType)
        self._function = function
        lines, first = inspect.getsourcelines(function)
        self._lines = textwrap.dedent("".join(lines)).splitlines()
        [found] = ast.parse("\n".join(self._lines)).body
        assert isinstance(found, ast.FunctionDef)
        self._tree = found
        self._out: set[int] = set()
        """Lines that are left out, counted from 1 as in the tree."""
        failed = failed_at - first + 1
        for statement in found.body:
            if failed_at and statement.lineno > failed:
                self._out |= _lines_of(statement)
        for node in ast.walk(found):
            if _asks_for_faults(node) and not self._is_alone(node):
                self._out |= _lines_of(node)

    def shorten(self, fails: Callable[["Story"], bool]) -> None:
        """Leave out statements, the last first, as long as it `fails` without them; again until none can go."""
        changed = True
        while changed:
            changed = False
            for statement in reversed(list(self._removable())):
                lines = _lines_of(statement)
                if lines <= self._out:
                    continue
                before = self._out
                self._out = before | lines
                if self._is_whole() and fails(self):
                    changed = True
                else:
                    self._out = before

    def function(self, faults: Sequence[Fault], edge_of: Callable[[], "Edge"]) -> Callable[..., object]:
        """As it is now, compiled beside the original; `edge_of` gives the edge to one that does not ask for it."""
        name = self._function.__name__
        text = self.text(faults, "")
        file = f"<{name} {next(_numbers)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        scope = dict(self._function.__globals__)
        exec(compile(_without_decorators(text), file, "exec"), scope)  # noqa: S102 - the user's own test, shortened
        made: Callable[..., object] = scope[name]
        if self._asks_for_edge():
            return made

        @wraps(made)
        def with_edge(**fixtures: object) -> object:
            return made(**fixtures, edge=edge_of())

        return with_edge

    def text(self, faults: Sequence[Fault], suffix: str) -> str:
        """Its source, with the faults on order and without the mark that asks for seeds."""
        head = self._tree.body[0].lineno
        indent = self._lines[head - 1][: self._tree.body[0].col_offset]
        lines = []
        for decorator in self._tree.decorator_list:
            if "mark.cordboard" not in ast.unparse(decorator):
                lines.append(f"@{ast.unparse(decorator)}")
        lines.append(self._signature(suffix))
        lines += [f"{indent}edge.faults.next({_arguments(fault)})" for fault in faults]
        body = [
            line
            for number, line in enumerate(self._lines, start=1)
            if number >= head and number not in self._out and line.strip()
        ]
        return "\n".join(lines + (body or ([] if faults else [f"{indent}pass"])))

    def _signature(self, suffix: str) -> str:
        arguments = ast.unparse(self._tree.args)
        if not self._asks_for_edge():
            arguments = f"{arguments}, edge" if arguments else "edge"
        returns = f" -> {ast.unparse(self._tree.returns)}" if self._tree.returns is not None else ""
        return f"def {self._tree.name}{'_' if suffix else ''}{suffix}({arguments}){returns}:"

    def _asks_for_edge(self) -> bool:
        return "edge" in [each.arg for each in self._tree.args.args]

    def _removable(self) -> Iterator[ast.stmt]:
        """Statements of one kind of effect each, outermost only: a block goes as a whole."""
        for statement in self._tree.body:
            if not isinstance(statement, ast.Return):
                yield statement

    def _is_alone(self, statement: ast.AST) -> bool:
        """Whether it is all that a block has."""
        for block in ast.walk(self._tree):
            for name in ("body", "orelse", "finalbody"):
                held = getattr(block, name, None)
                if isinstance(held, list) and held == [statement]:
                    return True
        return False

    def _is_whole(self) -> bool:
        """Whether it can be compiled."""
        try:
            ast.parse(self.text((), ""))
        except SyntaxError:
            return False
        return True


def _asks_for_faults(node: ast.AST) -> bool:
    """`edge.faults(…)`: a statement of its own that asks for chance."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "faults"
    )


def _lines_of(node: ast.AST) -> set[int]:
    begin, end = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
    return set(range(begin, end + 1))


def _arguments(fault: Fault) -> str:
    words = [f'"{fault.kind}"', f'event="{fault.event}"']
    return ", ".join(words if fault.nth == 1 else [*words, f"nth={fault.nth}"])


def _without_decorators(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    return tree
