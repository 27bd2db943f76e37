"""The mark `@pytest.mark.cordboard(…)`, and what the plugin keeps on an item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from cordboard.simulator.agent_wires import WireName

    from .edge import Edge
    from .faults import Plan

MARK: Final = (
    "cordboard(seeds=N, scenario=…, template=…, wire=…, lost_answers=…, …): the edge of this test; with seeds the test "
    "runs once for each, with faults by the rates that edge.faults takes"
)

EDGE: "Final[pytest.StashKey[Edge]]" = pytest.StashKey()
"""The edge of the run."""
PLAN: "Final[pytest.StashKey[Plan]]" = pytest.StashKey()
"""What the run has to bear, where the test has seeds."""
FAILURE: Final = pytest.StashKey[tuple[str, pytest.ExceptionInfo[BaseException]]]()
"""(setup, call or teardown; what was raised) of the run's last failure."""

MAX_SEEDS: Final = 10_000
"""Runs of one test: hours of a test that takes a second."""


class MarkError(ValueError):
    """The mark says something that it cannot mean."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the mark says."""

    seeds: int = 0
    """Runs with faults by chance; 0: one run."""
    scenario: str | None = None
    """Who takes calls."""
    template: str | None = None
    """Path from pytest's root, instead of the nearest."""
    wire: "WireName | None" = None
    """Of all agents."""
    storage_down: tuple[float, float] | None = None
    """As `edge.faults` takes it."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """The same."""

    def plan(self, seed: int) -> "Plan":
        """What a run of a seed has to bear."""
        from .faults import Plan

        return Plan(seed, self.rates, self.storage_down)


def settings_of(item: pytest.Item) -> Settings:
    """The mark of a test; what stands nearer to it counts. Raises MarkError."""
    said: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("cordboard"))):
        if mark.args:
            raise MarkError(f"{item.nodeid}: cordboard takes names only, as in cordboard(seeds=50)")
        said |= mark.kwargs
    known = {name: said.pop(name) for name in ("seeds", "scenario", "template", "wire", "storage_down") if name in said}
    seeds = known.get("seeds", 0)
    if type(seeds) is not int or not 0 <= seeds <= MAX_SEEDS:
        raise MarkError(f"{item.nodeid}: cordboard: seeds: {seeds!r} is no whole number from 0 to {MAX_SEEDS}")
    return Settings(**known, rates=said)
