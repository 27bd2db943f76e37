"""A test with seeds: one run without faults, one for each seed, and of a failure the fewest faults and lines.

Each run sets the test up and tears it down as pytest does, fixtures included. Delta debugging (Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002) over the faults that happened, then over the statements of
the test's body; a smaller one counts when it fails in the same phase with the same error on the same statement, and a
shorter body moreover when it passes without the faults.
"""

import inspect
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import pytest
from _pytest.runner import runtestprotocol

from cordboard.simulator.faults import Fault

from .faults import Plan, by_chance
from .marks import EDGE, FAILURE, PLAN, settings_of
from .story import Story

T = TypeVar("T")

MAX_RUNS: Final = 300
"""Runs that shrinking may take; what is found by then is told."""


@dataclass(frozen=True, slots=True)
class Failure:
    """By what two failures are the same."""

    when: str
    """setup, call, teardown."""
    error: str
    """Class of what was raised."""
    statement: str
    """Line of the test at which it was raised; "" where it was raised outside."""


@dataclass(slots=True)
class _Run:
    reports: list[pytest.TestReport]
    failure: Failure | None
    faults: list[Fault]
    line: int
    """Of the test at which it failed; 0: outside."""


class Explorer:
    """Runs one test again and again."""

    def __init__(self, item: pytest.Function) -> None:
        self._item = item
        self.item = item
        """Of the newest run."""
        self.runs = 0
        """So far."""

    def run(self, plan: Plan, *, nextitem: pytest.Item | None, body: Callable[..., object] | None = None) -> _Run:
        """Once, from setup to teardown."""
        self.runs += 1
        self.item = item = self._sibling(body or self._item.obj)
        item.stash[PLAN] = plan
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        made = item.stash.get(EDGE, None)
        failure, line = self._failure()
        return _Run(reports, failure, by_chance(made.faults.log) if made is not None else [], line)

    def fails(self, plan: Plan, failure: Failure, body: Callable[..., object] | None = None) -> bool:
        """Whether a run fails in the same way. False when there are no runs left."""
        return self.runs < MAX_RUNS and self.run(plan, nextitem=self._item, body=body).failure == failure

    def passes(self, body: Callable[..., object]) -> bool:
        """Whether a body is good without any fault: else its failure is not the faults'."""
        return self.run(Plan(), nextitem=self._item, body=body).failure is None

    def _sibling(self, body: Callable[..., object]) -> pytest.Function:
        """The same test once more: pytest sets up and tears down an item once."""
        item = self._item
        made: pytest.Function = pytest.Function.from_parent(
            item.parent,
            name=item.name,
            callspec=getattr(item, "callspec", None),
            callobj=body,
            keywords=dict(item.keywords),
            fixtureinfo=item._fixtureinfo,
            originalname=item.originalname,
        )
        made.own_markers[:] = item.own_markers
        return made

    def _failure(self) -> tuple[Failure | None, int]:
        found = self.item.stash.get(FAILURE, None)
        if found is None:
            return None, 0
        when, excinfo = found
        body = self.item.obj
        code = inspect.unwrap(getattr(body, "__func__", body)).__code__
        lines = [each.lineno + 1 for each in excinfo.traceback if each.frame.code.raw is code]
        line = lines[-1] if lines else 0
        statement = linecache.getline(code.co_filename, line).strip() if line else ""
        return Failure(when, excinfo.type.__qualname__, statement), line


def explore(item: pytest.Function, nextitem: pytest.Item | None, seeds: int) -> None:
    """Run a test with all its seeds, or up to the first that fails, and report."""
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _explore(item, nextitem, seeds):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _explore(item: pytest.Function, nextitem: pytest.Item | None, seeds: int) -> list[pytest.TestReport]:
    settings, explorer = settings_of(item), Explorer(item)
    plans = [Plan(only=()), *(settings.plan(seed) for seed in range(1, seeds + 1))]
    for seed, plan in enumerate(plans):
        last = seed == seeds
        run = explorer.run(plan, nextitem=nextitem if last else item)
        if run.failure is None:
            if last or any(report.skipped for report in run.reports):
                return run.reports if last else explorer.run(plan, nextitem=nextitem).reports
            continue
        if seed == 0:
            text = "It fails without any fault; its seeds were not tried."
            run = explorer.run(plan, nextitem=nextitem)
        else:
            plan, text = shrink(explorer, item, run, seed, seeds)
            run = explorer.run(plan, nextitem=nextitem)
        for report in run.reports:
            if report.failed:
                report.sections.append(("cordboard", text))
        return run.reports
    raise AssertionError("the last plan returns")


def shrink(explorer: Explorer, item: pytest.Function, run: _Run, seed: int, seeds: int) -> tuple[Plan, str]:
    """The plan that fails with the fewest faults, and what to tell."""
    failure = run.failure
    assert failure is not None
    found = f"Seed {seed} of {seeds} failed with {failure.error}, {_count(run.faults)}."
    if not explorer.fails(Plan(only=run.faults), failure):
        plan = settings_of(item).plan(seed)
        return plan, f"{found} The same faults alone do not repeat it, so it is not shrunk."
    faults = fewest(run.faults, lambda some: explorer.fails(Plan(only=some), failure))
    story = Story(item.function, run.line)
    if item.cls is None:

        def is_enough(shorter: Story) -> bool:
            def body(some: Sequence[Fault]) -> Callable[..., object]:
                return shorter.function(some, lambda: explorer.item.stash[EDGE])

            return explorer.fails(Plan(), failure, body(faults)) and (not faults or explorer.passes(body(())))

        story.shorten(is_enough)
    needed = f"Needed: {_count(faults)}, found in {explorer.runs} runs."
    told = "\n".join(f"  {fault}" for fault in faults)
    return Plan(only=faults), f"{found} {needed}\n{told}\nTo paste:\n\n{story.text(faults, f'seed_{seed}')}"


def fewest(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Delta debugging: a list of which no piece can be left out. `items` as a whole fail."""
    kept, pieces = list(items), 2
    if kept and fails([]):
        return []
    while len(kept) >= 2:
        size = -(-len(kept) // pieces)
        chunks = [kept[at : at + size] for at in range(0, len(kept), size)]
        smaller = next((chunk for chunk in chunks if fails(chunk)), None) if pieces == 2 else None
        if smaller is not None:
            kept = smaller
            continue
        for index in range(len(chunks)):
            rest = [each for at, chunk in enumerate(chunks) if at != index for each in chunk]
            if fails(rest):
                kept, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(kept):
                break
            pieces = min(len(kept), 2 * pieces)
    return kept


def _count(faults: Sequence[Fault]) -> str:
    return "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
