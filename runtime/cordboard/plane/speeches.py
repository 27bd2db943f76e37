"""The realtime players of a plane: link messages, their sockets' bytes, and the end of each context."""

from collections.abc import Callable
from typing import Any

from cordboard.agents.events import Closed, HttpResponse, Opened
from cordboard.agents.sonic import SonicAudio, SonicBusy, SonicConnection, SonicDone, SonicError
from cordboard.agents.state import WrongState
from cordboard.agents.websocket import BadAddress
from cordboard.contract import link

from . import effects
from .board import Board
from .players import Players
from .speech import SPEECH_SECONDS, SpeechPlayer


class Speeches:
    """Opens, feeds and ends realtime players."""

    def __init__(self, board: Board, players: Players, connect_timeout: float) -> None:
        self._board = board
        self._players = players
        self._connect_timeout = connect_timeout
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            link.SpeechOpen: self._open,
            link.SpeechRequest: self._request,
            link.SpeechCancel: self._cancel,
            link.SpeechClear: self._clear,
        }

    # --- the network's side

    def with_line(self, unit: str, now: float, act: Callable[[SonicConnection], None]) -> None:
        """Do something with a player's socket, and handle what follows."""
        player = self._board.players.get(unit)
        if isinstance(player, SpeechPlayer):
            act(player.line)
            self._pump(player, now)

    def upkeep(self, player: SpeechPlayer, now: float) -> None:
        """Each 100 ms: timers, and contexts that were heard out."""
        moment = player.line.next_timer()
        if moment is not None and moment <= now:
            player.line.on_timer(now)
        self._pump(player, now)
        if player.unit in self._board.players:
            self._tell_heard(player, now)

    # --- link messages

    def _open(self, message: link.SpeechOpen, now: float) -> None:
        board = self._board
        if message.player in board.players:
            board.fail(message.confirm, "invalid", "the player exists")
            return
        try:
            player = SpeechPlayer(message, board.rng, now, self._connect_timeout)
        except BadAddress as error:
            board.fail(message.confirm, "invalid", str(error))
            board.send(link.PlayerSaid(message.player, "failed", 0.0, str(error)))
            return
        board.players[message.player] = player
        line = player.line
        board.effect(effects.SpeechConnect(player.unit, line.host, line.port, line.secure))

    def _request(self, message: link.SpeechRequest, now: float) -> None:
        player = self._speaking(message.player, message.confirm)
        if player is None:
            return
        try:
            context_id = player.line.generate(message.request, now)
        except (SonicBusy, WrongState) as error:
            self._board.fail(message.confirm, "refused", str(error))
            return
        except ValueError as error:  # BadRequest, NotJson
            self._board.fail(message.confirm, "invalid", str(error))
            return
        player.asked(context_id, now)
        self._flush(player, now)
        self._board.done(message.confirm, result={"context_id": context_id})

    def _cancel(self, message: link.SpeechCancel, now: float) -> None:
        player = self._speaking(message.player, message.confirm)
        if player is None:
            return
        if player.line.cancel(message.context_id, now):
            player.contexts.pop(message.context_id, None)
            self._flush(player, now)
        self._board.done(message.confirm)

    def _clear(self, message: link.SpeechClear, now: float) -> None:
        player = self._speaking(message.player, message.confirm)
        if player is not None:
            if player.cord is not None:
                player.cord.clear()
            self._tell_heard(player, now)
            self._board.done(message.confirm)

    # --- inside

    def _speaking(self, unit: str, confirm: str | None) -> SpeechPlayer | None:
        player = self._board.players.get(unit)
        if isinstance(player, SpeechPlayer):
            return player
        self._board.fail(confirm, "object_ended", "the player is over")
        return None

    def _pump(self, player: SpeechPlayer, now: float) -> None:
        board = self._board
        while (event := player.line.next_event()) is not None:
            match event:
                case Opened():
                    board.done(player.opening)
                    player.opening = None
                case SonicAudio():
                    self._said(player, event, now)
                case SonicDone():
                    player.context_over(event.context_id)
                case SonicError(context_id=""):
                    facts = {"player": player.name, "what": event.message}
                    board.note(player.session, "media", "Sonic complains", facts, now)
                case HttpResponse():
                    player.refused = _refusal(event)
                case SonicError():
                    self._failed(player, event, now)
                case Closed():
                    self._flush(player, now)
                    closed = f"Sonic's socket closed: {event.code} {event.reason}".rstrip()
                    self._closed(player, player.refused or closed, now)
                    return
                case _:
                    pass  # word timings, flushes: nobody asks for them yet
        self._flush(player, now)

    def _said(self, player: SpeechPlayer, event: SonicAudio, now: float) -> None:
        flooded = player.flooded
        player.said(event.payload, event.context_id, now)
        if player.flooded and not flooded:
            facts = {"player": player.name, "limit_s": SPEECH_SECONDS}
            self._board.note(player.session, "ledger", "the player floods: audio is dropped", facts, now)
        if player.cord is not None and player.cord.sink:
            if not player.paused:
                self._tell_started(player)
            self._board.kick(player.cord.sink, now)

    def _tell_started(self, player: SpeechPlayer) -> None:
        if not player.started:
            player.started = True
            self._board.send(link.PlayerSaid(player.unit, "started"))

    def _failed(self, player: SpeechPlayer, event: SonicError, now: float) -> None:
        """A context is over by an error; what was said of it is heard."""
        context = player.contexts.pop(event.context_id, None)
        if context is not None:
            self._chunks_finished(player, event.context_id, 0.0, event.message)

    def _tell_heard(self, player: SpeechPlayer, now: float) -> None:
        if player.seconds_heard > 0:
            self._tell_started(player)  # it spoke before it had a listener, or was held
        for name, context in player.heard_out():
            took = (context.first_audio or now) - context.asked
            self._chunks_finished(player, name, round(took, 3))

    def _chunks_finished(self, player: SpeechPlayer, context_id: str, took: float, why: str = "") -> None:
        last, heard = not player.contexts, round(player.seconds_heard, 3)
        self._board.send(link.PlayerSaid(player.unit, "chunks_finished", took, why, context_id, last, heard))

    def _closed(self, player: SpeechPlayer, reason: str, now: float) -> None:
        self._board.fail(player.opening, "connect_failed", reason)
        player.opening = None
        self._players.end(player, "failed", reason, now)

    def _flush(self, player: SpeechPlayer, now: float) -> None:
        for data in player.line.data_to_send(now):
            self._board.effect(effects.AgentWrite(player.unit, data))


def _refusal(event: HttpResponse) -> str:
    """Why there is no socket, for people."""
    remedy = {401: "; is the API key right?", 403: "; may the API key speak?", 429: "; too many sockets are open"}
    return f"Sonic refused the socket: HTTP {event.status}{remedy.get(event.status, '')} {event.body}".rstrip()
