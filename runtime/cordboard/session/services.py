"""What every session shares: the user agent, the planes, time, chance, configuration, and the way out to the shell."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from cordboard.config.model import Config, Trunk
from cordboard.sip.offer import LocalMedia
from cordboard.sip.ua import UserAgent

from .breaker import Breakers
from .control_url import ControlKeys
from .effects import Effect
from .planes import Planes
from .request_signature import RequestSignatures
from .timeline import Clock
from .timers import Timers


@dataclass(slots=True)
class Services:
    """Handed to each session by the engine."""

    config: Config
    ua: UserAgent
    planes: Planes
    timers: Timers
    clock: Clock
    rng: random.Random
    emit: Callable[[Effect], None]
    resolve_secret: Callable[[str], tuple[str, str]]
    """Name → (value, version). Raises KeyError."""
    media_host: Callable[[tuple[str, int] | None], str]
    """Address to write in our SDP for a peer."""
    request_signatures: RequestSignatures | None
    """Checks control requests; None: they need no signature."""
    control_keys: ControlKeys
    public_url: str
    legs: dict[str, str]
    """The user agent's leg id → session id; its length is the number of calls."""
    traced: dict[str, str]
    """The same, until the session is over: traces follow the end of a leg."""
    trunk_of: dict[str, str]
    """The user agent's leg id → name of its trunk."""
    breakers: Breakers = field(default_factory=Breakers)
    """Which functions are not waited for."""
    now: float = 0.0
    """The moment the engine was last called at; results settle at it."""

    def over_trunk(self, trunk: Trunk) -> int:
        """Calls over a trunk now."""
        return sum(1 for leg in self.legs if self.trunk_of.get(leg) == trunk.name)

    def local_media(self, peer: tuple[str, int] | None, port: int, trunk: Trunk | None) -> LocalMedia:
        """What we offer or answer to a peer, in the trunk's order of codecs."""
        known = LocalMedia("", 0, 0, 0).codecs
        wanted = tuple(name for name in trunk.codecs if name in known) if trunk is not None else ()
        return LocalMedia(
            host=self.media_host(peer),
            port=port,
            session_id=self.rng.getrandbits(48),
            version=1,
            codecs=wanted or known,
        )

    def identifier(self, bits: int = 64) -> str:
        """Hex digits nobody can guess the next of (the engine's rng is seeded from the system outside tests)."""
        return f"{self.rng.getrandbits(bits):0{bits // 4}x}"
