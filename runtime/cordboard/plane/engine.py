"""The plane's engine: link messages, datagrams and agent bytes in; packets and effects out. No socket, no clock.

It decides all that must happen within a tick (DESIGN §1): clear, pacing, latching, digits counted once and passed
between agent and leg, silence to the agent on hold. Units of one session never meet those of another.
"""

import random
from collections.abc import Callable
from typing import Any

from cordboard.contract import link
from cordboard.contract.codec import DecodeError

from .agents import Agents
from .board import Board
from .effects import Address, Effect, Packet
from .legs import Legs
from .players import Players
from .playouts import Playouts
from .recordings import Recordings
from .speech import SpeechPlayer
from .speeches import Speeches

UPKEEP_TICKS = 20
"""Ticks between two upkeeps of a leg or agent: 100 ms, staggered."""


class PlaneEngine:
    """Everything that one media plane does."""

    def __init__(self, *, index: int, pid: int, rng: random.Random, now: float, connect_timeout: float = 5.0) -> None:
        self._index = index
        self._pid = pid
        self._board = Board(rng, now)
        self._recordings = Recordings(self._board)
        self._playouts = Playouts(self._board)
        self._agents = Agents(self._board, connect_timeout)
        self._players = Players(self._board, self._playouts)
        self._speeches = Speeches(self._board, self._players, connect_timeout)
        self._legs = Legs(self._board, self._agents, self._recordings)
        self._life = ""
        self._lease = 10.0
        self._heard_control = now
        self._late = 0.0
        self.unreadable_lines = 0
        """Lines of control that are no message to a plane."""
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            link.Hello: self._hello,
            link.Ping: self._ping,
            link.SessionClose: lambda message, now: self._end_session(message.session, now),
            **self._legs.handlers,
            **self._agents.handlers,
            **self._recordings.handlers,
            **self._playouts.handlers,
            **self._players.handlers,
            **self._speeches.handlers,
        }

    # --- the shell's side

    def set_wall_clock(self, wall: Callable[[float], float]) -> None:
        """Unix time of a monotonic moment, for RTCP sender reports; set before the first leg."""
        self._board.wall = wall

    @property
    def live(self) -> int:
        """Live legs."""
        return len(self._board.legs)

    def packets_to_send(self) -> list[Packet]:
        """Datagrams that leave now; drain after every call."""
        packets, self._board.packets = self._board.packets, []
        return packets

    def next_effect(self) -> Effect | None:
        """The oldest effect; drain after every call."""
        return self._board.effects.popleft() if self._board.effects else None

    def tick_late(self, seconds: float) -> None:
        """How late a tick was; the worst since the last pong is reported."""
        self._late = max(self._late, seconds)

    def link_opened(self, now: float) -> None:
        """Control connected."""
        self._board.linked = True
        self._heard_control = now
        self._board.send(link.Ready(self._index, self._pid, self._legs.stock))

    def link_closed(self, now: float) -> None:
        """Control is gone; the lease runs."""
        self._board.linked = False

    def receive_link(self, line: bytes, now: float) -> None:
        """One line of control. An unreadable one is counted: control and plane are of one release."""
        self._heard_control = now
        try:
            message = link.from_line(line)
        except DecodeError as error:
            self._unreadable(str(error), now)
            return
        handler = self._handlers.get(type(message))
        if handler is None:
            self._unreadable(f"{type(message).__name__} is not for a plane", now)
            return
        handler(message, now)

    def port_opened(self, port: int, now: float) -> None:
        """A port pair is open."""
        self._legs.port_opened(port)

    def ports_refused(self, count: int, now: float) -> None:
        """So many port pairs could not be opened."""
        self._legs.ports_refused(count)

    def rtp_in(self, port: int, data: bytes, source: Address, now: float) -> None:
        """A datagram on an RTP port."""
        self._legs.rtp_in(port, data, source, now)

    def rtcp_in(self, port: int, data: bytes, source: Address, now: float) -> None:
        """A datagram on the RTCP port of an RTP port."""
        self._legs.rtcp_in(port, data, source, now)

    def agent_connected(self, agent: str, now: float) -> None:
        """TCP (and TLS) to an agent's service, or a realtime player's, is up."""
        self._agents.with_agent(agent, now, lambda each: each.line.connected(now))
        self._speeches.with_line(agent, now, lambda line: line.connected(now))

    def agent_data(self, agent: str, data: bytes, now: float) -> None:
        """Bytes from the agent's service."""
        self._agents.with_agent(agent, now, lambda each: each.line.receive_data(data, now))
        self._speeches.with_line(agent, now, lambda line: line.receive_data(data, now))

    def agent_eof(self, agent: str, now: float) -> None:
        """The agent's service ended its side."""
        self._agents.with_agent(agent, now, lambda each: each.line.receive_eof(now))
        self._speeches.with_line(agent, now, lambda line: line.receive_eof(now))

    def agent_lost(self, agent: str, reason: str, now: float) -> None:
        """The connection could not be made or broke."""
        self._agents.with_agent(agent, now, lambda each: each.line.connection_lost(reason, now))
        self._speeches.with_line(agent, now, lambda line: line.connection_lost(reason, now))

    def sound_loaded(self, path: str, data: bytes, now: float) -> None:
        """A prepared sound is read."""
        self._players.sound_loaded(path, data, now)

    def sound_failed(self, path: str, reason: str, now: float) -> None:
        """A prepared sound cannot be read."""
        self._players.sound_failed(path, reason, now)

    def file_failed(self, recording: str, reason: str, now: float) -> None:
        """A recording's file cannot be written; the call goes on."""
        self._recordings.file_failed(recording, reason, now)

    def next_timer(self) -> float:
        """When `on_timer` wants to be called: at each tick of the wheel, the plane's only clock."""
        return self._board.wheel.tick_at

    def on_timer(self, now: float) -> None:
        """Every tick that is due: frames, gaps of jitter buffers, playouts, upkeep."""
        board = self._board
        while (due := board.wheel.due(now)) is not None:
            moment, legs = due
            for leg in legs:
                if not leg.tick(moment, board.packets) and not leg.wants_tick(moment):
                    board.wheel.remove(leg)
            self._players.check(now)
            self._legs.check_gaps(now)
            self._playouts.check(now)
            self._upkeep(board.wheel.count % UPKEEP_TICKS, now)

    # --- control's life

    def _unreadable(self, problem: str, now: float) -> None:
        self.unreadable_lines += 1
        self._board.note("", "media", "unreadable link message", {"problem": problem}, now)

    def _hello(self, message: link.Hello, now: float) -> None:
        self._lease = message.lease
        if message.life != self._life:
            if self._life:
                self._drop_all(now)
            self._life = message.life

    def _ping(self, message: link.Ping, now: float) -> None:
        self._board.send(link.Pong(message.n, len(self._board.legs), round(self._late * 1000, 3)))
        self._late = 0.0

    def _upkeep(self, place: int, now: float) -> None:
        """What a twentieth of the legs and agents needs each 100 ms."""
        board = self._board
        for leg in list(board.legs.values())[place::UPKEEP_TICKS]:
            self._legs.upkeep(leg, now)
        for agent in list(board.agents.values())[place::UPKEEP_TICKS]:
            self._agents.upkeep(agent, now)
        for player in list(board.players.values())[place::UPKEEP_TICKS]:
            if isinstance(player, SpeechPlayer):
                self._speeches.upkeep(player, now)
        if place == 0:
            self._agents.hear_out(now)
            if (board.legs or board.agents) and now >= self._heard_control + self._lease:
                self._drop_all(now)

    def _end_session(self, session: str, now: float) -> None:
        board = self._board
        self._agents.end_session(session, now)
        self._legs.end_session(session, now)
        self._agents.forget_session(session, now)
        self._players.end_session(session, now)
        self._playouts.check(now)
        board.switch.forget(session)
        ledger = tuple(board.past.pop(session, ()))
        board.send(link.SessionClosed(session, ledger, board.figures.pop(session, {})))

    def _drop_all(self, now: float) -> None:
        """The lease ran out, or another control began: no audio, no agents, nothing of the former life."""
        board = self._board
        self._playouts.clear()
        sessions = {leg.session for leg in board.legs.values()} | {agent.session for agent in board.agents.values()}
        for session in sorted(sessions | set(board.past) | set(board.figures)):
            self._end_session(session, now)
