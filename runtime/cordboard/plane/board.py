"""What the parts of a plane's engine share: its units, the wheel, and the ways out to control, shell and wire."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cordboard.contract import link
from cordboard.contract.call_record import LedgerEntry
from cordboard.media.dtmf import InvalidDigit

from . import effects
from .agent import Agent
from .effects import Effect, Packet
from .leg import Leg
from .pacing import FRAME, Wheel
from .player import Player
from .speech import SpeechPlayer
from .switch import Switch

MAX_CORDS = 1000
"""Cords told of a session whose ledger with its turns does not fit the link: 300 bytes each."""

MAX_FIGURES = 100
"""Values kept of one figure of a session: a clear every half minute for an hour."""


def _shortened(message: Any, size: int) -> Any:
    """What control is told in place of a message of `size` octets."""
    problem = f"{type(message).__name__} of {size} bytes is too long"
    match message:
        case link.AgentSaid():
            data = {"message": problem, "fatal": False, "type": message.type}
            return link.AgentSaid(message.agent, "agent.websocket_error", data, message.at)
        case link.SessionClosed():
            ledger = tuple(replace(entry, turns=()) for entry in message.ledger[:MAX_CORDS])
            return link.SessionClosed(message.session, ledger, message.figures)
        case _:
            return link.PlaneNote("", "media", "message too long for the link", {"problem": problem})


class Board:
    """The units of a plane and its ways out."""

    def __init__(self, rng: random.Random, now: float) -> None:
        self.rng = rng
        self.wall: Callable[[float], float] = lambda moment: moment
        """Unix time of a monotonic moment, for RTCP sender reports."""
        self.effects: deque[Effect] = deque()
        self.packets: list[Packet] = []
        self.legs: dict[str, Leg] = {}
        self.agents: dict[str, Agent] = {}
        """Agents whose socket is not closed yet."""
        self.players: dict[str, Player | SpeechPlayer] = {}
        """Players that are not over."""
        self.wheel: Wheel[Leg] = Wheel(now)
        self.linked = False
        """Control is connected."""
        self.past: dict[str, list[LedgerEntry]] = {}
        """Session → entries of cords that are over."""
        self.figures: dict[str, dict[str, Any]] = {}
        """Session → what was measured."""
        self.switch = Switch(self.legs, self.agents, self.players, self._note_replaced, self.keep_ledger)

    def effect(self, effect: Effect) -> None:
        """Ask the shell for something."""
        self.effects.append(effect)

    def send(self, message: Any) -> None:
        """Send a message to control, if there is one; one too long for the link is cut down, for it would end it."""
        if not self.linked:
            return
        line = link.to_line(message)
        if len(line) > link.LINK_LINE:
            line = link.to_line(_shortened(message, len(line)))
        self.effects.append(effects.SendLink(line))

    def done(self, confirm: str | None, **fields: Any) -> None:
        """Confirm a message."""
        if confirm is not None:
            self.send(link.Done(confirm, **fields))

    def fail(self, confirm: str | None, code: str, message: str) -> None:
        """Refuse a message."""
        if confirm is not None:
            self.send(link.Done(confirm, ok=False, code=code, message=message))

    def note(self, session: str, kind: str, what: str, data: dict[str, Any], now: float) -> None:
        """A line for a session's timeline."""
        self.send(link.PlaneNote(session, kind, what, data, now))

    def figure(self, session: str, name: str, value: object) -> None:
        """Another value of a session's figure; at most MAX_FIGURES are kept."""
        values = self.figures.setdefault(session, {}).setdefault(name, [])
        if len(values) < MAX_FIGURES:
            values.append(value)

    def kick(self, unit: str, now: float) -> None:
        """Sound is there for a leg: begin its spurt if it may."""
        leg = self.legs.get(unit)
        if leg is None or leg in self.wheel:
            return
        if leg.may_send and leg.may_start(now) and leg.tick(now, self.packets):
            self.wheel.put(leg, leg.next_due)
        elif leg.wants_tick(now):
            patience = FRAME if leg.cord is not None and leg.cord.live else 0.0
            self.wheel.put(leg, max(leg.next_due, now + patience))

    def send_digits(self, unit: str, digits: str, now: float) -> bool:
        """Send digits on a leg; False when its peer takes none. Raises InvalidDigit."""
        leg = self.legs.get(unit)
        if leg is None or leg.media.dtmf_send is None:
            return False
        leg.send_digits(digits)
        self.kick(unit, now)
        return True

    def pass_digit(self, unit: str, digit: str, now: float) -> None:
        """Bridge a digit to a leg; one too many is dropped and noted, for no peer may stop the plane."""
        try:
            self.send_digits(unit, digit, now)
        except InvalidDigit as error:
            self.note(unit.split("/", 1)[0], "media", "digit dropped", {"problem": str(error)}, now)

    def keep_ledger(self, entry: LedgerEntry, session: str) -> None:
        """A cord is over."""
        if entry.received:
            self.past.setdefault(session, []).append(entry)

    def _note_replaced(self, source: str, sink: str, by: str) -> None:
        self.send(link.MediaNote("media.replaced", source, sink, by))
