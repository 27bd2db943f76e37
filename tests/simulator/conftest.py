"""The seed's scenario in a simulated world."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from cordboard.simulator.simulation import Simulation

TEMPLATE = Path(__file__).parents[2] / "template.yaml"

Make: TypeAlias = Callable[..., Simulation]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes worlds with the seed's functions, or another template's; each is checked and closed at the end."""
    with ExitStack() as stack:
        made: list[Simulation] = []

        def simulation(template: Path = TEMPLATE, **options: Any) -> Simulation:
            sim = stack.enter_context(Simulation(template, **options))
            sim.keys(CARTESIA_API_KEY="test-key", CARTESIA_AGENT_ID="agent-1", PSTN_CALLER_ID="+15550001111")
            made.append(sim)
            return sim

        yield simulation
        for sim in made:
            sim.quiet()


@pytest.fixture
def sim(make: Make) -> Simulation:
    """A world with the seed's functions."""
    return make()
