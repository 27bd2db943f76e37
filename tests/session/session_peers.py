"""Whom the control engine meets on the bench: phones that are real user agents, a plane that does as it is told."""

import itertools
import random
from typing import TYPE_CHECKING, Any, TypeVar

from cordboard.contract import link
from cordboard.sip import events as sip
from cordboard.sip.offer import LocalMedia, answer, offer
from cordboard.sip.ua import UserAgent
from cordboard.sip.uri import Address

if TYPE_CHECKING:
    from .session_bench import Bench

T = TypeVar("T")

EDGE: Address = ("192.0.2.10", 5060)
CALLER: Address = ("192.0.2.1", 5060)
TRUNK: Address = ("192.0.2.50", 5060)
NUMBER = "+18005550100"


class Phone:
    """A user agent at an address; `mode` says what it does with a call."""

    def __init__(self, bench: "Bench", address: Address, seed: int) -> None:
        self.bench = bench
        self.address = address
        self.agent = UserAgent(address=address, rng=random.Random(seed))
        self.local = LocalMedia(address[0], 4000 + seed * 2, 1, 1)
        self.events: list[sip.Event] = []
        self.mode = "answer"
        self.leg = ""
        self.dead = False
        """Nothing of it reaches anybody, nothing reaches it."""
        self.acknowledges = True

    def call(self, number: str = NUMBER, *, sdp: bytes | None = None, user: str = "+15550001") -> None:
        self.leg = self.agent.invite(
            to=f"sip:{number}@{EDGE[0]}:{EDGE[1]}",
            from_=f"sip:{user}@{self.address[0]}",
            sdp=offer(self.local) if sdp is None else sdp,
            now=self.bench.now,
            destination=EDGE,
        )
        self.bench.pump()

    def hang_up(self) -> None:
        self.agent.hangup(self.leg, self.bench.now)
        self.bench.pump()

    def raw(self, data: bytes) -> None:
        self.bench.wire.append((data, self.address, EDGE))
        self.bench.pump()

    def take(self, event: sip.Event) -> None:
        self.events.append(event)
        now = self.bench.now
        match event:
            case sip.IncomingInvite():
                self.leg = event.leg
                if self.mode == "busy":
                    self.agent.respond(event.leg, 486, now=now)
                elif self.mode == "ring":
                    self.agent.respond(event.leg, 180, now=now)
                elif self.mode == "early":
                    assert event.sdp is not None
                    self.agent.respond(event.leg, 183, sdp=answer(event.sdp, self.local)[0], now=now)
                elif self.mode == "unusable":
                    self.agent.respond(event.leg, 200, sdp=offer(self.local).replace(b"RTP/AVP", b"RTP/SAVP"), now=now)
                elif self.mode == "answer":
                    self.pick_up()
            case sip.Offered():
                assert event.sdp is not None
                self.agent.answer_offer(event.leg, sdp=answer(event.sdp, self.local)[0], now=now)
            case _:
                pass

    def pick_up(self) -> None:
        invite = self.last(sip.IncomingInvite)
        assert invite.sdp is not None
        self.agent.respond(invite.leg, 200, sdp=answer(invite.sdp, self.local)[0], now=self.bench.now)
        self.bench.pump()

    def all(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[T]) -> T:
        return self.all(kind)[-1]

    @property
    def heard(self) -> list[str]:
        """Summaries of SIP messages that came in."""
        return [event.summary for event in self.all(sip.Traced) if event.direction == "in"]


class FakePlane:
    """Answers the link as a plane would; `mute` names messages it keeps silent about."""

    def __init__(self, bench: "Bench", index: int = 0) -> None:
        self.bench = bench
        self.index = index
        self.got: list[Any] = []
        self.mute: set[type] = {link.LegPlayout}
        self.refuse: dict[type, tuple[str, str]] = {}
        self.agents: set[str] = set()
        self.ports = itertools.count(20000, 2)
        self.ledger: tuple[Any, ...] = ()

    def take(self, line: bytes) -> None:
        message: Any = link.from_line(line)
        self.got.append(message)
        if type(message) in self.mute:
            return
        self.reply(message)

    def reply(self, message: Any) -> None:
        match message:
            case link.Hello():
                self.say(link.Ready(self.index, 4711, tuple(next(self.ports) for _ in range(8))))
            case link.Ping():
                self.say(link.Pong(message.n))
            case link.AgentClose():
                if message.agent in self.agents:
                    self.gone(message.agent, 1000, message.reason, "us", expected=True)
            case link.SessionClose():
                for agent in sorted(self.agents):
                    self.gone(agent, 1000, "session completed", "us", expected=True)
                self.say(link.SessionClosed(message.session, self.ledger))
            case _:
                token = getattr(message, "confirm", None)
                if token is None:
                    return
                refusal = self.refuse.get(type(message))
                if refusal is not None:
                    self.say(link.Done(token, ok=False, code=refusal[0], message=refusal[1]))
                    return
                if isinstance(message, link.AgentOpen):
                    self.agents.add(message.agent)
                self.say(link.Done(token, result={"web_socket_id": "ws-1"}))

    def say(self, message: Any) -> None:
        self.bench.lines.append((self.index, link.to_line(message)))

    def tell(self, message: Any) -> None:
        """Say it and let it take effect."""
        self.say(message)
        self.bench.pump()

    def gone(
        self, agent: str, code: int, reason: str, by: Any, *, expected: bool = False, talking: bool = False
    ) -> None:
        self.agents.discard(agent)
        self.say(link.AgentGone(agent, code, reason, by, expected, talking))

    def all(self, kind: type[T]) -> list[T]:
        return [message for message in self.got if isinstance(message, kind)]

    def last(self, kind: type[T]) -> T:
        return self.all(kind)[-1]

    def release(self, kind: type) -> None:
        """Answer what was kept silent about."""
        self.mute.discard(kind)
        kept: list[Any] = self.all(kind)
        for message in kept:
            self.reply(message)
        self.bench.pump()
