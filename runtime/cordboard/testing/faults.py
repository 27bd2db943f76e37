"""`edge.faults`: what goes wrong in a test, by chance or by order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cordboard.simulator.faults import Fault, Faults
from cordboard.simulator.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run of a test has to bear from the first line of its body."""

    seed: int = 0
    """Of chance."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """As `edge.faults(…)` takes them."""
    storage_down: tuple[float, float] | None = None
    """The same."""
    only: Sequence[Fault] | None = None
    """Exactly these instead of chance, whatever the body asks for."""


class EdgeFaults:
    """Call it for faults by chance; `next` orders one; `log` has all that happened."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._faults: Faults = sim.faults
        self._seed = 0

    def __call__(
        self,
        *,
        seed: int | None = None,
        storage_down: tuple[float, float] | None = None,
        latency: float | None = None,
        **rates: float,
    ) -> None:
        """From now on, instead of what an earlier call asked for: shares (0 to 1) of opportunities that go wrong.

        lost_answers, crashes, late_answers, duplicate_invocations: of invocations of functions. packet_loss,
        packet_delays, packet_duplicates: of packets of sound; signalling_loss: of SIP messages, which are sent again
        half a second later and more. agent_drops: of an agent's messages but audio;
        agent_slow_ack: of its starts. plane_death: of invocations, at which the call's media plane dies.
        `storage_down`: ApplicationStorage fails, (seconds from now until it begins, seconds it lasts). `latency`:
        seconds one way of every datagram. `seed` fixes the chance. ValueError names what is wrong."""
        self._faults.rates(self._seed if seed is None else seed, rates, storage_down)
        if latency is not None:
            network = self._sim.network
            network.conditions = replace(network.conditions, latency=latency)

    def next(self, kind: str, event: str = "", *, nth: int = 1) -> None:
        """Order one fault: at the n-th opportunity from now of that kind, and of that event if one is given.
        ValueError for a kind that there is not."""
        self._faults.next(kind, event, nth)

    @property
    def log(self) -> Sequence[Fault]:
        """Everything that went wrong, in order."""
        return self._faults.log

    def begin(self, plan: Plan) -> None:
        """The test's body begins: opportunities are counted from here. For the plugin alone."""
        self._seed = plan.seed
        self._faults.restart()
        if plan.only is not None:
            self._faults.only(plan.only)
        elif plan.rates or plan.storage_down is not None:
            self._faults.rates(plan.seed, plan.rates, plan.storage_down)


def by_chance(faults: Iterable[Fault]) -> list[Fault]:
    """Without those that the test ordered itself."""
    return [fault for fault in faults if not fault.ordered]
