"""A session's players: made ready by the shell, heard by legs, and over exactly once.

preparing ──the shell has a file──▶ loading ──plane has it in memory──▶ ready ──▶ stopped | finished | failed

Two ways lead to a leg, and when a player leaves it, what it heard before comes back. `media.send` routes a player: it
waits at its place when something newer is routed. `call.say` and `call.play`, and the edge's own prompts, play *over* a
leg's source, and end when a source is routed. The newest wins, in the order of the commands and not in that of how long
a sound took to prepare.

The edge's own prompts (a gather's, an announcement) are `prompt()`: no events, one call when it is over.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cordboard.contract import link
from cordboard.contract.commands import Sound
from cordboard.contract.events import PlaybackFinished, PlayerChunks, PlayerEvent, PlayerMarker

from .effects import PreparePrompt
from .objects import Leg
from .player import Ended, Player, Prompt, Then
from .steps import Step

if TYPE_CHECKING:
    from .session import Session

MAX_PLAYERS = 10
"""Live players of one session (VoxEngine's limit, reference voxengine §1.7); the edge's own prompts apart."""

PREPARE_LIMIT = 10.0
"""Seconds until a sound must be ready: a download has 5, an engine of speech 8. A caller may wait for it in silence."""


class Players:
    """All players of one session."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._live: list[Player] = []
        self._made = 0
        self._wants = 0
        self._requests: dict[str, Player] = {}
        """The shell's request → the player that waits for it."""
        self._placed: list[tuple[str, Callable[[float], None]]] = []
        """(leg's unit, what is done once no player is on its way to it)."""

    def all(self) -> list[Player]:
        """Live players of the handler."""
        return [player for player in self._live if player.name]

    def get(self, name: str) -> Player | None:
        """The newest live player of that name."""
        return next((player for player in reversed(self._live) if name and player.name == name), None)

    # --- the edge's own

    def prompt(self, leg: Leg, sounds: Sequence[Sound], then: Then, now: float) -> Prompt:
        """Let a leg hear sounds one after the other in place of its source, which comes back at their end.

        `then(how, why, now)` is called exactly once: finished (heard out), failed (why: for people), or stopped (by
        `stop`, by a newer source of the leg, or by the leg's end); never before this has returned.
        """
        made = self.held_prompt(leg, sounds, then, now)
        made.play(now)
        return made

    def held_prompt(self, leg: Leg, sounds: Sequence[Sound], then: Then, now: float) -> Prompt:
        """As `prompt`, but only made ready until it is told to play."""
        player = self.make("", loop=False)
        player.over, player.then = leg.unit, then
        self.prepare(player, tuple(sounds), now)
        return Prompt(player.unit, lambda at: self.route(player, leg, at), lambda at: self.end(player, "stop", at))

    def warm(self, sounds: Sequence[Sound]) -> None:
        """Have sounds made that may be needed later; whether they can be is found out when they are."""
        for sound in sounds:
            self._session.services.emit(PreparePrompt(f"{self._session.id}#warm", (sound,)))

    def announce(self, leg: Leg, sounds: Sequence[Sound], then: Then, now: float) -> Prompt:
        """As `prompt`, but heard out: routes to the leg and players that come meanwhile follow it."""
        made = self.prompt(leg, sounds, then, now)
        self._live[-1].announces = True
        return made

    def announcing(self, sink: str) -> bool:
        """A leg hears an announcement, or will before anything else."""
        return any(player.announces and player.over == sink for player in self._live)

    # --- routes

    def by_unit(self, unit: str) -> Player | None:
        """The player that a plane or route speaks of."""
        return next((player for player in self._live if player.unit == unit), None)

    def route(self, player: Player, leg: Leg, now: float) -> None:
        """media.send: the leg hears the player, at once or when it is ready."""
        self.want(player, leg.unit, now)
        if player.ready:
            self._place_soon(player, leg, now)

    def unroute(self, player: Player, leg: Leg, now: float) -> None:
        """media.stop: one that plays over the leg's source ends; a routed one waits at its place."""
        if player.over == leg.unit:
            self.end(player, "stop", now)
        elif player.wanted == leg.unit:
            player.wanted = ""
            self._check_placed(now)
        else:
            self._session.legs.cords.unroute(player.unit, leg.unit, now)
            player.sink = "" if player.sink == leg.unit else player.sink

    def superseded(self, sink: str, now: float) -> None:
        """A sink was given a source: what played over the former one ends, what was on its way does not come."""
        for player in list(self._live):
            if player.announces:
                continue
            if player.over == sink:
                self.end(player, "replaced", now)
            elif player.wanted == sink:
                player.wanted = ""
                self._check_placed(now)
            elif player.sink == sink:
                player.sink = ""

    def awaited_by(self, leg: Leg) -> bool:
        """A player is on its way to a leg."""
        return any(player.wanted == leg.unit for player in self._live)

    def when_placed(self, leg: Leg, act: Callable[[float], None], now: float) -> None:
        """Call `act` once no player is on its way to a leg any more: now, if none is."""
        if self.awaited_by(leg):
            self._placed.append((leg.unit, act))
        else:
            act(now)

    def leg_over(self, leg: Leg, now: float) -> None:
        """A leg is over: what played over its source is, too."""
        for player in list(self._live):
            if player.over == leg.unit:
                self.end(player, "call_ended", now)
            else:
                player.wanted = "" if player.wanted == leg.unit else player.wanted
                player.sink = "" if player.sink == leg.unit else player.sink
        self._placed = [each for each in self._placed if each[0] != leg.unit]

    # --- what shell and plane tell

    def prepared(self, request: str, path: str, now: float) -> None:
        """A sound is ready in a file."""
        player = self._requests.pop(request, None)
        if player is None:
            return  # it ended meanwhile
        player.state = "LOADING"

        def loaded(done: link.Done, at: float) -> None:
            if done.ok and player.live:
                self._ready(player, float(done.result.get("seconds", 0.0)), at)

        session = self._session
        session.send_plane(link.SoundOpen(player.unit, path, player.loop, player.paused, session.confirm(loaded)))

    def not_prepared(self, request: str, reason: str, now: float) -> None:
        """There is no such sound."""
        player = self._requests.pop(request, None)
        if player is not None:
            self._over(player, "failed", 0.0, reason, now)

    def said(self, message: link.PlayerSaid, now: float) -> None:
        """A step in a player's life."""
        player = self.by_unit(message.player)
        if player is None:
            return
        match message.type:
            case "started":
                player.state = "PLAYING"
                self._post(player, "player.started", PlayerEvent(call=self._listener(player)), now)
            case "marker":
                self._post(player, "player.marker", PlayerMarker(message.seconds, self._listener(player)), now)
            case "finished" | "stopped" | "failed" as how:
                self._over(player, how, message.seconds, message.reason, now)
            case "chunks_finished":
                self._chunks_finished(player, message, now)

    def opened(self, player: Player, now: float) -> None:
        """A realtime player's socket is open: from now on it takes its leg's source away."""
        self._ready(player, 0.0, now)

    def fail(self, player: Player, reason: str, now: float) -> None:
        """A player is no good."""
        self._session.send_plane(link.PlayerClose(player.unit, reason))
        self._over(player, "failed", 0.0, reason, now)

    # --- ends

    def end(self, player: Player, reason: str, now: float) -> None:
        """Stop a player; its end is told when the plane has told it, or at once where the plane knows nothing of it."""
        if not player.live or player.closing:
            return
        player.closing = True
        if player.state == "PREPARING":
            self._session.services.timers.set(now, lambda at: self._over(player, "stopped", 0.0, reason, at))
        else:
            self._session.send_plane(link.PlayerClose(player.unit, reason))

    def _over(self, player: Player, how: Ended, seconds: float, reason: str, now: float) -> None:
        """A player is over, exactly once."""
        if not player.live:
            return
        listener = self._listener(player)
        player.state = "ENDED"
        player.wanted = ""
        self._live.remove(player)
        self._requests = {request: each for request, each in self._requests.items() if each is not player}
        if player.limit is not None:
            player.limit.cancel()
        self._session.legs.cords.player_gone(player.unit, now)
        if player.announces:
            self._announced(player.over, now)
        self._post(player, f"player.{how}", PlayerEvent(seconds, reason, listener), now)
        if player.over and player.name and how != "stopped":
            self._session.post("call.playback_finished", PlaybackFinished(listener, reason), now, target=player.name)
        if player.then is not None:
            player.then(how, reason, now)
        self._check_placed(now)

    # --- parts

    def _chunks_finished(self, player: Player, message: link.PlayerSaid, now: float) -> None:
        listener = self._listener(player)
        data = PlayerChunks(message.context_id, message.seconds, message.reason, listener)
        self._post(player, "player.chunks_finished", data, now)
        if message.last:
            self._post(player, "player.finished", PlayerEvent(message.heard, message.reason, listener), now)

    def may_make(self, step: Step, name: str, *, replaced: bool = False) -> bool:
        """Whether a player of that name may be made; else the step fails."""
        if not replaced and not self._session.name_is_free(step, name):
            return False
        if len(self.all()) - replaced >= MAX_PLAYERS:
            step.fail("refused", f"a session may have {MAX_PLAYERS} live players; stop one first")
            return False
        return True

    def make(self, name: str, *, loop: bool) -> Player:
        """A new one."""
        self._made += 1
        unit = f"{self._session.id}/{name or 'prompt'}~p{self._made}"
        player = Player(name, unit, loop)
        self._live.append(player)
        return player

    def prepare(self, player: Player, sounds: tuple[Sound, ...], now: float) -> None:
        session = self._session
        request = f"{session.id}#prompt{self._made}"
        self._requests[request] = player

        def late(at: float) -> None:
            self.not_prepared(request, f"it was not ready within {PREPARE_LIMIT:g} s", at)

        player.limit = session.services.timers.set(now + PREPARE_LIMIT, late)
        session.services.emit(PreparePrompt(request, sounds))

    def want(self, player: Player, leg: str, now: float) -> None:
        """A player shall be heard by a leg once it is ready; those on their way there before it are not, but for what
        is routed: that is heard after a sound that plays over it."""
        self._wants += 1
        player.wanted, player.order = leg, self._wants
        for other in list(self._live):
            if other is player or other.wanted != leg or other.announces:
                continue
            if other.over:
                other.wanted = ""
                self.end(other, "replaced", now)
            elif not player.over:
                other.wanted = ""

    def _ready(self, player: Player, seconds: float, now: float) -> None:
        player.state = "PAUSED" if player.paused else "READY"
        if player.limit is not None:
            player.limit.cancel()
        marks, player.marks = player.marks, []
        for offset in marks:
            self._session.send_plane(link.PlayerMark(player.unit, offset))
        self._post(player, "player.ready", PlayerEvent(seconds), now)
        leg = self._session.legs.by_unit(player.wanted)
        if leg is not None and leg.live and not player.closing:
            self._place_soon(player, leg, now)

    def _place_soon(self, player: Player, leg: Leg, now: float) -> None:
        if leg.media_ready:
            self._place(player, leg, now)
        else:
            self._session.legs.cords.when_media_ready(leg, lambda at: self._place(player, leg, at))

    def _place(self, player: Player, leg: Leg, now: float) -> None:
        if player.wanted != leg.unit or not player.live or (self.announcing(leg.unit) and not player.announces):
            return
        player.wanted, player.sink = "", leg.unit
        cords = self._session.legs.cords
        over = [each for each in self._live if each is not player and each.over == leg.unit and not each.wanted]
        beneath = not player.over and any(each.order > player.order and not each.closing for each in over)
        if player.over:
            cords.play_over(player.unit, leg, now)
        else:
            cords.route_player(player.unit, leg.unit, now, beneath=beneath)
        for other in () if beneath else over:
            self.end(other, "replaced", now)
        self._check_placed(now)

    def _announced(self, unit: str, now: float) -> None:
        """What came while a leg heard an announcement is heard now: its source, then the newest player."""
        leg = self._session.legs.by_unit(unit)
        if leg is None or not leg.live or self.announcing(unit):
            return
        self._session.legs.cords.announced(leg)
        for player in list(self._live):
            if player.wanted == unit and player.ready and not player.closing:
                self._place(player, leg, now)

    def _check_placed(self, now: float) -> None:
        waiting, self._placed = self._placed, []
        for unit, act in waiting:
            if any(player.wanted == unit for player in self._live):
                self._placed.append((unit, act))
            else:
                act(now)

    def _listener(self, player: Player) -> str:
        leg = self._session.legs.by_unit(player.over or player.sink)
        return leg.name if leg is not None else ""

    def _post(self, player: Player, type_: str, data: Any, now: float) -> None:
        if player.name:
            self._session.post(type_, data, now, target=player.name)
        else:
            facts = {"call": data.call, **({"reason": data.reason} if getattr(data, "reason", "") else {})}
            self._session.note("media", f"prompt {type_.partition('.')[2]}", facts, now)
