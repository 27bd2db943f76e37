"""The pytest plugin: the fixture `edge`, the mark `cordboard`, and what is told of a test that fails.

The template is looked for from the test's folder upwards, to the root of pytest. Imports the simulator only where a
test asks for it, so that other tests of a project do not pay for it.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .marks import EDGE, FAILURE, MARK, PLAN, MarkError, settings_of

if TYPE_CHECKING:
    from .edge import Edge

TEMPLATE = "template.yaml"

SHOWN = 80
"""Entries of a timeline that a failed test shows, the last ones."""


def find_template(start: Path, root: Path) -> Path:
    """The nearest template from a folder upwards, not above `root`. Raises pytest's usage error where there is none."""
    folder = start
    while True:
        if (folder / TEMPLATE).is_file():
            return folder / TEMPLATE
        if folder == root or folder.parent == folder:
            break
        folder = folder.parent
    if (root / TEMPLATE).is_file():
        return root / TEMPLATE
    raise pytest.UsageError(f"the fixture edge needs a {TEMPLATE}; there is none from {start} up to {root}")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def edge(request: pytest.FixtureRequest) -> "Iterator[Edge]":
    """A whole edge in virtual time, with the functions of template.yaml; every call is checked at the test's end.

    Where the template has several scenarios say which one takes calls: the mark, or indirect parametrization.
    """
    from .edge import Edge

    settings = settings_of(request.node)
    root = request.config.rootpath
    template = root / settings.template if settings.template else find_template(request.path.parent, root)
    made = Edge(template, scenario=getattr(request, "param", settings.scenario))
    try:
        if settings.wire:
            made.wire(settings.wire)
        request.node.stash[EDGE] = made
        yield made
        made.verify()
    finally:
        made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Faults of the mark begin with the test's body."""
    made = item.stash.get(EDGE, None)
    if made is not None:
        plan = item.stash.get(PLAN, None)
        made.faults.begin(plan if plan is not None else settings_of(item).plan(0))
    yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test with seeds runs once for each, and a failing one is shrunk."""
    try:
        seeds = settings_of(item).seeds
    except MarkError:
        return None  # told by the fixture
    if not seeds or not isinstance(item, pytest.Function):
        return None
    from .explore import explore

    explore(item, nextitem, seeds)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the timelines of its sessions and what went wrong on order or by chance."""
    report = yield
    if report.failed and call.excinfo is not None:
        item.stash[FAILURE] = (report.when, call.excinfo)
        made = item.stash.get(EDGE, None)
        if made is not None:
            report.sections += _sections(made)
    return report


def _sections(made: "Edge") -> list[tuple[str, str]]:
    sections = []
    for session in made.sessions:
        lines = list(session.timeline)
        left_out = [f"… {len(lines) - SHOWN} earlier entries"] if len(lines) > SHOWN else []
        title = f"timeline of {session.id}, {session.cause or 'live'}"
        sections.append((title, "\n".join([*left_out, *lines[-SHOWN:]])))
    if made.faults.log:
        sections.append(("faults", "\n".join(str(fault) for fault in made.faults.log[-SHOWN:])))
    return sections
