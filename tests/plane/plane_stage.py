"""What stands around an engine in these tests: a shell without sockets, and a Line service that speaks real WebSocket.

Time is a number that `run` moves from tick to tick; nothing happens by itself.
"""

import base64
import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State as SocketState
from websockets.server import ServerProtocol

from cordboard.contract import link
from cordboard.media.rtp import RtpPacket, parse
from cordboard.plane import effects
from cordboard.plane.engine import PlaneEngine

SILENCE = b"\xff" * 160
PHONE = ("192.0.2.10", 4000)
OTHER = ("192.0.2.20", 5000)
START = 1000.0
OPENING: dict[str, Any] = {
    "base_url": "ws://agents.example",
    "agent_id": "a",
    "api_key": "sk_1",
    "version": "2025-04-16",
}
"""What an AgentOpen needs beside its unit."""

Message = TypeVar("Message")


def ulaw(first: int, frames: int = 1) -> bytes:
    """Frames of µ-law in which every frame is one octet repeated, counted from `first` in 0 … 126."""
    return b"".join(bytes([(first + each) % 127]) * 160 for each in range(frames))


def rtp(
    sequence: int, payload: bytes = SILENCE, *, kind: int = 0, timestamp: int | None = None, ssrc: int = 7
) -> bytes:
    """A packet of a phone (RFC 3550 section 5.1)."""
    stamp = sequence * 160 if timestamp is None else timestamp
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + payload


class Service:
    """An agent's service: what it was sent, and what it says."""

    def __init__(self, *, acks: bool = True, status: int = 101) -> None:
        self._protocol = ServerProtocol()
        self.acks = acks
        self.status = status
        self.messages: list[dict[str, Any]] = []
        """Everything but audio."""
        self.audio: list[bytes] = []
        """Caller audio, a message each."""
        self.closes: list[tuple[int, str]] = []
        self.headers: dict[str, str] = {}
        self.ended = False

    def receive(self, data: bytes) -> None:
        """Bytes of the plane; b"" is its half-close."""
        if not data:
            self._protocol.receive_eof()
            self.ended = True
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self.headers = dict(event.headers.raw_items())
                accept = self.status == 101
                response = self._protocol.accept(event) if accept else self._protocol.reject(self.status, "no\n")
                self._protocol.send_response(response)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._message(json.loads(bytes(event.data)))
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                parsed = Close.parse(bytes(event.data))
                self.closes.append((parsed.code, parsed.reason))

    def _message(self, message: dict[str, Any]) -> None:
        if message["event"] == "media_input":
            self.audio.append(base64.b64decode(message["media"]["payload"], validate=True))
            return
        self.messages.append(message)
        if message["event"] == "start" and self.acks:
            self.ack()

    def ack(self) -> None:
        """Accept the stream."""
        self.say({"event": "ack", "stream_id": "s1", "call_id": "ac_1"})

    def say(self, message: dict[str, Any]) -> None:
        """Any message."""
        self._protocol.send_text(json.dumps(message).encode())

    def event(self, name: str, **fields: Any) -> None:
        """A message by its name."""
        self.say({"event": name, "stream_id": "s1", **fields})

    def speak(self, audio: bytes) -> None:
        """Audio for the caller."""
        self.event("media_output", media={"payload": base64.b64encode(audio).decode()})

    def close(self, code: int = 1000, reason: str = "call ended by agent") -> None:
        """End the call."""
        if self._protocol.state is SocketState.OPEN:
            self._protocol.send_close(code, reason)

    def output(self) -> bytes:
        """What it wrote since the last time."""
        return b"".join(self._protocol.data_to_send())

    @property
    def heard(self) -> bytes:
        """All caller audio."""
        return b"".join(self.audio)


def mute() -> Service:
    """A service that does not ack."""
    return Service(acks=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """One RTP packet that left."""

    at: float
    port: int
    packet: RtpPacket
    to: tuple[str, int]


@dataclass
class Stage:
    """One engine with its shell."""

    connects: bool = True
    """Agents' connections come up at once."""
    now: float = START
    messages: list[Any] = field(default_factory=list)
    """What control was told."""
    sent: list[Sent] = field(default_factory=list)
    rtcp: list[tuple[float, bytes, tuple[str, int]]] = field(default_factory=list)
    files: dict[str, bytearray] = field(default_factory=dict)
    blocks: list[tuple[float, int]] = field(default_factory=list)
    """When a block was appended, and its octets."""
    closed_files: list[str] = field(default_factory=list)
    closed_ports: list[int] = field(default_factory=list)
    connecting: list[effects.AgentConnect] = field(default_factory=list)
    disconnected: list[str] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    service: Callable[[], Service] = Service
    """Makes the service of a new agent."""
    sounds: dict[str, bytes] = field(default_factory=dict)
    """Files of prepared sounds; a path that is not here cannot be read."""
    loads: list[str] = field(default_factory=list)
    """Paths that were read."""

    def __post_init__(self) -> None:
        self._next_port = 20000
        self._tokens = 0
        self.engine = PlaneEngine(index=0, pid=1, rng=random.Random(5), now=self.now)
        self.engine.link_opened(self.now)
        self.drain()
        self.tell(link.Hello("life-1"))

    # --- the shell

    def drain(self) -> None:
        """Do what the engine asks for until nobody has anything to say."""
        busy = True
        while busy:
            busy = False
            for port, data, to in self.engine.packets_to_send():
                self._packet(port, data, to)
            while (effect := self.engine.next_effect()) is not None:
                busy = True
                self._perform(effect)
                for port, data, to in self.engine.packets_to_send():
                    self._packet(port, data, to)
            for unit, service in list(self.services.items()):
                if unit not in self.disconnected and (data := service.output()):
                    busy = True
                    self.engine.agent_data(unit, data, self.now)

    def _packet(self, port: int, data: bytes, to: tuple[str, int]) -> None:
        if port % 2:
            self.rtcp.append((self.now, data, to))
            return
        packet = parse(data)
        assert packet is not None
        self.sent.append(Sent(self.now, port, packet, to))

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.SendLink(line):
                self.messages.append(link.from_line(line))
            case effects.OpenPorts(count):
                for _ in range(count):
                    self.engine.port_opened(self._next_port, self.now)
                    self._next_port += 2
            case effects.ClosePort(port):
                self.closed_ports.append(port)
            case effects.AgentConnect(agent):
                self.connecting.append(effect)
                if self.connects:
                    self.services[agent] = self.service()
                    self.engine.agent_connected(agent, self.now)
            case effects.AgentWrite(agent, data):
                if agent in self.services:
                    self.services[agent].receive(data)
            case effects.AgentDisconnect(agent):
                self.disconnected.append(agent)
            case effects.LoadSound(path):
                self.loads.append(path)
                if path in self.sounds:
                    self.engine.sound_loaded(path, self.sounds[path], self.now)
                else:
                    self.engine.sound_failed(path, "no such file", self.now)
            case effects.FileAppend(_, path, data):
                self.files.setdefault(path, bytearray()).extend(data)
                self.blocks.append((self.now, len(data)))
            case effects.FileClose(_, path):
                self.closed_files.append(path)

    # --- time

    def run(self, seconds: float) -> None:
        """Every tick of the next seconds, each at its own time."""
        end = self.now + seconds
        while (moment := self.engine.next_timer()) <= end + 1e-9:
            self.now = max(self.now, moment)
            self.engine.on_timer(self.now)
            self.drain()
        self.now = end

    def keep(self, seconds: float) -> None:
        """The same with a control that lives."""
        for _ in range(round(seconds)):
            self.run(1.0)
            self.tell(link.Ping(1))

    def talk(self, leg: str, frames: int, *, first: int = 0, payload: bytes | None = None, source: Any = PHONE) -> None:
        """A phone sends frames in real time."""
        for each in range(first, first + frames):
            self.rtp_in(leg, rtp(each, ulaw(each) if payload is None else payload), source)
            self.run(0.02)

    # --- what comes in

    def tell(self, message: Any) -> None:
        """A message of control."""
        self.engine.receive_link(link.to_line(message), self.now)
        self.drain()

    def ask(self, message: Any) -> link.Done | None:
        """A message with `confirm`; its Done if it is there already."""
        self.tell(message)
        return self.done(message.confirm)

    def rtp_in(self, leg: str, data: bytes, source: tuple[str, int] = PHONE) -> None:
        """A datagram for a leg."""
        self.engine.rtp_in(self.ports[leg], data, source, self.now)
        self.drain()

    @property
    def ports(self) -> dict[str, int]:
        """Ports that `leg` took."""
        return self._ports

    _ports: dict[str, int] = field(default_factory=dict)

    # --- making things

    def stock(self) -> list[int]:
        """Ports that control was told of and has not used."""
        told = [port for each in self.messages if isinstance(each, link.Ready | link.Ports) for port in each.ports]
        return [port for port in dict.fromkeys(told) if port not in self._ports.values()]

    def leg(self, unit: str = "s/caller", remote: tuple[str, int] = PHONE, **media: Any) -> str:
        """An answered leg."""
        port = self._ports[unit] if unit in self._ports else self.stock()[0]
        self._ports[unit] = port
        rtcp = (remote[0], remote[1] + 1)
        fields: dict[str, Any] = {"remote": remote, "remote_rtcp": rtcp, "answered": True, "dtmf_receive": 101, **media}
        if fields.get("codec") == "PCMA":
            fields.setdefault("send_payload_type", 8)
        self._tokens += 1
        done = self.ask(link.LegMedia(unit, port, confirm=f"leg-{self._tokens}", **fields))
        assert done is not None
        assert done.ok, done
        return unit

    def agent(self, unit: str = "s/agent", *, hears: str = "", heard_by: str = "", **fields: Any) -> Service:
        """An agent, open and begun, with its routes."""
        self.tell(link.AgentOpen(unit, **{**OPENING, **fields}, confirm=f"open-{unit}"))
        if hears:
            self.tell(link.Route(hears, unit))
        if heard_by:
            self.tell(link.Route(unit, heard_by))
        self.tell(link.AgentBegin(unit, confirm=f"begin-{unit}"))
        return self.services[unit]

    def player(self, unit: str, sound: bytes, *, over: str = "", heard_by: str = "", **fields: Any) -> str:
        """A player of a sound, with its listener."""
        path = f"/cache/{len(self.sounds)}"
        self.sounds[path] = sound
        self.tell(link.SoundOpen(unit, path, **fields, confirm=f"load-{unit}"))
        if over:
            self.tell(link.PlayOver(unit, over))
        if heard_by:
            self.tell(link.Route(unit, heard_by))
        return unit

    # --- what was told

    def told(self, kind: type[Message]) -> list[Message]:
        """Messages of a kind."""
        return [each for each in self.messages if isinstance(each, kind)]

    def said(self, kind: str) -> list[link.AgentSaid]:
        """Events of agents."""
        return [each for each in self.told(link.AgentSaid) if each.type == kind]

    def done(self, confirm: str) -> link.Done | None:
        """The outcome of a message; at most one."""
        found = [each for each in self.told(link.Done) if each.confirm == confirm]
        assert len(found) <= 1, found
        return found[0] if found else None

    def notes(self, what: str) -> list[link.PlaneNote]:
        """Timeline lines that say so."""
        return [each for each in self.told(link.PlaneNote) if what in each.what]

    def audio(self, leg: str) -> list[Sent]:
        """Audio packets that left on a leg."""
        port = self._ports[leg]
        return [each for each in self.sent if each.port == port and each.packet.payload_type in (0, 8)]

    def payload(self, leg: str) -> bytes:
        """All audio that left on a leg."""
        return b"".join(each.packet.payload for each in self.audio(leg))

    def closed(self, session: str = "s") -> link.SessionClosed:
        """Close a session; its answer, the ledgers of which balance."""
        before = len(self.told(link.SessionClosed))
        self.tell(link.SessionClose(session))
        answers = self.told(link.SessionClosed)[before:]
        assert [each.session for each in answers] == [session]
        for entry in answers[0].ledger:
            assert entry.balanced(), entry
            assert entry.queued == 0, entry
        return answers[0]

    def entries(self, source: str, sink: str) -> Iterator[Any]:
        """Ledger entries of a pair, of all closed sessions."""
        for each in self.told(link.SessionClosed):
            yield from (entry for entry in each.ledger if (entry.source, entry.sink) == (source, sink))
