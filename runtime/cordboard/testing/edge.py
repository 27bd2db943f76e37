"""The simulated edge as tests see it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cordboard.simulator.agent_wires import VERSIONS, WireName
from cordboard.simulator.simulation import Simulation

from .errors import NeverHappened, NoSuchCall
from .faults import EdgeFaults
from .legs import Leg
from .sessions import SessionView

STEP = 0.02
"""Seconds between two looks of `advance_until`: a frame."""


class Edge:
    """A whole edge in virtual time. The fixture `edge` gives one to each test, and checks every call at its end."""

    def __init__(self, template: Path, *, seed: int = 0, scenario: str | None = None) -> None:
        """The functions of `template`; a cordboard.toml beside it counts. `scenario`: who takes calls, where the
        template has several. Raises what loading raises."""
        file = template.parent / "cordboard.toml"
        self.simulation = Simulation(template, seed=seed, scenario=scenario, file=file if file.exists() else None)
        """What is beneath, for tests of the edge itself."""
        self.faults = EdgeFaults(self.simulation)
        """What goes wrong: `edge.faults(lost_answers=0.05)`, `edge.faults.next("answer lost")`, `edge.faults.log`."""

    def keys(self, **values: str) -> None:
        """What ApplicationStorage and secrets hold: each is a key and a secret of that name."""
        self.simulation.keys(**values)

    def stored(self, key: str) -> str | None:
        """What ApplicationStorage holds now; None where there is no such key."""
        found = self.simulation.storage.get(key)
        return None if found is None else found.value

    def wire(self, name: WireName) -> None:
        """Agents are opened on this wire from now on, `line` or `managed`, whatever version their handlers ask for."""
        if name not in VERSIONS:
            raise ValueError(f"wire: {name!r}: there are {', '.join(VERSIONS)}")
        self.simulation.edge.wire = name

    def call(self, callerid: str, to: str, *, headers: Mapping[str, str] | None = None) -> Leg:
        """A call comes in."""
        phone = self.simulation.call(callerid, to, tuple((headers or {}).items()))
        return Leg(self.simulation, phone)

    def start(self, scenario: str, **custom_data: Any) -> SessionView:
        """A session without a call, as POST /v1/sessions starts it. StartRefused for a scenario that is not there, or
        does not listen to AppEvents.Started."""
        return SessionView(self.simulation, self.simulation.start(scenario, custom_data))

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

    def advance_until(self, happened: Callable[[], object], *, at_most: float = 60.0) -> float:
        """Let virtual time go on until something is so; the seconds that took. NeverHappened after `at_most`."""
        world = self.simulation.world
        began = world.now
        world.settle()
        while not happened():
            if world.now - began >= at_most:
                raise NeverHappened(f"it did not come within {at_most:g} s of virtual time")
            world.advance(STEP)
            world.settle()
        return world.now - began

    @property
    def sessions(self) -> Sequence[SessionView]:
        """Every session there was, the oldest first."""
        return [SessionView(self.simulation, each) for each in self.simulation.edge.sessions.values()]

    def verify(self) -> None:
        """Assert that every call that is over ended once and was counted to the sample."""
        self.simulation.verify()

    def close(self) -> None:
        """The end of the world."""
        self.simulation.close()
