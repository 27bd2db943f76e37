"""The players of a plane: link messages, sounds shared by path, and what is told of each player's life."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cordboard.agents.state import State
from cordboard.contract import link

from . import effects
from .board import Board
from .player import Player, TooManyMarkers
from .playouts import PLAYOUT_MARGIN, Playouts
from .speech import SpeechPlayer
from .switch import RouteRefused

Mouthpiece: TypeAlias = Player | SpeechPlayer


@dataclass(slots=True)
class _Sound:
    data: bytes = b""
    """Empty until the shell has read it."""
    users: set[str] = field(default_factory=set)
    """Players that play it; the last one's end drops it."""


class Players:
    """Loads, routes, holds and ends players."""

    def __init__(self, board: Board, playouts: Playouts) -> None:
        self._board = board
        self._playouts = playouts
        self._sounds: dict[str, _Sound] = {}
        """Path → its sound: hold music of a hundred calls stands in memory once."""
        self._paths: dict[str, str] = {}
        """Player → path."""
        self._passed: list[Player] = []
        """Players that reached a marker, their begin or their end."""
        self._later: deque[tuple[float, link.PlayerSaid]] = deque()
        """(moment, message): an end is told when the last frame is heard, not when it leaves."""
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            link.SoundOpen: self._open,
            link.PlayOver: self._play_over,
            link.PlayerPause: self._pause,
            link.PlayerMark: self._mark,
            link.PlayerClose: self._close,
        }

    # --- the shell's side

    def sound_loaded(self, path: str, data: bytes, now: float) -> None:
        """A sound's file is read; a last part of a frame is filled with silence."""
        sound = self._sounds.get(path)
        if sound is None:
            return  # its players are gone
        sound.data = data + Player.form.silence[: -len(data) % Player.form.bytes_per_frame]
        for unit in list(sound.users):
            player = self._board.players.get(unit)
            if isinstance(player, Player):
                self._load(player, sound.data, now)

    def sound_failed(self, path: str, reason: str, now: float) -> None:
        """A sound's file cannot be read."""
        sound = self._sounds.get(path)
        for unit in list(sound.users if sound is not None else ()):
            player = self._board.players.get(unit)
            if isinstance(player, Player):
                self._board.fail(player.confirm, "sound_lost", reason)
                player.confirm = None
                self.end(player, "failed", reason, now)

    # --- time

    def check(self, now: float) -> None:
        """What players reached since the last tick; asked in every one."""
        if self._passed:
            passed = dict.fromkeys(self._passed)
            self._passed.clear()
            for player in passed:
                self._reached(player, now)
        while self._later and self._later[0][0] <= now:
            self._board.send(self._later.popleft()[1])

    def end_session(self, session: str, now: float) -> None:
        """Nothing of a session's players is left; its legs are gone."""
        for player in [each for each in self._board.players.values() if each.session == session]:
            self._forget(player, now)
        prefix = session + "/"
        self._later = deque(each for each in self._later if not each[1].player.startswith(prefix))

    # --- link messages

    def _open(self, message: link.SoundOpen, now: float) -> None:
        board = self._board
        if message.player in board.players:
            board.fail(message.confirm, "invalid", "the player exists")
            return
        player = Player(message.player, loop=message.loop, paused=message.paused, passed=self._passed.append)
        player.confirm = message.confirm
        board.players[message.player] = player
        self._paths[message.player] = message.path
        sound = self._sounds.get(message.path)
        if sound is None:
            sound = self._sounds[message.path] = _Sound()
            board.effect(effects.LoadSound(message.path))
        sound.users.add(message.player)
        if sound.data:
            self._load(player, sound.data, now)

    def _play_over(self, message: link.PlayOver, now: float) -> None:
        player = self._board.players.get(message.player)
        if player is None:
            return  # its end is told
        try:
            self._board.switch.play_over(player, message.leg)
        except RouteRefused as error:
            self.end(player, "failed", str(error), now)
            return
        self._board.kick(message.leg, now)

    def _pause(self, message: link.PlayerPause, now: float) -> None:
        player = self._board.players.get(message.player)
        if player is not None:
            player.paused = message.on
            self._kick(player, now)

    def _mark(self, message: link.PlayerMark, now: float) -> None:
        player = self._board.players.get(message.player)
        if player is None:
            self._board.fail(message.confirm, "object_ended", "the player is over")
            return
        if not isinstance(player, Player):
            self._board.fail(message.confirm, "not_supported", "what a realtime player will say has no length yet")
            return
        try:
            player.mark(message.offset)
        except TooManyMarkers as error:
            self._board.fail(message.confirm, "refused", str(error))
            return
        self._board.done(message.confirm)

    def _close(self, message: link.PlayerClose, now: float) -> None:
        player = self._board.players.get(message.player)
        if player is not None:
            self.end(player, "stopped", message.reason, now)

    # --- inside

    def _load(self, player: Player, sound: bytes, now: float) -> None:
        try:
            player.load(sound)
        except ValueError as error:
            self._board.fail(player.confirm, "sound_lost", str(error))
            player.confirm = None
            self.end(player, "failed", str(error), now)
            return
        self._board.done(player.confirm, result={"seconds": len(sound) / player.form.rate})
        player.confirm = None
        self._kick(player, now)

    def _reached(self, player: Player, now: float) -> None:
        if player.unit not in self._board.players:
            return
        if not player.started:
            player.started = True
            self._board.send(link.PlayerSaid(player.unit, "started"))
        for place in player.marks_reached():
            self._board.send(link.PlayerSaid(player.unit, "marker", round(place, 3)))
        if player.finished:
            self.end(player, "finished", "", now, heard_at=now + PLAYOUT_MARGIN)

    def end(self, player: Mouthpiece, type_: Any, reason: str, now: float, *, heard_at: float = 0.0) -> None:
        """A player is over; the leg that heard it over its source has that back, unless it is being hung up."""
        board = self._board
        sink = player.cord.sink if player.cord is not None else ""
        back = board.switch.player_gone(player, back=not self._playouts.waits_for(sink))
        if back:
            names = {"leg": sink.partition("/")[2], "source": back.partition("/")[2]}
            board.note(player.session, "media", "the former source is back", names, now)
        self._forget(player, now)
        said = link.PlayerSaid(player.unit, type_, round(player.seconds_heard, 3), reason)
        if heard_at > now:
            self._later.append((heard_at, said))
        else:
            board.send(said)
        board.kick(sink, now)

    def _forget(self, player: Mouthpiece, now: float) -> None:
        board = self._board
        if isinstance(player, SpeechPlayer):
            self._hang_up(player, now)
        del board.players[player.unit]
        for cord in player.cords():
            board.keep_ledger(cord.entry(), player.session)
        path = self._paths.pop(player.unit, "")
        sound = self._sounds.get(path)
        if sound is not None:
            sound.users.discard(player.unit)
            if not sound.users:
                del self._sounds[path]

    def _hang_up(self, player: SpeechPlayer, now: float) -> None:
        """Say good-bye and drop the socket: nobody waits for the service's."""
        if player.line.state not in (State.IDLE, State.CLOSED):
            player.line.close(reason="player ended", now=now)
            for data in player.line.data_to_send(now):
                self._board.effect(effects.AgentWrite(player.unit, data))
        self._board.effect(effects.AgentDisconnect(player.unit))

    def _kick(self, player: Mouthpiece, now: float) -> None:
        if player.cord is not None:
            self._board.kick(player.cord.sink, now)
