"""A whole simulated world: edge, telephone network, agents' service and functions, ready for calls.

with Simulation(template, seed=1) as sim:
    sim.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a", PSTN_CALLER_ID="+15550001111")
    caller = sim.exchange.call("+15551234567", "+18005550100")
    sim.world.settle()
    …
    sim.verify()
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cordboard.config.load import load
from cordboard.config.model import Config, Dial, Outbound, Route, Trunk
from cordboard.scenario import Stores
from cordboard.storage.memory import MemorySecrets, MemoryStorage

from .agent_service import AgentService
from .edge import SimulatedEdge
from .exchange import Exchange
from .faults import Faults
from .faulty_storage import FaultyStorage
from .functions import Functions
from .network import Conditions, Network
from .observed import SimulatedSession
from .phones import Phone
from .prompts import Prompts
from .verify import check_session, check_world
from .voices import Voices
from .world import World

EDGE = "192.0.2.1"
EXCHANGE = "192.0.2.10"
"""Addresses of RFC 5737, for documentation."""

QUIET = 45.0
"""Virtual seconds after the last call after which nothing of it may be left: SIP's timers last 32 s (64 T1)."""


def simulated_config(functions: Functions, scenario: str | None = None, file: Path | None = None) -> Config:
    """The configuration of a simulated edge: one trunk, every number to one scenario, everything may be dialled.

    With a `file` its [[routes]], [dial] and [limits] count. ValueError where several scenarios need a choice.
    """
    config = load(file, {}, {})
    trunk = Trunk("exchange", f"sip:{EXCHANGE}", (ip_network(f"{EXCHANGE}/32"),), ("PCMU", "PCMA"), None)
    routes: tuple[Route, ...] = tuple(replace(route, trunk=None) for route in config.routes)
    dial = config.dial
    if not routes or scenario is not None:
        names = sorted(functions.release.scenarios())
        if scenario is None and len(names) != 1:
            raise ValueError(f"the template has the scenarios {', '.join(names)}: say which one takes calls")
        routes = (Route("*", None, scenario or names[0], None),)
    if file is None:
        dial = Dial(("*",), (), dial.max_per_call)
    return replace(
        config,
        trunks=(trunk,),
        routes=routes,
        outbound=(Outbound("*", "exchange"),),
        dial=dial,
        sip=replace(config.sip, accept="trunks"),
    )


class Simulation:
    """Everything of one world. Close it, or use it as a context."""

    def __init__(
        self,
        template: Path,
        *,
        seed: int = 0,
        scenario: str | None = None,
        file: Path | None = None,
        elided: bool = True,
        record: bool = False,
        planes: int = 1,
        conditions: Conditions | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        """`elided`: phones send sound only where they speak, so that long calls are cheap; `record`: for `digest`;
        `limits`: values of [limits] to replace. Raises what loading functions and configuration raises."""
        self.world = World(seed, record=record)
        self.network = Network(self.world, conditions)
        self.voices = Voices()
        self.storage = MemoryStorage(lambda: self.world.wall(self.world.now))
        self.secrets = MemorySecrets()
        self.faults = Faults(lambda: self.world.now - self.world.start)
        """What goes wrong beside the network's conditions."""
        self.network.faults = self.faults
        self.functions = Functions(template, Stores(FaultyStorage(self.storage, self.faults), self.secrets))
        config = simulated_config(self.functions, scenario, file)
        if limits:
            config = replace(config, limits=replace(config.limits, **limits))  # type: ignore[arg-type]
        self.service = AgentService(self.world, self.voices, self.faults)
        self.edge = SimulatedEdge(
            self.world,
            self.network,
            config,
            self.functions,
            self.secrets,
            self.service,
            host=EDGE,
            planes=planes,
            elided=elided,
            faults=self.faults,
            prompts=Prompts(self.voices, config.media.prompts),
        )
        address = (EDGE, config.sip.udp.port)
        self.exchange = Exchange(self.world, self.network, self.voices, host=EXCHANGE, edge=address, elided=elided)
        self.world.settle()

    def keys(self, **values: str) -> None:
        """Put keys where handlers find them: each is an ApplicationStorage item and a secret of that name."""
        for name, value in values.items():
            self.storage.put(name, value, None)
            self.secrets.put(name, value)

    def call(self, callerid: str, to: str, headers: Sequence[tuple[str, str]] = ()) -> Phone:
        """Call the edge, and let everything happen that happens now."""
        phone = self.exchange.call(callerid, to, headers)
        self.world.settle()
        return phone

    def start(self, scenario: str, custom_data: Mapping[str, Any]) -> SimulatedSession:
        """Start a session without a call, and let everything happen that happens now. Raises StartRefused."""
        id_ = self.edge.start_session(scenario, custom_data)
        self.world.settle()
        return self.edge.sessions[id_]

    def session_of(self, phone: Phone) -> SimulatedSession:
        """The session that a phone's call belongs to. LookupError when it has none."""
        found = self.edge.legs.get(phone.call_id)
        if found is None:
            raise LookupError(f"the call of {phone.number} belongs to no session: {phone.state}, {phone.code}")
        return self.edge.sessions[found[0]]

    def verify(self, *, lossless: bool | None = None) -> None:
        """Every call that is over was ended once and counted to the sample; asserts. `lossless` None: as it is."""
        clean = self.network.conditions
        exact = (
            lossless
            if lossless is not None
            else not (clean.loss or clean.reorder or self.network.lost or self.network.late)
        )
        self.world.advance(0.1)  # what left before the end arrives
        for session in self.edge.sessions.values():
            if session.ended:
                check_session(self, session, exact=exact)

    def quiet(self) -> None:
        """Let SIP's timers run out, then assert that nothing of any call is left anywhere."""
        self.world.advance(QUIET)
        self.verify()
        check_world(self)

    def close(self) -> None:
        """Forget the functions' modules."""
        self.functions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
