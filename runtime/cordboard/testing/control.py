"""Control requests of a test, to their answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cordboard.simulator.edge import PUBLIC_URL
from cordboard.simulator.simulation import Simulation

from .errors import NoAnswer

LIMIT = 12.0
"""Virtual seconds until a request must be answered: the edge says 202 after five; two rounds may be lost before."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a control request."""

    status: int
    """HTTP status."""
    text: str
    """Body."""

    def json(self) -> Any:
        """The body as JSON. ValueError where it is none."""
        return json.loads(self.text)


def post(sim: Simulation, url: str, body: Mapping[str, object], verb: str = "") -> Reply:
    """A control request, to its answer. Raises NoAnswer."""
    path = url.removeprefix(f"{PUBLIC_URL}/control/") + (f"/{verb}" if verb else "")
    data = json.dumps(dict(body)).encode()
    name = sim.edge.request("POST", path, {"content-type": "application/json"}, data)
    sim.world.settle()
    limit = sim.world.now + LIMIT
    while name not in sim.edge.replies:
        if sim.world.now >= limit:
            raise NoAnswer(f"a control request was not answered within {LIMIT:g} s")
        sim.world.advance(0.1)
    sim.world.settle()
    found = sim.edge.replies[name]
    return Reply(found.status, found.body.decode())
