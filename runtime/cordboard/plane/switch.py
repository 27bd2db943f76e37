"""Who hears whom: routes between legs, agents and players; each sink has one source, the newest wins and says so
(DESIGN §5)."""

from collections.abc import Callable, Mapping
from typing import Any

from cordboard.contract.call_record import LedgerEntry
from cordboard.media.chain import PCMU_8000
from cordboard.media.tones import ToneSource

from .agent import Agent
from .cord import Cord
from .ledger import Reason
from .leg import Leg
from .player import Mouth

COMFORT = "comfort"
TONES: Mapping[str, Callable[[], ToneSource]] = {"ringback": ToneSource.ringback, COMFORT: ToneSource.comfort}
"""What a leg without a source may hear, beside another leg."""
KEEP_ALIVE = "keep-alive"


class RouteRefused(ValueError):
    """A route between units that are not here."""


class Switch:
    """The routes of all sessions of a plane."""

    def __init__(
        self,
        legs: dict[str, Leg],
        agents: dict[str, Agent],
        players: Mapping[str, Mouth],
        replaced: Callable[[str, str, str], None],
        keep: Callable[[LedgerEntry, str], None],
    ) -> None:
        self._legs = legs
        self._agents = agents
        self._players = players
        self._replaced = replaced
        self._keep = keep
        self._ears: dict[str, dict[str, Agent]] = {}
        """Leg → agents that hear it."""
        self._lines: dict[str, dict[str, Cord]] = {}
        """Leg → sink leg → cord."""
        self._mouths: dict[str, Mouth] = {}
        """Sink leg → the agent or player it hears, also while a closed agent's last words are heard out."""
        self._under: dict[str, str] = {}
        """Sink leg that hears a player over its source → that source, which comes back; empty: it had none."""
        self._keep_alives: dict[str, Cord] = {}

    def agents_hearing(self, leg: str) -> tuple[Agent, ...]:
        """Agents that are fed by a leg."""
        return tuple(self._ears.get(leg, {}).values())

    def cords_from_leg(self, leg: str) -> tuple[Cord, ...]:
        """Cords to other legs."""
        return tuple(self._lines.get(leg, {}).values())

    def heard_by(self, leg: str) -> Mouth | None:
        """The agent or player that a leg hears."""
        return self._mouths.get(leg)

    def keep_alive_cord(self, leg: Leg) -> Cord:
        """The cord of the silent frames that keep a path open."""
        cord = self._keep_alives.get(leg.unit)
        if cord is None or cord.form != leg.form:
            if cord is not None:
                self._keep(cord.entry(), leg.session)
            cord = self._keep_alives[leg.unit] = Cord(KEEP_ALIVE, leg.unit, leg.form)
        return cord

    def route(self, source: str, sink: str) -> None:
        """`sink` hears `source`. Raises RouteRefused."""
        self._check(source, sink)
        from_leg, to_leg = self._legs.get(source), self._legs.get(sink)
        mouth, to_agent = self._agents.get(source) or self._players.get(source), self._agents.get(sink)
        self._under.pop(sink, None)
        if from_leg is not None and to_agent is not None:
            self._feed(from_leg, to_agent)
        elif from_leg is not None and to_leg is not None:
            self._join(from_leg, to_leg)
        elif mouth is not None and to_leg is not None:
            self._speak(mouth, to_leg)
        else:
            missing = source if from_leg is None and mouth is None else sink
            raise RouteRefused(f"{missing} is not here, or no leg takes part")

    def play_over(self, player: Mouth, sink: str) -> None:
        """`sink` hears a player in place of its source, which comes back with `player_gone`. Raises RouteRefused."""
        self._check(player.unit, sink)
        leg = self._legs.get(sink)
        if leg is None:
            raise RouteRefused(f"{sink} is not here")
        former = self._under.get(sink, leg.source.source if leg.source is not None else "")
        self._speak(player, leg)
        self._under[sink] = former

    def player_gone(self, player: Mouth, *, back: bool) -> str:
        """A player is over. Returns the source that its listener has `back`; empty where there is none."""
        sink = player.cord.sink if player.cord is not None else ""
        leg = self._legs.get(sink)
        if leg is None or leg.source is not player.cord:
            return ""
        former = self._under.pop(sink, "")
        self._take_source(leg, "ended")
        if not back or not (former in self._legs or former in self._agents or former in self._players):
            return ""
        self.route(former, sink)
        return former

    @staticmethod
    def _check(source: str, sink: str) -> None:
        if source == sink:
            raise RouteRefused("a unit cannot hear itself")
        if source.split("/", 1)[0] != sink.split("/", 1)[0]:
            raise RouteRefused("units of two sessions do not meet")

    def unroute(self, source: str, sink: str, reason: Reason) -> None:
        """Undo a route; none there: nothing happens."""
        ears = self._ears.get(source, {})
        if sink in ears:
            self._stop_feeding(source, ears[sink], reason)
        if self._under.get(sink) == source:
            self._under[sink] = ""
        leg = self._legs.get(sink)
        if leg is not None and leg.source is not None and leg.source.source == source:
            self._under.pop(sink, None)
            self._take_source(leg, reason)

    def set_fallback(self, leg: Leg, source: str) -> None:
        """What a leg hears while it has no source: a tone, another leg's early media, or nothing.

        Raises RouteRefused for a leg that is not here.
        """
        if source and source not in TONES:
            self._check(source, leg.unit)
            if source not in self._legs:
                raise RouteRefused(f"{source} is not here")
        if leg.fallback is not None and leg.fallback.source == source:
            return
        self._drop_fallback(leg)
        if leg.source is not None and leg.source.source == source:
            return
        if source in TONES:
            leg.tone, leg.comforted = TONES[source](), source == COMFORT
            cord = Cord(source, "", PCMU_8000)
            cord.connect(leg.unit, leg.form)
            leg.fallback = cord
        elif source:
            leg.fallback = self._line(self._legs[source], leg)

    def form_changed(self, leg: Leg) -> None:
        """A leg's codec may have changed: its cords get new chains."""
        for cord in (leg.source, leg.fallback):
            if cord is not None:
                cord.connect(leg.unit, leg.form)
        for agent in self.agents_hearing(leg.unit):
            if agent.ear is not None and agent.ear.form != leg.form:
                self._feed(leg, agent)
        for sink in list(self._lines.get(leg.unit, {})):
            cord = self._lines[leg.unit][sink]
            if cord.form != leg.form:
                other = self._legs[sink]
                if other.fallback is cord:
                    other.fallback = self._line(leg, other)
                else:
                    other.source = self._line(leg, other)

    def agent_form_changed(self, agent: Agent) -> None:
        """`start` chose a format: what was routed before gets its chains."""
        for leg, ears in self._ears.items():
            if agent.unit in ears:
                self._feed(self._legs[leg], agent)
                break
        if agent.cord is not None and agent.cord.form != agent.form and agent.cord.sink:
            self._speak(agent, self._legs[agent.cord.sink])

    def leg_gone(self, leg: Leg) -> None:
        """A leg is over: its cords end."""
        for agent in self.agents_hearing(leg.unit):
            self._stop_feeding(leg.unit, agent, "ended")
        self._ears.pop(leg.unit, None)
        for sink in list(self._lines.get(leg.unit, {})):
            other = self._legs[sink]
            if other.source is not None and other.source.source == leg.unit:
                self._take_source(other, "ended")
            else:
                self._drop_fallback(other)
        self._lines.pop(leg.unit, None)
        self._under.pop(leg.unit, None)
        if leg.source is not None:
            self._take_source(leg, "ended")
        self._drop_fallback(leg)
        keep_alive = self._keep_alives.pop(leg.unit, None)
        if keep_alive is not None:
            self._keep(keep_alive.entry(), leg.session)

    def agent_gone(self, agent: Agent) -> None:
        """An agent's socket is closed: it hears nothing more; what it said is heard out."""
        if agent.ear is not None:
            self._stop_feeding(agent.ear.source, agent, "ended")

    def forget(self, session: str) -> None:
        """Nothing of a session is left."""
        prefix = session + "/"
        tables: tuple[dict[str, Any], ...] = (
            self._ears, self._lines, self._mouths, self._under, self._keep_alives,
        )  # fmt: skip
        for table in tables:
            for unit in [unit for unit in table if unit.startswith(prefix)]:
                del table[unit]

    # --- the three kinds of route

    def _feed(self, leg: Leg, agent: Agent) -> None:
        if agent.ear is not None:
            former = agent.ear.source
            if former == leg.unit and agent.ear.form == leg.form and agent.ear.chain.sink == agent.form:
                return
            self._stop_feeding(former, agent, "replaced")
            if former != leg.unit:
                self._replaced(former, agent.unit, leg.unit)
        cord = Cord(leg.unit, "", leg.form, live=True)
        cord.connect(agent.unit, agent.form)
        agent.ear = cord
        self._ears.setdefault(leg.unit, {})[agent.unit] = agent

    def _stop_feeding(self, leg: str, agent: Agent, reason: Reason) -> None:
        if agent.ear is not None:
            agent.ear.discard(reason)
            self._keep(agent.ear.entry(), agent.session)
            agent.ear = None
        self._ears.get(leg, {}).pop(agent.unit, None)

    def _join(self, source: Leg, sink: Leg) -> None:
        self._give_source(sink, source.unit)
        sink.source = self._line(source, sink)

    def _speak(self, mouth: Mouth, sink: Leg) -> None:
        if mouth.cord is not None and sink.source is mouth.cord and mouth.cord.form == mouth.form:
            return
        self._give_source(sink, mouth.unit)
        if mouth.cord is not None and mouth.cord.sink and mouth.cord.sink != sink.unit:
            former = self._legs.get(mouth.cord.sink)
            if former is not None:
                self._take_source(former, "replaced")
        sink.source = mouth.attach(sink.unit, sink.form)
        self._mouths[sink.unit] = mouth

    def _line(self, source: Leg, sink: Leg) -> Cord:
        lines = self._lines.setdefault(source.unit, {})
        if sink.unit in lines:
            cord = lines[sink.unit]
            if sink.fallback is cord:
                sink.fallback = None
                sink.tone = None
            if cord.form == source.form:
                cord.connect(sink.unit, sink.form)
                return cord
            cord.discard("replaced")
            self._keep(cord.entry(), sink.session)
        cord = Cord(source.unit, "", source.form, live=True)
        cord.connect(sink.unit, sink.form)
        lines[sink.unit] = cord
        return cord

    def _give_source(self, sink: Leg, by: str) -> None:
        """A sink is about to get a source: the former one is replaced, aloud, and early media give way."""
        if sink.fallback is not None and sink.fallback.source != by:
            sink.fallback.discard("unbridged")
        if sink.source is not None:
            former = sink.source.source
            if former != by:
                self._take_source(sink, "replaced")
                self._replaced(former, sink.unit, by)
            elif former in self._agents or former in self._players:
                self._take_source(sink, "replaced")

    def _take_source(self, sink: Leg, reason: Reason) -> None:
        cord = sink.source
        sink.source = None
        if cord is None:
            return
        mouth = self._mouths.pop(sink.unit, None)
        if mouth is not None and mouth.cord is cord:
            mouth.detach(reason)
            if mouth.closed:
                self._keep(cord.entry(), sink.session)
            return
        cord.discard(reason)
        self._lines.get(cord.source, {}).pop(sink.unit, None)
        self._keep(cord.entry(), sink.session)

    def _drop_fallback(self, leg: Leg) -> None:
        cord = leg.fallback
        leg.fallback = None
        leg.tone, leg.comforted = None, False
        if cord is not None and cord is not leg.source:
            cord.discard("ended")
            self._lines.get(cord.source, {}).pop(leg.unit, None)
            self._keep(cord.entry(), leg.session)
