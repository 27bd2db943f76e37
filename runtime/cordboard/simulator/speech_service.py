"""The simulated Sonic: the server's side of a realtime player's socket, which speaks every text as a tone of its own.

Follows reference cartesia-protocols §5.1 (contexts, continue, flush, cancel, done, error). Leaves out word timings,
and the check of anything that costs a real service money: keys, models, voices.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from .prompts import CHARACTERS, SHORTEST
from .voices import Voices, tone_ulaw
from .world import World

PIECE = 1600
"""Bytes of one chunk: 200 ms of µ-law."""

THINKS = 0.2
"""Seconds to the first audio of a request."""


class SimulatedSonic:
    """One socket."""

    def __init__(
        self,
        unit: str,
        world: World,
        voices: Voices,
        latency: float,
        to_plane: Callable[[str, bytes | None, str], None],
        *,
        status: int = 101,
    ) -> None:
        """Another `status` refuses the upgrade."""
        self.unit = unit
        self.latency = latency
        """Seconds one way."""
        self.requests: list[dict[str, Any]] = []
        """Everything received."""
        self.errors: dict[str, str] = {}
        """Text → why it cannot be spoken; set by the test."""
        self._world = world
        self._voices = voices
        self._to_plane = to_plane
        self._status = status
        self._server = ServerProtocol(max_size=1 << 20)
        self._cancelled: set[str] = set()
        self._gone = False

    @property
    def gone(self) -> bool:
        """The connection is over."""
        return self._gone

    def receive(self, data: bytes) -> None:
        """Bytes from the edge; b"" is its end of the stream."""
        if self._gone:
            return
        if data:
            self._server.receive_data(data)
        else:
            self._gone = True
            self._server.receive_eof()
        for event in self._server.events_received():
            if isinstance(event, Request):
                if self._status != 101:
                    self._server.send_response(self._server.reject(self._status, '{"error": "refused"}'))
                    continue
                response = self._server.accept(event)
                if self._server.handshake_exc is not None:
                    raise InvalidHandshake(str(self._server.handshake_exc))
                self._server.send_response(response)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._message(json.loads(bytes(event.data)))
        self._flush()

    def drop(self, reason: str = "connection reset by peer") -> None:
        """The connection breaks."""
        if not self._gone:
            self._gone = True
            self._world.after(self.latency, lambda: self._to_plane("lost", None, reason))

    def _message(self, message: dict[str, Any]) -> None:
        self.requests.append(message)
        context = str(message["context_id"])
        if message.get("cancel"):
            self._cancelled.add(context)
            return
        text = str(message.get("transcript", ""))
        self._world.after(THINKS, lambda: self._speak(context, text, last=not message.get("continue")), transit=False)

    def _speak(self, context: str, text: str, *, last: bool) -> None:
        if self._gone or self._server.state is not OPEN or context in self._cancelled:
            return
        if text in self.errors:
            self._send({"type": "error", "context_id": context, "done": True, "message": self.errors[text]})
            return
        if text.strip():
            seconds = max(SHORTEST, round(len(text) / CHARACTERS, 2))
            audio = tone_ulaw(self._voices.utterance("tts", text, seconds).hz, seconds)
            for start in range(0, len(audio), PIECE):
                data = base64.b64encode(audio[start : start + PIECE]).decode()
                self._send({"type": "chunk", "context_id": context, "data": data, "done": False, "status_code": 206})
        if last:
            self._send({"type": "done", "context_id": context, "done": True, "status_code": 200})

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode()
        self._world.record(f"to plane {self.unit}", data)
        self._server.send_text(data)
        self._flush()

    def _flush(self) -> None:
        for data in self._server.data_to_send():
            if data and not self._gone:
                self._later(data)

    def _later(self, data: bytes) -> None:
        self._world.after(self.latency, lambda: self._to_plane("data", data, ""))
