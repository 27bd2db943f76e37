"""Who hears whom: what the plane is told of each leg's media, of routes, and of what a leg without a source hears.

A route from a leg or an agent holds until another one takes its place; that from an agent whose socket is closed until
its last words are heard. A player is heard for a while: when it ends, goes elsewhere or is unrouted, its leg has back
what it heard before.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cordboard.contract import link
from cordboard.sip.offer import Negotiated

from .objects import Leg

if TYPE_CHECKING:
    from .legs import Legs
    from .session import Session


class Cords:
    """All cords of one session (source → sink)."""

    def __init__(self, session: "Session", legs: "Legs") -> None:
        self._session = session
        self._legs = legs
        self._routes: dict[str, str] = {}
        """Sink unit → source unit."""
        self._over: dict[str, str] = {}
        """Sink unit → unit of the player that it hears over its source."""
        self._later: set[str] = set()
        """Sink units whose route waits for the end of an announcement, or of a player that they hear over it."""
        self._former: dict[str, list[str]] = {}
        """Sink unit that a player is routed to → what it heard before, oldest first."""
        self._last_words: dict[str, list[Callable[[float], None]]] = {}
        """Agent that is gone and is still heard → what the end of its words sets off."""
        self._waiting: dict[str, list[Callable[[float], None]]] = {}
        """Unit → what its media's confirmation sets off."""

    def send_media(self, leg: Leg, now: float) -> None:
        """Tell the plane what is negotiated."""
        session = self._session
        media: Negotiated | None = leg.media

        def confirmed(done: link.Done, at: float) -> None:
            if done.ok:
                leg.media_ready = True
                for act in self._waiting.pop(leg.unit, ()):
                    act(at)

        message = link.LegMedia(
            leg=leg.unit,
            port=leg.port,
            codec="PCMA" if media is not None and media.codec == "PCMA" else "PCMU",
            remote=media.remote if media is not None else (),
            remote_rtcp=media.remote_rtcp if media is not None else (),
            send_payload_type=media.send_payload_type if media is not None else 0,
            dtmf_send=media.dtmf_send if media is not None else None,
            dtmf_receive=media.dtmf_receive if media is not None else None,
            direction=media.direction if media is not None else "sendrecv",
            on_hold=media.on_hold if media is not None else False,
            answered=leg.answered,
            confirm=session.confirm(confirmed),
        )
        session.send_plane(message)

    def when_media_ready(self, leg: Leg, act: Callable[[float], None]) -> None:
        """Call `act` when the plane has confirmed the leg."""
        self._waiting.setdefault(leg.unit, []).append(act)

    def route(self, source: str, sink: str, now: float) -> None:
        """`sink` hears `source`; once it has heard an announcement out, if it hears one."""
        self._routes[sink] = source
        self._former.pop(sink, None)
        if self._session.players.announcing(sink):
            self._later.add(sink)
        else:
            self._over.pop(sink, None)
            self._later.discard(sink)
            self._send_route(source, sink, now)
        self._session.players.superseded(sink, now)
        self.update_fallbacks(now)

    def route_player(self, player: str, sink: str, now: float, *, beneath: bool) -> None:
        """`sink` hears a player for a while; `beneath`: after the one that it hears over its source."""
        left = [each for each, source in self._routes.items() if source == player and each != sink]
        self._forget_former(player)
        former = self._routes.get(sink, player)
        if former != player and former not in self._last_words:
            self._former.setdefault(sink, []).append(former)
        self._routes[sink] = player
        if beneath:
            self._later.add(sink)
        else:
            self._over.pop(sink, None)
            self._send_route(player, sink, now)
        for each in left:
            del self._routes[each]
            self._give_back(each, now)
        self.update_fallbacks(now)

    def _send_route(self, source: str, sink: str, now: float) -> None:
        def route(at: float) -> None:
            if self._routes.get(sink) == source and sink not in self._later:
                self._session.send_plane(link.Route(source, sink))

        legs = (self._legs.by_unit(source), self._legs.by_unit(sink))
        self._once_answered(tuple(leg for leg in legs if leg is not None), route, now)

    def _once_answered(self, legs: tuple[Leg, ...], act: Callable[[float], None], now: float) -> None:
        """Call `act` now, or when the call among `legs` that waits for its agent is answered."""
        waiting = next((leg for leg in legs if leg.awaits_agent), None)
        if waiting is None:
            act(now)
        else:
            self._legs.when_answered(waiting, act, now)

    def unroute(self, source: str, sink: str, now: float) -> None:
        """`sink` hears `source` no more."""
        self._session.send_plane(link.Unroute(source, sink))
        if self._routes.get(sink) == source:
            del self._routes[sink]
            self._give_back(sink, now)
        else:
            self._former[sink] = [each for each in self._former.get(sink, ()) if each != source]
        self.update_fallbacks(now)

    def unroute_all(self, leg: Leg, now: float) -> None:
        """A leg hears nobody any more, but for the last words of an agent that is gone."""
        while (source := self.source_of(leg.unit)) and source not in self._last_words:
            self.unroute(source, leg.unit, now)

    def announced(self, leg: Leg) -> None:
        """A leg has heard its announcement out: what was routed to it meanwhile is heard."""
        source = self._routes.get(leg.unit)
        if leg.unit in self._later and source is not None:  # it may have closed meanwhile
            self._session.send_plane(link.Route(source, leg.unit))
        self._later.discard(leg.unit)

    def play_over(self, player: str, leg: Leg, now: float) -> None:
        """A leg hears a player over its source."""
        self._over[leg.unit] = player

        def play(at: float) -> None:
            if self._over.get(leg.unit) == player:
                self._session.send_plane(link.PlayOver(player, leg.unit))

        self._once_answered((leg,), play, now)
        self.update_fallbacks(now)

    def player_gone(self, unit: str, now: float) -> None:
        """A player is over: who heard it has back what it heard before, if anything."""
        self._forget_former(unit)
        for sink in [sink for sink, player in self._over.items() if player == unit]:
            del self._over[sink]
            if sink in self._later and not self._session.players.announcing(sink):
                self._later.discard(sink)
                self._session.send_plane(link.Route(self._routes[sink], sink))
        for sink in [sink for sink, source in self._routes.items() if source == unit]:
            del self._routes[sink]
            self._give_back(sink, now)
        self.update_fallbacks(now)

    def _give_back(self, sink: str, now: float) -> None:
        """The player that a sink was routed to is gone."""
        self._later.discard(sink)
        formers, leg = self._former.get(sink), self._legs.by_unit(sink)
        if not formers or leg is None or leg.hangup_pending:
            return
        source = self._routes[sink] = formers.pop()
        if sink in self._over:
            self._later.add(sink)
            return
        self._session.send_plane(link.Route(source, sink))
        facts = {"leg": leg.name, "source": source.partition("/")[2]}
        self._session.note("media", "the former source is back", facts, now)

    def _forget_former(self, unit: str) -> None:
        """A unit comes back to nobody."""
        for sink, formers in self._former.items():
            self._former[sink] = [each for each in formers if each != unit]

    def source_gone(self, unit: str, now: float, *, talking: bool = False) -> None:
        """An agent is closed: its listeners have no source; where it is `talking`, once its words are heard out."""
        self._forget_former(unit)
        self._routes.pop(unit, None)
        if talking:
            self._last_words.setdefault(unit, [])
        else:
            self._routes = {sink: src for sink, src in self._routes.items() if unit != src or self._pending_for(sink)}
        self.update_fallbacks(now)

    def heard_out(self, unit: str, now: float) -> None:
        """All that a source had to say is heard, or was dropped."""
        waiting = self._last_words.pop(unit, None)
        if waiting is not None:
            self.source_gone(unit, now)
            for act in waiting:
                act(now)

    def hears_last_words(self, leg: Leg) -> bool:
        """A leg hears an agent that is gone, and then nobody."""
        return leg.unit not in self._over and self._routes.get(leg.unit) in self._last_words

    def when_heard_out(self, leg: Leg, act: Callable[[float], None], now: float) -> None:
        """Call `act` once a leg has heard the last words of its agent: now, if it hears none."""
        if self.hears_last_words(leg):
            self._last_words[self._routes[leg.unit]].append(act)
        else:
            act(now)

    def _pending_for(self, sink: str) -> bool:
        leg = self._legs.by_unit(sink)
        return leg is not None and leg.live and leg.hangup_pending

    def forget(self, leg: Leg) -> None:
        """A leg is over: nobody hears it, it hears nobody."""
        self._waiting.pop(leg.unit, None)
        self._over.pop(leg.unit, None)
        self._later.discard(leg.unit)
        self._former.pop(leg.unit, None)
        self._forget_former(leg.unit)
        self._routes = {sink: src for sink, src in self._routes.items() if leg.unit not in (sink, src)}

    def hanging_up_after(self, source: str) -> Leg | None:
        """A leg fed by `source` whose hang-up waits for the playout."""
        sinks = (self._legs.by_unit(sink) for sink, src in self._routes.items() if src == source)
        return next((leg for leg in sinks if leg is not None and leg.live and leg.hangup_pending), None)

    def source_of(self, sink: str) -> str:
        """The unit that `sink` hears; empty: nobody."""
        return self._routes.get(sink, "")

    def bridged(self, leg: Leg) -> bool:
        """It hears somebody."""
        return leg.unit in self._routes or leg.unit in self._over

    def hears(self, leg: Leg) -> str:
        """The unit, or the tone, that a leg hears; empty: nothing."""
        return self._over.get(leg.unit) or self._routes.get(leg.unit) or leg.fallback

    def update_fallbacks(self, now: float) -> None:
        """An answered leg without a source hears the newest ringing leg's early media, else ringback (DESIGN §1), else
        the comfort tone where a function is late."""
        ringing = [leg for leg in self._legs.live() if not leg.incoming and not leg.answered and not leg.hanging_up]
        wanted = ""
        if ringing:
            newest = ringing[-1]
            wanted = newest.unit if newest.early_media else "ringback"
        for leg in self._legs.live():
            if not leg.answered:
                continue
            comfort = "comfort" if self._session.shield.tones(leg) else ""
            spoken_to = (
                self.bridged(leg) and not comfort and not self.hears_last_words(leg)
            )  # the tone goes on beneath the shield's own prompt
            fallback = "" if spoken_to or leg.hangup_pending else wanted or comfort
            if fallback != leg.fallback:
                leg.fallback = fallback
                self._session.send_plane(link.LegFallback(leg.unit, fallback))
                what = {"": "nothing", "ringback": "ringback", "comfort": "the comfort tone"}.get(
                    fallback, "early media"
                )
                self._session.note("media", f"{leg.name} hears {what}", {}, now)
            lonely = not self.bridged(leg) and not wanted and not leg.hangup_pending
            leg.unbridged_since = (leg.unbridged_since if leg.unbridged_since is not None else now) if lonely else None
        self._session.shield.look(now)
