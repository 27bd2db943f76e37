"""`/stt/websocket` and `/stt/turns/websocket`: Ink's sockets, heard by the stand-in's own ear.

Follows reference cartesia-protocols §5.2 and §5.3: binary audio in; on the first, `finalize` and `close` as words, and
a transcript of each utterance; on the second, turns that the service finds. Utterances and turns are found by loudness,
or by an ear that finds them itself, so thresholds are checked and no more. Leaves out partial transcripts, words with
times, eager ends, `keyterm`, and audio whose rate the wires of agents do not have.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

from cordboard.line.ears.ear import EAR_TIMEOUT, Ear, EarFault, Ears
from cordboard.line.ears.turns import TurnDetector, energy
from cordboard.media.g711 import alaw_decode, ulaw_decode
from cordboard.media.samples import Samples

WIDTHS: Final[Mapping[str, int]] = {
    "pcm_s16le": 2,
    "pcm_s32le": 4,
    "pcm_f16le": 2,
    "pcm_f32le": 4,
    "pcm_mulaw": 1,
    "pcm_alaw": 1,
}
"""Bytes of a sample in each encoding (§5.2)."""

RATES: Final = (8000, 16000, 24000, 44100)
"""Rates in Hz that an ear of the stand-in may be opened for."""

MODELS: Final[Mapping[bool, tuple[str, ...]]] = {
    False: ("ink-2", "ink-preview", "ink-whisper"),
    True: ("ink-2", "ink-preview"),
}
"""Models of each socket; True: the one with turns."""

THRESHOLDS: Final[Mapping[str, tuple[float, float]]] = {
    "start_threshold": (0.5, 0.9),
    "eager_end_threshold": (0.3, 0.8),
    "end_threshold": (0.05, 0.5),
    "end_timeout_ms": (640, 11200),
}
"""Fields of `config.turn` and their bounds: the wider ones of two sources (§5.3)."""

IDLE_SECONDS = 180.0
"""Seconds without a message after which a socket is closed; our choice."""

THRESHOLD_DBFS = -40.0
"""Level above which sound may be speech: that of the agents' calls."""

Message = dict[str, Any]


class SttFault(Exception):
    """A request that cannot be served; the text names the field."""


class SttService:
    """Serves both sockets by one recogniser."""

    def __init__(self, ears: Ears | None) -> None:
        """Without `ears` every socket is told so and closed."""
        self._ears = ears

    async def serve(self, socket: ServerConnection, request: Request) -> None:
        """Serve a socket of §5.2 to its end."""
        await self._serve(socket, request, turns=False)

    async def serve_turns(self, socket: ServerConnection, request: Request) -> None:
        """Serve a socket of §5.3 to its end."""
        await self._serve(socket, request, turns=True)

    async def _serve(self, socket: ServerConnection, request: Request, *, turns: bool) -> None:
        query = parse_qs(urlsplit(request.path).query)
        request_id = uuid4().hex
        try:
            if self._ears is None:
                raise SttFault("the stand-in has no ear: start it with --ear")
            encoding, rate = _form(query, MODELS[turns])
        except SttFault as fault:
            await _fail(socket, request_id, str(fault))
            await socket.close(1008, str(fault)[:100])
            return
        ear = self._ears.open(rate)
        client = (_Turns if turns else _Transcripts)(socket, request_id, ear, encoding, rate)
        try:
            await client.receive()
        except ConnectionClosed:
            pass
        finally:
            await ear.close()


class _Client:
    def __init__(self, socket: ServerConnection, request_id: str, ear: Ear, encoding: str, rate: int) -> None:
        self._socket = socket
        self._id = request_id
        self._ear = ear
        self._encoding = encoding
        self._rate = rate
        self._detector = self._new_detector()
        self._rest = b""
        self._heard = 0  # samples since the last transcript

    def _new_detector(self) -> TurnDetector:
        return self._ear.turns or energy(self._rate, THRESHOLD_DBFS)

    async def receive(self) -> None:
        """Take messages until the socket ends."""
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await self._socket.recv()
            except TimeoutError:
                await self._socket.close(1000, "connection idle timeout")
                return
            if isinstance(data, bytes):
                await self._hear(data)
            elif await self._obey(data):
                await self._socket.close(1000)
                return

    async def _hear(self, data: bytes) -> None:
        width = WIDTHS[self._encoding]
        data = self._rest + data
        whole = len(data) - len(data) % width
        self._rest = data[whole:]
        samples = _decode(data[:whole], self._encoding)
        self._heard += samples.size
        self._ear.receive_audio(samples)
        for event in self._detector.process(samples):
            if event.kind == "started":
                self._ear.start()
                await self._started()
            else:
                await self._stopped(await self._understand())

    async def _understand(self) -> str:
        """Return what was said; an ear that fails is told as an error, and the text is empty."""
        try:
            async with asyncio.timeout(EAR_TIMEOUT):
                return await self._ear.finish()
        except TimeoutError:
            await _fail(self._socket, self._id, f"the ear took longer than {EAR_TIMEOUT:g} s", 500)
        except EarFault as exc:
            await _fail(self._socket, self._id, str(exc), 500)
        return ""

    async def _send(self, kind: str, **fields: object) -> None:
        await self._socket.send(json.dumps({"type": kind, "request_id": self._id, **fields}))

    async def _obey(self, text: str) -> bool:
        """Take a text message; True to close."""
        raise NotImplementedError

    async def _started(self) -> None:
        raise NotImplementedError

    async def _stopped(self, text: str) -> None:
        raise NotImplementedError


class _Transcripts(_Client):
    """§5.2."""

    _told = False

    async def _obey(self, text: str) -> bool:
        if text not in ("finalize", "close"):
            await _fail(self._socket, self._id, "a text message is finalize or close")
            return False
        if self._detector.speaking:
            await self._stopped(await self._understand())
            self._detector = self._new_detector()  # what follows is an utterance of its own
        await self._send("flush_done" if text == "finalize" else "done")
        return text == "close"

    async def _started(self) -> None:
        """Nothing is told."""

    async def _stopped(self, text: str) -> None:
        seconds, self._heard = self._heard / self._rate, 0
        if text:
            delta = f" {text}" if self._told else text
            self._told = True
            await self._send("transcript", is_final=True, text=delta, duration=round(seconds, 3))


class _Turns(_Client):
    """§5.3."""

    async def receive(self) -> None:
        await self._send("connected")
        await super().receive()

    async def _obey(self, text: str) -> bool:
        try:
            message = json.loads(text)
            kind = message["type"]
            if kind == "config":
                _check_turn(message.get("turn"))
        except (ValueError, LookupError, TypeError):
            await _fail(self._socket, self._id, 'a text message is {"type": "close"} or {"type": "config", "turn": …}')
            return False
        except SttFault as fault:
            await _fail(self._socket, self._id, str(fault))
            return False
        if kind not in ("config", "close"):
            await _fail(self._socket, self._id, "type: must be close or config")
        if kind == "close" and self._detector.speaking:
            await self._stopped(await self._understand())
        return bool(kind == "close")

    async def _started(self) -> None:
        await self._send("turn.start")

    async def _stopped(self, text: str) -> None:
        if text:
            await self._send("turn.update", transcript=text)
        await self._send("turn.end", transcript=text)


def _form(query: Mapping[str, list[str]], models: tuple[str, ...]) -> tuple[str, int]:
    """Return encoding and rate of a socket; raises `SttFault`."""
    model, encoding, rate = (query.get(key, [""])[0] for key in ("model", "encoding", "sample_rate"))
    if model not in models:
        raise SttFault(f"model: must be one of {', '.join(models)}")
    if encoding not in WIDTHS:
        raise SttFault(f"encoding: must be one of {', '.join(WIDTHS)}")
    if rate not in map(str, RATES):
        raise SttFault(f"sample_rate: must be one of {', '.join(map(str, RATES))}")
    fields: dict[str, Any] = {}
    for key in THRESHOLDS:
        if (text := query.get(f"turn_{key}", [""])[0]) != "":
            try:
                fields[key] = float(text)
            except ValueError:
                raise SttFault(f"turn_{key}: must be a number") from None
    _check_turn(fields)
    return encoding, int(rate)


def _check_turn(turn: object) -> None:
    """Raise `SttFault` for thresholds that the documents rule out."""
    if not isinstance(turn, dict):
        raise SttFault("turn: must be an object")
    for key, (low, high) in THRESHOLDS.items():
        value = turn.get(key, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise SttFault(f"turn.{key}: must be {low:g} to {high:g}")
    told = [turn[key] for key in ("end_threshold", "eager_end_threshold", "start_threshold") if key in turn]
    if any(a >= b for a, b in pairwise(told)):
        raise SttFault("turn: end_threshold < eager_end_threshold < start_threshold")


def _decode(data: bytes, encoding: str) -> Samples:
    match encoding:
        case "pcm_mulaw":
            return ulaw_decode(data)
        case "pcm_alaw":
            return alaw_decode(data)
        case "pcm_s16le":
            return np.frombuffer(data, "<i2").astype(np.int16)
        case "pcm_s32le":
            return (np.frombuffer(data, "<i4") >> 16).astype(np.int16)
        case _:
            wide = np.frombuffer(data, "<f2" if encoding == "pcm_f16le" else "<f4").astype(np.float64)
            return np.minimum(np.rint(np.clip(np.nan_to_num(wide), -1, 1) * 32768), 32767).astype(np.int16)


async def _fail(socket: ServerConnection, request_id: str, text: str, status: int = 400) -> None:
    """Tell of an error."""
    title = "Transcription failed" if status >= 500 else "Bad request"
    code = "transcription_failed" if status >= 500 else "invalid_request"
    named = {"title": title, "message": text, "error_code": code, "status_code": status}
    await socket.send(json.dumps({"type": "error", **named, "request_id": request_id}))
