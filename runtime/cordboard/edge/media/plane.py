"""The loop around one PlaneEngine: its wheel, timers, sockets and files (DESIGN §1 and §5).

Every call into the engine is followed by a drain of its packets and effects. The engine's timer is its wheel: absolute
deadlines 5 ms apart, of which it makes up for those that came late. Old garbage is frozen and young garbage collected
between two ticks, so that no collection stops the audio.
"""

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cordboard.edge.link import Link, bind_unix
from cordboard.edge.media.agents import AgentConnections
from cordboard.edge.media.ports import Address, NoPortsLeft, PortPairs
from cordboard.edge.media.raw_files import RawFiles
from cordboard.edge.media.sound_files import SoundFiles
from cordboard.plane.effects import (
    AgentConnect,
    AgentDisconnect,
    AgentWrite,
    ClosePort,
    Effect,
    FileAppend,
    FileClose,
    LoadSound,
    OpenPorts,
    Packet,
    SendLink,
)

log = logging.getLogger(__name__)


class Engine(Protocol):
    """What the loop needs of `plane.engine.PlaneEngine`."""

    def link_opened(self, now: float) -> None: ...
    def link_closed(self, now: float) -> None: ...
    def receive_link(self, line: bytes, now: float) -> None: ...
    def port_opened(self, port: int, now: float) -> None: ...
    def ports_refused(self, count: int, now: float) -> None: ...
    def rtp_in(self, port: int, data: bytes, source: Address, now: float) -> None: ...
    def rtcp_in(self, port: int, data: bytes, source: Address, now: float) -> None: ...
    def agent_connected(self, agent: str, now: float) -> None: ...
    def agent_data(self, agent: str, data: bytes, now: float) -> None: ...
    def agent_eof(self, agent: str, now: float) -> None: ...
    def agent_lost(self, agent: str, reason: str, now: float) -> None: ...
    def sound_loaded(self, path: str, data: bytes, now: float) -> None: ...
    def sound_failed(self, path: str, reason: str, now: float) -> None: ...
    def file_failed(self, recording: str, reason: str, now: float) -> None: ...
    def tick_late(self, seconds: float) -> None: ...
    def next_timer(self) -> float | None: ...
    def on_timer(self, now: float) -> None: ...
    def packets_to_send(self) -> list[Packet]: ...
    def next_effect(self) -> Effect | None: ...


class Plane:
    """One plane's loop. `start`, then `close`."""

    def __init__(self, engine: Engine, *, socket_path: Path, host: str, ports: range) -> None:
        """`socket_path`: where control connects; `host` and `ports`: the RTP pairs of this plane."""
        self._loop = asyncio.get_running_loop()
        self._engine = engine
        self._socket_path = socket_path
        self._ports = PortPairs(self._loop, host, ports, self._on_rtp, self._on_rtcp)
        self._agents = AgentConnections(self._loop, self)
        self._files = RawFiles()
        self._sounds = SoundFiles(self._loop, self)
        self._link: Link | None = None
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._collect = False
        self._closed = False
        self.on_link_lost: Callable[[], None] = lambda: None
        """Called when control is gone."""

    @property
    def linked(self) -> bool:
        """Control is connected."""
        return self._link is not None

    async def start(self) -> None:
        """Listen for control, turn the wheel. Raises OSError, SocketPathTooLong."""
        listener = bind_unix(self._socket_path)
        self._server = await self._loop.create_unix_server(
            lambda: Link(self._link_opened, self._link_line, self._link_lost), sock=listener
        )
        gc.collect()
        gc.freeze()
        gc.disable()
        self._drain()

    async def close(self) -> None:
        """Stop everything; files are whole blocks."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        if self._link is not None:
            self._link.close("the plane ends")
        self._ports.close_all()
        self._files.close_all()
        await self._sounds.close()
        await self._agents.close()
        self._socket_path.unlink(missing_ok=True)
        gc.enable()
        gc.unfreeze()

    # --- the wheel

    def _on_timer(self) -> None:
        assert self._timer_at is not None
        now = self._loop.time()
        self._engine.tick_late(max(0.0, now - self._timer_at))
        self._timer, self._timer_at = None, None
        try:
            self._engine.on_timer(now)
        finally:  # a mistake in one call's tick is logged by the loop; the wheel turns on for the others
            self._drain()
        if self._collect:
            self._collect = False
            gc.collect(0)

    def _arm(self) -> None:
        at = self._engine.next_timer()
        if at == self._timer_at or self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    # --- what comes in

    def _link_opened(self, link: Link) -> None:
        former, self._link = self._link, link
        if former is not None:  # a new control; the old one is dead or about to be
            former.close("another control connected")
            self._engine.link_closed(self._loop.time())
            self._drain()
        self._engine.link_opened(self._loop.time())
        self._drain()

    def _link_line(self, line: bytes) -> None:
        self._engine.receive_link(line, self._loop.time())
        self._drain()

    def _link_lost(self, link: Link, reason: str) -> None:
        if link is not self._link:
            return
        self._link = None
        log.info("control is gone: %s", reason)
        self._engine.link_closed(self._loop.time())
        self._drain()
        self.on_link_lost()

    def _on_rtp(self, port: int, data: bytes, source: Address) -> None:
        self._engine.rtp_in(port, data, source, self._loop.time())
        self._drain()

    def _on_rtcp(self, port: int, data: bytes, source: Address) -> None:
        self._engine.rtcp_in(port, data, source, self._loop.time())
        self._drain()

    def agent_connected(self, agent: str) -> None:
        """See AgentSink, as the three below."""
        self._engine.agent_connected(agent, self._loop.time())
        self._drain()

    def agent_data(self, agent: str, data: bytes) -> None:
        """Bytes from an agent."""
        self._engine.agent_data(agent, data, self._loop.time())
        self._drain()

    def agent_eof(self, agent: str) -> None:
        """An agent closed its direction."""
        self._engine.agent_eof(agent, self._loop.time())
        self._drain()

    def agent_lost(self, agent: str, reason: str) -> None:
        """An agent's connection is gone."""
        self._engine.agent_lost(agent, reason, self._loop.time())
        self._drain()

    def sound_loaded(self, path: str, data: bytes) -> None:
        """See SoundSink, as the one below."""
        self._engine.sound_loaded(path, data, self._loop.time())
        self._drain()

    def sound_failed(self, path: str, reason: str) -> None:
        """A sound's file cannot be read."""
        self._engine.sound_failed(path, reason, self._loop.time())
        self._drain()

    # --- what goes out

    def _drain(self) -> None:
        engine = self._engine
        while True:
            for port, data, address in engine.packets_to_send():
                self._ports.send(port, data, address)
            effect = engine.next_effect()
            if effect is None:
                break
            self._perform(effect)
        self._arm()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case SendLink(line):
                if self._link is not None:
                    self._link.write(line)
            case OpenPorts(count):
                self._open_ports(count)
            case ClosePort(port):
                self._ports.close(port)
                self._collect = True  # a leg is over: its cycles go between two ticks
            case AgentConnect(agent, host, port, secure):
                self._agents.connect(agent, host, port, secure=secure)
            case AgentWrite(agent, data):
                self._agents.write(agent, data)
            case AgentDisconnect(agent):
                self._agents.disconnect(agent)
            case LoadSound(path):
                self._sounds.load(path)
            case FileAppend(recording, path, data):
                try:
                    self._files.append(recording, path, data)
                except OSError as error:
                    log.error("recording %s stops: %s", recording, error)
                    self._engine.file_failed(recording, str(error), self._loop.time())
            case FileClose(recording, _):
                self._files.close(recording)

    def _open_ports(self, count: int) -> None:
        for opened in range(count):
            try:
                port = self._ports.open()
            except NoPortsLeft as error:
                log.error("%s", error)
                self._engine.ports_refused(count - opened, self._loop.time())
                return
            self._engine.port_opened(port, self._loop.time())
