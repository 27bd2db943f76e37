"""The simulated edge as tests see it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cordboard.simulator.simulation import Simulation

from .errors import NoSuchCall, NotInSimulator
from .objects import Leg, SessionView

FAULTS = ("loss", "reorder", "duplicate", "latency")
"""What `Edge.faults` can do to the network between edge and phones."""


class Edge:
    """A whole edge in virtual time. The fixture `edge` gives one to each test, and checks every call at its end."""

    def __init__(self, template: Path, *, seed: int = 0, scenario: str | None = None) -> None:
        """The functions of `template`; a cordboard.toml beside it counts. `scenario`: who takes calls, where the
        template has several. Raises what loading raises."""
        file = template.parent / "cordboard.toml"
        self.simulation = Simulation(template, seed=seed, scenario=scenario, file=file if file.exists() else None)
        """What is beneath, for tests of the edge itself."""

    def keys(self, **values: str) -> None:
        """What ApplicationStorage and secrets hold."""
        self.simulation.keys(**values)

    def call(self, callerid: str, to: str, *, headers: Mapping[str, str] | None = None) -> Leg:
        """A call comes in."""
        phone = self.simulation.call(callerid, to, tuple((headers or {}).items()))
        return Leg(self.simulation, phone)

    def start(self, scenario: str, **custom_data: Any) -> SessionView:
        """A session without a call, as POST /v1/sessions starts it. StartRefused for a scenario that is not there, or
        does not listen to AppEvents.Started."""
        return SessionView(self.simulation.start(scenario, custom_data))

    def dialed(self, number: str) -> Leg:
        """The newest call that the edge made to a number. NoSuchCall where there is none."""
        found = self.simulation.exchange.dialed(number)
        if not found:
            others = [phone.number for phone in self.simulation.exchange.phones if phone.invite is not None]
            raise NoSuchCall(f"{number} was not dialled; dialled: {', '.join(others) or 'nothing'}")
        return Leg(self.simulation, found[-1])

    def sound(self, url: str, seconds: float = 1.0, *, error: str = "") -> None:
        """What an http(s) URL holds that players play: so many seconds, or with `error` nothing and why. URLs that no
        test speaks of hold one second."""
        self.simulation.edge.prompts.urls[url] = error or seconds

    def advance(self, seconds: float) -> None:
        """Let virtual time go on."""
        self.simulation.world.advance(seconds)
        self.simulation.world.settle()

    def faults(self, **kw: Any) -> None:
        """Faults of the network from now on: loss, reorder, duplicate (shares 0 to 1), latency (seconds).
        Raises NotInSimulator for others."""
        unknown = [name for name in kw if name not in FAULTS]
        if unknown:
            raise NotInSimulator(f"faults: {', '.join(unknown)}: not built; there are {', '.join(FAULTS)}")
        network = self.simulation.network
        network.conditions = replace(network.conditions, **{name: float(value) for name, value in kw.items()})

    def verify(self) -> None:
        """Assert that every call that is over ended once and was counted to the sample."""
        self.simulation.verify()

    def close(self) -> None:
        """The end of the world."""
        self.simulation.close()
