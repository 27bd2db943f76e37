"""Two user agents on one fake clock and a network in memory that can delay, lose and repeat."""

import random
from collections.abc import Callable
from typing import TypeVar

from cordboard.sip.events import Dropped, Event, IncomingInvite, Traced
from cordboard.sip.message import Request, Response
from cordboard.sip.parser import parse
from cordboard.sip.ua import UserAgent
from cordboard.sip.uri import Address

T = TypeVar("T")

ALICE: Address = ("192.0.2.1", 5060)
BOB: Address = ("192.0.2.2", 5060)
OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"192.0.2.1", b"192.0.2.2")


class Party:
    """A user agent with what it reported."""

    def __init__(self, agent: UserAgent, address: Address) -> None:
        self.agent = agent
        self.address = address
        self.events: list[Event] = []
        self.on_event: Callable[[Event, float], None] | None = None

    def drain(self, now: float) -> None:
        while (event := self.agent.next_event()) is not None:
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event, now)

    @property
    def spoken(self) -> list[Event]:
        """Events without traces and drops."""
        return [event for event in self.events if not isinstance(event, Traced | Dropped)]

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.spoken]


class Network:
    """Carries datagrams between parties; `fate` says after which delays copies arrive (empty: lost)."""

    def __init__(self, fate: Callable[[bytes], list[float]] | None = None) -> None:
        self.now = 0.0
        self.parties: dict[Address, Party] = {}
        self.wire: list[tuple[float, int, bytes, Address, Address]] = []
        self.log: list[tuple[float, str]] = []
        self._fate = fate or (lambda data: [0.01])
        self._serial = 0

    def join(self, address: Address, seed: int = 1, t1: float = 0.5) -> Party:
        agent = UserAgent(address=address, rng=random.Random(seed), t1=t1)
        party = Party(agent, address)
        self.parties[address] = party
        return party

    def flush(self) -> None:
        for party in self.parties.values():
            party.drain(self.now)
            for data, destination in party.agent.data_to_send(self.now):
                self.log.append((self.now, parse(data).start_line()))
                for delay in self._fate(data):
                    self._serial += 1
                    self.wire.append((self.now + delay, self._serial, data, party.address, destination))
            party.drain(self.now)

    def run(self, until: float) -> None:
        """Step to `until`: deliveries and timers in order of time."""
        self.flush()
        while True:
            times = [item[0] for item in self.wire]
            times += [t for p in self.parties.values() if (t := p.agent.next_timer()) is not None]
            if not times or min(times) > until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, min(times))
            due = sorted(item for item in self.wire if item[0] <= self.now)
            self.wire = [item for item in self.wire if item[0] > self.now]
            for _, _, data, source, destination in due:
                if destination in self.parties:
                    self.parties[destination].agent.receive_datagram(data, source, self.now)
                    self.flush()
            for party in self.parties.values():
                party.agent.on_timer(self.now)
            self.flush()


def outgoing(agent: UserAgent, now: float = 0.0) -> list[Request | Response]:
    """What an agent sends now, parsed."""
    return [parse(data) for data, _ in agent.data_to_send(now)]


def only(events: list[Event], kind: type[T]) -> T:
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, f"{len(found)} of {kind.__name__} in {events}"
    return found[0]


def pair(net: Network | None = None) -> tuple[Network, Party, Party]:
    net = net or Network()
    return net, net.join(ALICE, 1), net.join(BOB, 2)


def call(net: Network, alice: Party) -> str:
    return alice.agent.invite(
        to="sip:bob@192.0.2.2", from_="sip:alice@192.0.2.1", display_name='Al "x", 1', sdp=OFFER, now=net.now
    )


def ring(net: Network, alice: Party, bob: Party) -> tuple[str, str]:
    a = call(net, alice)
    net.run(net.now + 0.05)
    return a, only(bob.spoken, IncomingInvite).leg


def talk(net: Network, alice: Party, bob: Party) -> tuple[str, str]:
    a, b = ring(net, alice, bob)
    bob.agent.respond(b, 200, sdp=ANSWER, now=net.now)
    net.run(net.now + 0.05)
    alice.events.clear()
    bob.events.clear()
    return a, b
