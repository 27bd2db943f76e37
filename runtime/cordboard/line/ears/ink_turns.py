"""An ear at Cartesia that finds the turns, too: Ink with automatic finalize.

Follows reference cartesia-protocols §5.3, its thresholds as the service has them. All of the caller's audio is sent.
While there is no socket, turns are found by energy and carry no text, so that a call is never deaf to an interruption.
Leaves out `turn.eager_end` and `turn.resume`: an agent program is told of turns that are over.
"""

from __future__ import annotations

import asyncio
from collections import deque

from cordboard.line.ears.ear import Ear, EarFault
from cordboard.line.ears.ink_socket import INK_URL, InkSocket, Message, check_url, text_of
from cordboard.line.ears.turns import TurnDetector, energy
from cordboard.media.energy import VoiceEvent
from cordboard.media.samples import Samples

PATH = "/stt/turns/websocket"

RECONNECT = 2.0
"""Seconds between two tries to connect."""

FALLBACK_DBFS = -40.0
"""Level of speech while there is no socket: the usual threshold of agents."""

MAX_ENDED = 10
"""Turns that ended and were not asked for; one is the rule."""


class InkTurnsEars:
    """Ears of one key."""

    def __init__(self, key: str, url: str = INK_URL) -> None:
        """`url` is `wss://host` without a path; raises `ScriptError`."""
        self._key = key
        self._url = check_url(url)

    def open(self, rate: int, language: str = "") -> Ear:
        """Return a new call's ear, which connects at once."""
        return _InkTurnsEar(self._url + PATH, self._key, rate)


class _InkTurnsEar:
    """Ear and turn detector in one."""

    def __init__(self, url: str, key: str, rate: int) -> None:
        self._url = url
        self._key = key
        self._rate = rate
        self._position = 0
        self._events: deque[VoiceEvent] = deque()
        self._ended: deque[str | EarFault] = deque(maxlen=MAX_ENDED)
        self._in_turn = False
        self._speaking = False
        self._fallback: TurnDetector | None = None
        self._fault = ""
        self._connect_at = 0.0
        self._socket: InkSocket | None = None
        self._old: list[InkSocket] = []
        self._connect()

    @property
    def turns(self) -> TurnDetector:
        return self

    @property
    def speaking(self) -> bool:
        return self._speaking

    def receive_audio(self, samples: Samples) -> None:
        if self._socket is None and asyncio.get_running_loop().time() >= self._connect_at:
            self._connect()
        if self._socket is not None:
            self._socket.send_audio(samples)

    def process(self, samples: Samples) -> list[VoiceEvent]:
        self._position += samples.size
        if self._fallback is not None:
            return self._fall_back(self._fallback, samples)
        events = list(self._events)
        self._events.clear()
        if events:
            self._speaking = events[-1].kind == "started"
        if self._fault and not self._speaking:
            self._fallback = energy(self._rate, FALLBACK_DBFS)
        return events

    def use_language(self, language: str) -> bool:
        """This socket takes none (§5.3)."""
        return False

    def start(self) -> None:
        """The turn is the service's own."""

    async def finish(self) -> str:
        ended = self._ended.popleft() if self._ended else ""
        if isinstance(ended, EarFault):
            raise ended
        return ended

    async def close(self) -> None:
        if self._socket is not None:
            self._old.append(self._socket)
        for socket in self._old:
            await socket.close()

    def _fall_back(self, detector: TurnDetector, samples: Samples) -> list[VoiceEvent]:
        events = list(detector.process(samples))
        self._speaking = detector.speaking
        self._ended.extend(EarFault(self._fault or "Ink was not there") for kind, _ in events if kind == "stopped")
        if not self._fault and not detector.speaking:
            self._fallback = None
        return events

    def _connect(self) -> None:
        self._old = [socket for socket in self._old if not socket.is_gone]
        self._connect_at = asyncio.get_running_loop().time() + RECONNECT
        self._socket = InkSocket(self._url, self._key, self._rate, self._receive, self._lost)

    def _receive(self, message: Message) -> None:
        kind = message.get("type")
        self._fault = ""  # whatever came: the service is there
        if self._fallback is not None:
            return  # the turn is energy's until it is over
        if kind == "turn.start" and not self._in_turn:
            self._in_turn = True
            self._events.append(VoiceEvent("started", self._position))
        elif kind == "turn.end" and self._in_turn:
            self._end_turn(text_of(message, "transcript").strip())

    def _end_turn(self, ended: str | EarFault) -> None:
        self._in_turn = False
        self._ended.append(ended)
        self._events.append(VoiceEvent("stopped", self._position))

    def _lost(self, reason: str) -> None:
        if self._socket is not None:
            self._old.append(self._socket)
            self._socket = None
        self._fault = reason
        if self._in_turn:
            self._end_turn(EarFault(reason))
