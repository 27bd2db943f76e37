"""The simulated UDP network: latency, loss, reordering and duplicates, by chance that the seed fixes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .faults import LATE_PACKET, Faults
from .world import World

Address: TypeAlias = tuple[str, int]
Receive: TypeAlias = Callable[[bytes, Address], None]
"""(datagram, source)."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens to a datagram. The default is a clean local network."""

    latency: float = 0.0005
    """Seconds one way."""
    loss: float = 0.0
    """Share that never arrives."""
    reorder: float = 0.0
    """Share that arrives up to `reorder_by` later than the others."""
    reorder_by: float = 0.05
    """Seconds."""
    duplicate: float = 0.0
    """Share that arrives twice."""

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is no share, 0 to 1")
        if self.latency <= 0 or self.reorder_by < 0:
            raise ValueError("latency must be above 0 and reorder_by not below")


class Network:
    """Delivers datagrams to whoever is bound to an address."""

    def __init__(self, world: World, conditions: Conditions | None = None) -> None:
        self._world = world
        self._rng = world.rng("network")
        self._bound: dict[Address, Receive] = {}
        self.conditions = conditions or Conditions()
        """May be replaced at any moment."""
        self.faults: Faults | None = None
        """Single datagrams that go wrong beyond the conditions."""
        self.unbound = 0
        """Datagrams to an address where nobody listens."""
        self.lost = 0
        """Datagrams that chance took."""
        self.late = 0
        """Datagrams that single faults held up."""

    def bind(self, address: Address, receive: Receive) -> None:
        """Listen. ValueError when somebody does already."""
        if address in self._bound:
            raise ValueError(f"{address[0]}:{address[1]} is in use")
        self._bound[address] = receive

    def unbind(self, address: Address) -> None:
        """Listen no more."""
        self._bound.pop(address, None)

    def send(self, data: bytes, source: Address, destination: Address, *, transit: bool = False) -> None:
        """One datagram; `transit`: it is signalling, which `settle` waits for."""
        conditions, rng, world = self.conditions, self._rng, self._world
        if conditions.loss and rng.random() < conditions.loss:
            self.lost += 1
            return
        delay = conditions.latency
        if self.faults is not None:
            if transit:
                lost = self.faults.happens("signalling lost", _label(data))
            else:
                lost = self.faults.happens("packet lost", "rtp")
                if self.faults.happens("packet late", "rtp"):
                    self.late += 1
                    delay += LATE_PACKET
                if self.faults.happens("packet doubled", "rtp"):
                    world.after(delay, lambda: self._deliver(data, source, destination), transit=False)
            if lost:
                self.lost += 1
                return
        if conditions.reorder and rng.random() < conditions.reorder:
            delay += rng.random() * conditions.reorder_by
        world.after(delay, lambda: self._deliver(data, source, destination), transit=transit)
        if conditions.duplicate and rng.random() < conditions.duplicate:
            again = delay + rng.random() * 0.01
            world.after(again, lambda: self._deliver(data, source, destination), transit=transit)

    def _deliver(self, data: bytes, source: Address, destination: Address) -> None:
        receive = self._bound.get(destination)
        if receive is None:
            self.unbound += 1
            return
        self._world.record(f"udp {source[0]}:{source[1]} {destination[0]}:{destination[1]}", data)
        receive(data, source)


def _label(message: bytes) -> str:
    """Method or status code of a SIP message."""
    first = message[:16].split(b" ", 2)
    return first[1 if first[0].startswith(b"SIP/") else 0].decode("ascii", "replace")
