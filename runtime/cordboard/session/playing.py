"""What a handler's players are told to do: call.say, call.play, and the commands of a player that plays sounds.

Leaves out what becomes of a player (`players`), who hears it (`cords`), and what realtime players say (`speaking`).
"""

from typing import TYPE_CHECKING

from cordboard.contract import link
from cordboard.contract.commands import CallPlay, PlayerAddMarker, PlayerCreate, PlayerSimple

from .player import Player
from .steps import Step

if TYPE_CHECKING:
    from .session import Session

MAX_MARKERS = 100
"""Markers of one player, as in the plane."""


class Playing:
    """Commands of players."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def play(self, step: Step, args: CallPlay, now: float) -> None:
        """call.say, call.play: over a leg's source. Done when it is accepted; its outcome is an event."""
        leg = self._session.legs.get(step.command.target or "")
        if leg is None or leg.hanging_up:
            step.fail("object_ended", f"call {step.command.target!r} is over")
            return
        former = self._session.players.get(args.name)
        if former is not None and former.over != leg.unit:
            step.fail("refused", f"a player named {args.name!r} is live elsewhere; give this one another name")
        elif self._session.players.may_make(step, args.name, replaced=former is not None):
            player = self._session.players.make(args.name, loop=args.loop or args.sound.endless)
            player.over = leg.unit
            self._session.players.want(player, leg.unit, now)
            self._session.players.prepare(player, (args.sound,), now)
            step.done({"name": args.name, "id": player.unit})

    def create(self, step: Step, args: PlayerCreate, now: float) -> None:
        """player.create. Done when it is accepted."""
        name = step.command.target or ""
        if self._session.players.get(name) is not None:
            step.fail("refused", f"a player named {name!r} is live; give this one another name")
        elif self._session.players.may_make(step, name):
            player = self._session.players.make(name, loop=args.loop or args.sound.endless)
            player.paused = args.on_pause
            self._session.players.prepare(player, (args.sound,), now)
            step.done({"name": name, "id": player.unit})

    def stop(self, step: Step, args: PlayerSimple, now: float) -> None:
        """player.stop."""
        player = self._session.players.get(step.command.target or "")
        if player is not None:
            self._session.players.end(player, "stop", now)
        step.done()

    def pause(self, step: Step, on: bool, now: float) -> None:
        """player.pause, player.resume."""
        player = self._named(step)
        if player is None:
            return
        player.paused = on
        if player.state in ("PLAYING", "PAUSED"):
            player.state = "PAUSED" if on else "PLAYING"
        if player.state != "PREPARING":
            self._session.send_plane(link.PlayerPause(player.unit, on))
        step.done()

    def add_marker(self, step: Step, args: PlayerAddMarker, now: float) -> None:
        """player.add_marker."""
        player = self._named(step)
        if player is None:
            return
        player.marked += 1
        if player.realtime:
            step.fail("not_supported", "what a realtime player will say has no length yet")
        elif player.marked > MAX_MARKERS:
            step.fail("refused", f"a player may have {MAX_MARKERS} markers")
        elif player.ready:
            self._session.send_plane(link.PlayerMark(player.unit, args.offset, self._session.settling(step)))
        else:
            player.marks.append(args.offset)
            step.done()

    def _named(self, step: Step) -> Player | None:
        player = self._session.players.get(step.command.target or "")
        if player is None:
            step.fail("object_ended", f"player {step.command.target!r} is over")
        return player
