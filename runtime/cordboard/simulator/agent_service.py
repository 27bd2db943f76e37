"""The simulated agents' service: the server's side of every agent socket, as bytes, scripted by the test.

Follows reference cartesia-protocols §1 and §2 (upgrade, start, ack, media both ways, clear, dtmf, custom, turns, client
tools, close); `agent_wires` has the words of both. Written with websockets' sans-I/O server, apart from the client's
side that it is a check on. Leaves out authentication beyond seeing a key, and delivery pacing (all is as_available).
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from cordboard.media.chain import L16_16000, PCMU_8000, build_chain

from .agent_wires import LineWire, Wire, wire_of
from .faults import LATE_ACK, Faults
from .speech_service import SimulatedSonic
from .voices import Utterance, Voices, tone, tone_ulaw, tones_in
from .world import World

PIECE = 1600
"""Bytes of one media_output: 200 ms of µ-law, a size that the service was seen to send."""

ToPlane: TypeAlias = Callable[[str, bytes | None, str], None]
"""(what: connected, data, eof, lost; bytes; reason)."""


@dataclass(slots=True)
class Manners:
    """How the service treats new sockets; changed by the test before a call."""

    reachable: bool = True
    """False: no connection can be made."""
    status: int = 101
    """Another one refuses the upgrade."""
    acks: bool = True
    """Whether `start` is answered."""
    latency: float = 0.0005
    """Seconds one way."""
    closes: bool = True
    """Whether a close frame is answered."""
    token_status: int = 200
    """Another one refuses the access token."""


class Peer(Protocol):
    """The service's side of a socket."""

    latency: float
    """Seconds one way."""

    def receive(self, data: bytes) -> None:
        """Bytes from the edge; b"" is its end of the stream."""


class SimulatedAgent:
    """One socket."""

    def __init__(
        self, unit: str, world: World, voices: Voices, manners: Manners, faults: Faults, to_plane: ToPlane
    ) -> None:
        self.unit = unit
        self.session, _, self.name = unit.partition("/")
        self._world = world
        self._voices = voices
        self._manners = manners
        self._faults = faults
        self._to_plane = to_plane
        self._server = ServerProtocol(max_size=1 << 20)
        self.wire: Wire = LineWire(f"stream-{unit}")
        """As the edge asks for it."""
        self._turns = 0
        self._frames: list[bytes] = []
        self._loose = b""
        self.latency = manners.latency
        """Seconds one way."""
        self.connected = False
        """The socket is open."""
        self.started: Mapping[str, Any] = {}
        """The `start` message in the Line wire's words; empty before."""
        self.messages: list[dict[str, Any]] = []
        """Everything received but audio, as the wire has it."""
        self.tool_results: dict[str, dict[str, Any]] = {}
        """Client tool call → its result."""
        self.dropped_by_fault = False
        """Chance broke the connection: what its script has it say now is not said."""
        self.heard_bytes = 0
        """Bytes of caller audio received."""
        self.closed_by_us: tuple[int, str] | None = None
        """Code and reason of the edge's close frame."""
        self.sound_until = world.now
        """When what it said is over, played without pause."""

    # --- the network's side

    def receive(self, data: bytes) -> None:
        """Bytes from the edge; b"" is its end of the stream."""
        if self._gone:
            return
        if data:
            self._server.receive_data(data)
        else:
            self._server.receive_eof()
        for event in self._server.events_received():
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if not data:
            self._end("lost", "the connection is closed")

    _gone = False

    def _upgrade(self, request: Request) -> None:
        self.wire = wire_of(request, f"stream-{self.unit}")
        if not self.wire.admits(request):
            self._server.send_response(self._server.reject(401, "no token"))
        elif self._manners.status != 101:
            self._server.send_response(self._server.reject(self._manners.status, '{"error": "refused"}'))
        else:
            response = self._server.accept(request)
            if self._server.handshake_exc is not None:
                raise InvalidHandshake(str(self._server.handshake_exc))
            self._server.send_response(response)
            self.connected = True

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            close = self._server.close_rcvd
            assert close is not None
            if self.closed_by_us is None and self.connected:
                self.closed_by_us = (close.code, close.reason)
            self.connected = False
        elif frame.opcode is Opcode.TEXT:
            self._message(bytes(frame.data))

    def _message(self, data: bytes) -> None:
        raw = json.loads(data)
        message = self.wire.read(raw)
        event = message.get("event")
        if event == "media_input":
            self._hear(base64.b64decode(message["media"]["payload"]))
            return
        self._world.record(f"agent {self.unit}", data)
        self.messages.append(raw)
        if event == "client_tool_result":
            self.tool_results[message["tool_call_id"]] = message
        elif event == "start":
            self.started = message
            self._input = message.get("config", {}).get("input_format", "mulaw_8000")
            if self._manners.acks and self._faults.happens("ack late", "start", self.session):
                self._world.after(LATE_ACK, self._ack, transit=False)
            elif self._manners.acks:
                self._ack()

    _input = "mulaw_8000"

    def _ack(self) -> None:
        if self._server.state is OPEN:
            config = {**self.started.get("config", {}), "input_format": self._input}
            self.send({"event": "ack", "config": config, "agent": {}, "call_id": "c-1"})

    def _hear(self, audio: bytes) -> None:
        self.heard_bytes += len(audio)
        if self._input != "mulaw_8000":
            audio = build_chain(L16_16000, PCMU_8000).process(audio)
        self._loose += audio
        while len(self._loose) >= 160:
            self._frames.append(self._loose[:160])
            self._loose = self._loose[160:]

    # --- what the test wants it to do

    def say(self, text: str, seconds: float = 1.0, *, turn: bool = True) -> Utterance:
        """Speak for some seconds, delivered at once; `turn`: as a turn of its own, with its text."""
        said = self._voices.utterance(self.name, text, seconds)
        if turn:
            self.begin_turn()
            self.send({"event": "turn_output_text_delta", "turn_output_text_delta": {"text": text}})
        self.audio(said.hz, seconds)
        if turn:
            self.end_turn(text)
        return said

    def audio(self, hz: int, seconds: float) -> None:
        """Bare audio of a tone."""
        if self._input == "mulaw_8000":
            data, size = tone_ulaw(hz, seconds), PIECE
        else:
            data, size = tone(hz, seconds, 16000).astype("<i2").tobytes(), PIECE * 4
        for start in range(0, len(data), size):
            payload = base64.b64encode(data[start : start + size]).decode()
            self.send({"event": "media_output", "media": {"payload": payload}})
        self.sound_until = max(self.sound_until, self._world.now) + seconds

    def begin_turn(self, role: str = "assistant") -> None:
        """turn_started."""
        self._turns += 1
        self.send({"event": "turn_started", "turn_started": {"id": f"t{self._turns}", "role": role}})

    def end_turn(self, text: str, *, interrupted: bool = False, role: str = "assistant") -> None:
        """turn_ended."""
        turn = {"id": f"t{self._turns}", "role": role, "text": text, "was_interrupted": interrupted}
        self.send({"event": "turn_ended", "turn_ended": {**turn, "tool_calls": []}})

    def clear(self) -> None:
        """The caller barged in: what was said and not heard is void."""
        self.send({"event": "clear"})
        self.sound_until = self._world.now

    def dtmf(self, digit: str) -> None:
        """Press a key towards the caller."""
        self.send({"event": "dtmf", "dtmf": digit})

    def custom(self, metadata: Mapping[str, Any]) -> None:
        """A custom event."""
        self.send({"event": "custom", "metadata": dict(metadata)})

    def send(self, message: Mapping[str, Any]) -> None:
        """Any message in the Line wire's words. ValueError for one that the wire does not have."""
        if self.dropped_by_fault:
            return
        if self._server.state is not OPEN:
            raise ConnectionError(f"the socket of {self.name} is not open")
        data = json.dumps(self.wire.write(message), separators=(",", ":")).encode()
        self._world.record(f"to plane {self.unit}", data)
        self._server.send_text(data)
        self._flush()
        event = str(message["event"])
        if event != "media_output" and self._faults.happens("agent dropped", event, self.session):
            self.dropped_by_fault = True
            self.drop()

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> str:
        """A client tool call; the id under which `tool_results` will have its result."""
        self._tool_calls += 1
        id_ = f"tool-{self._tool_calls}"
        call = {"tool_call_id": id_, "tool_name": name, "parameters": dict(arguments), "expects_response": True}
        self.send({"event": "client_tool_call", **call})
        return id_

    _tool_calls = 0

    def drop(self, code: int = 1006, reason: str = "") -> None:
        """Close the socket; 1006: the connection breaks without a close frame."""
        if self._gone or not self.connected:
            return
        self.connected = False
        if code == 1006:
            self._end("lost", reason or "connection reset by peer")
            return
        self._server.send_close(code, reason)
        self._flush()

    def heard(self) -> list[tuple[int, float]]:
        """(tone, seconds) of what the caller's side brought."""
        return tones_in(self._frames)

    def _flush(self) -> None:
        for data in self._server.data_to_send():
            if not self._manners.closes and not self.connected:
                continue
            if data:
                self._send_bytes(data)
            else:
                self._world.after(self._manners.latency, lambda: self._to_plane("eof", None, ""))

    def _send_bytes(self, data: bytes) -> None:
        self._world.after(self._manners.latency, lambda: self._to_plane("data", data, ""))

    def _end(self, what: str, reason: str) -> None:
        self._gone = True
        self.connected = False
        self._world.after(self._manners.latency, lambda: self._to_plane(what, None, reason))


class AgentService:
    """All sockets of all agents."""

    def __init__(self, world: World, voices: Voices, faults: Faults) -> None:
        self._world = world
        self._voices = voices
        self._faults = faults
        self.manners = Manners()
        """Of sockets that open from now on."""
        self.agents: list[SimulatedAgent] = []
        """Every socket ever opened, in order."""
        self.speakers: list[SimulatedSonic] = []
        """The same of realtime players."""
        self.tokens = 0
        """Access tokens given."""

    def connect(self, unit: str, to_plane: ToPlane) -> SimulatedAgent:
        """A connection from the edge; `to_plane` hears what comes back."""
        manners = self.manners
        agent = SimulatedAgent(unit, self._world, self._voices, manners, self._faults, to_plane)
        if manners.reachable:
            self.agents.append(agent)
            self._world.after(manners.latency, lambda: to_plane("connected", None, ""))
        else:
            self._world.after(manners.latency, lambda: to_plane("lost", None, "no connection: refused"))
        return agent

    def mint(self, key: str, answered: Callable[[int, bytes], None]) -> None:
        """`POST /access-token` (§4.1); status 0 and a reason when the service cannot be reached."""
        manners = self.manners
        if not manners.reachable:
            status, body = 0, b"no connection: refused"
        elif manners.token_status != 200 or not key.startswith("Bearer "):
            status, body = (401 if manners.token_status == 200 else manners.token_status), b""
        else:
            self.tokens += 1
            status, body = 200, json.dumps({"token": f"token-{self.tokens}"}).encode()
        self._world.after(2 * manners.latency, lambda: answered(status, body))

    def connect_speech(self, unit: str, to_plane: ToPlane) -> SimulatedSonic:
        """A connection of a realtime player."""
        manners = self.manners
        speaker = SimulatedSonic(unit, self._world, self._voices, manners.latency, to_plane, status=manners.status)
        if manners.reachable:
            self.speakers.append(speaker)
            self._world.after(speaker.latency, lambda: to_plane("connected", None, ""))
        else:
            self._world.after(speaker.latency, lambda: to_plane("lost", None, "no connection: refused"))
        return speaker

    def of_session(self, session: str, name: str | None = None) -> list[SimulatedAgent]:
        """The sockets of a session, the newest last."""
        found = [agent for agent in self.agents if agent.session == session]
        return [agent for agent in found if name is None or agent.name.partition("~")[0] == name]
