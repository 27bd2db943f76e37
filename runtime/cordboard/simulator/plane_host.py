"""A media plane in the simulated world: its engine, its ports on the simulated network, its sockets to agents."""

from typing import TYPE_CHECKING

from cordboard.plane import effects
from cordboard.plane.engine import PlaneEngine

from .agent_service import Peer
from .network import Address
from .world import Alarm

if TYPE_CHECKING:
    from .edge import SimulatedEdge

IDLE = 0.045
"""Seconds by which a wheel that serves no leg is turned late where sound is elided: nine ticks at once, for nothing but
upkeep happens in them. What comes from outside finds the wheel turned to its moment."""


READ = 0.0005
"""Seconds to read a prepared sound."""


class PlaneHost:
    """One life of one plane."""

    def __init__(self, edge: "SimulatedEdge", index: int, life: int) -> None:
        self._edge = edge
        self._world = edge.world
        self._network = edge.network
        self.index = index
        self.pid = 1000 * (index + 1) + life
        self.alive = True
        """False: its process is gone."""
        self.hangs = False
        """True: it does nothing any more, but its process is there."""
        rng = self._world.rng(f"plane {index} {life}")
        timeout = edge.config.agents.cartesia.connect_timeout
        self.engine = PlaneEngine(index=index, pid=self.pid, rng=rng, now=self._world.now, connect_timeout=timeout)
        self.engine.set_wall_clock(self._world.wall)
        self._wheel = self.engine._board.wheel
        self._alarm = Alarm(self._world, self._on_timer)
        self._ports: set[int] = set()
        self._agents: dict[str, Peer] = {}
        self.drain()

    def link_opened(self) -> None:
        """Control is there."""
        self.engine.link_opened(self._world.now)
        self.drain()

    def link_closed(self) -> None:
        """Control is gone."""
        self.engine.link_closed(self._world.now)
        self.drain()

    def receive_link(self, line: bytes) -> None:
        """A line of control."""
        if self._works:
            self._world.record(f"link to {self.index}", line)
            self._catch_up()
            self.engine.receive_link(line, self._world.now)
            self.drain()

    def kill(self) -> None:
        """Its process ends: sockets close, nothing is said."""
        self.alive = False
        self._alarm.set(None)
        for port in self._ports:
            self._network.unbind((self._edge.host, port))
            self._network.unbind((self._edge.host, port + 1))
        for agent in self._agents.values():
            self._to_agent(agent, b"")
        self._agents.clear()

    @property
    def _works(self) -> bool:
        return self.alive and not self.hangs

    def _on_timer(self) -> None:
        if self._works:
            self.engine.on_timer(self._world.now)
            self.drain()

    def _catch_up(self) -> None:
        """Turn the wheel to now, before anything else happens."""
        if self.engine.next_timer() <= self._world.now:
            self.engine.on_timer(self._world.now)

    def _rtp(self, port: int, data: bytes, source: Address) -> None:
        if self._works:
            self._catch_up()
            self.engine.rtp_in(port, data, source, self._world.now)
            self.drain()

    def _rtcp(self, port: int, data: bytes, source: Address) -> None:
        if self._works:
            self._catch_up()
            self.engine.rtcp_in(port, data, source, self._world.now)
            self.drain()

    def _from_agent(self, unit: str, what: str, data: bytes | None, reason: str) -> None:
        if not self._works or unit not in self._agents:
            return
        self._catch_up()
        now = self._world.now
        match what:
            case "connected":
                self.engine.agent_connected(unit, now)
            case "data":
                assert data is not None
                self.engine.agent_data(unit, data, now)
            case "eof":
                self.engine.agent_eof(unit, now)
            case _:
                del self._agents[unit]
                self.engine.agent_lost(unit, reason, now)
        self.drain()

    # --- out

    def drain(self) -> None:
        """Perform everything that the engine asks for."""
        engine, host, send = self.engine, self._edge.host, self._network.send
        while True:
            for port, data, address in engine.packets_to_send():
                send(data, (host, port), address)
            effect = engine.next_effect()
            if effect is None:
                break
            self._perform(effect)
        due = engine.next_timer()
        if self._wheel._where or not self._edge.elided:
            self._alarm.set(due)
        else:
            self._alarm.set(due + IDLE)

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.SendLink(line):
                self._edge.from_plane(self, line)
            case effects.OpenPorts(count):
                for _ in range(count):
                    self._open()
            case effects.ClosePort(port):
                self._ports.discard(port)
                self._network.unbind((self._edge.host, port))
                self._network.unbind((self._edge.host, port + 1))
            case effects.SpeechConnect(unit):
                self._agents[unit] = self._edge.service.connect_speech(
                    unit, lambda what, data, reason: self._from_agent(unit, what, data, reason)
                )
            case effects.AgentConnect(unit):
                self._agents[unit] = self._edge.service.connect(
                    unit, lambda what, data, reason: self._from_agent(unit, what, data, reason)
                )
            case effects.AgentWrite(unit, data):
                if unit in self._agents:
                    self._to_agent(self._agents[unit], data)
            case effects.AgentDisconnect(unit):
                if unit in self._agents:
                    self._to_agent(self._agents.pop(unit), b"")
            case effects.LoadSound(path):
                self._world.after(READ, lambda: self._load(path))
            case effects.FileAppend(recording, path, data):
                if self._edge.disk_full:
                    self.engine.file_failed(recording, "no space left on device", self._world.now)
                else:
                    self._edge.files.setdefault(path, bytearray()).extend(data)
            case effects.FileClose():
                pass

    def _load(self, path: str) -> None:
        if not self._works:
            return
        self._catch_up()
        sound = self._edge.prompts.files.get(path)
        if sound is None:
            self.engine.sound_failed(path, "no such file", self._world.now)
        else:
            self.engine.sound_loaded(path, sound, self._world.now)
        self.drain()

    def _to_agent(self, agent: Peer, data: bytes) -> None:
        self._world.after(agent.latency, lambda: agent.receive(data))

    def _open(self) -> None:
        port = self._edge.free_port()
        host = self._edge.host
        self._ports.add(port)
        self._network.bind((host, port), lambda data, source: self._rtp(port, data, source))
        self._network.bind((host, port + 1), lambda data, source: self._rtcp(port, data, source))
        self.engine.port_opened(port, self._world.now)
