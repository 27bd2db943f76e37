"""One call at the stand-in, whoever its agent is: reads the client, hears the caller, sends what is said.

Follows reference cartesia-protocols §1.2-§1.6 and §7: `start` first, audio before the ack ignored, a `stream_id` that
is missing accepted, 180 s without a message is the end. The user's turns carry no text: nothing is recognised. What is
different on the Managed wire (§2) is translated at the socket, by `wire.Wire`.
"""

from __future__ import annotations

import abc
import asyncio
import base64
import contextlib
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from cordboard.line import wire
from cordboard.line.ears.turns import TurnDetector, energy
from cordboard.line.records import CallRecord, EndReason
from cordboard.line.script import Agent
from cordboard.line.speaker import Listener, Speaker
from cordboard.line.speech import FORMATS, Spoken, Studio
from cordboard.line.steps import (
    Sound,
)
from cordboard.line.voices.voice import VoiceFailed
from cordboard.media.chain import decode
from cordboard.media.samples import Samples

QUIET = frozenset({"media_output", "audio_output", "turn_output_text_delta"})
"""Messages sent too often for a line each in the log."""


class Connection(ServerConnection):
    """Notes when the client last sent anything, pings included, because pings keep a call alive (§1.2.5)."""

    heard_at = 0.0
    admitted: Any = None
    """What the handshake's check found out about the client."""

    def process_event(self, event: Any) -> None:
        """Called by the library for each frame, and for the handshake's request."""
        self.heard_at = self.loop.time()
        super().process_event(event)


class _Over(Exception):
    """The socket is closed: ends the call's other tasks."""


class Call(abc.ABC):
    """Runs from the open socket to its end; what the agent does is its subclasses'."""

    def __init__(
        self,
        socket: Connection,
        agent: Agent,
        studio: Studio,
        record: CallRecord,
        rng: random.Random,
        service: wire.Wire | None = None,
        preset: Callable[[wire.Start], wire.Start] = lambda start: start,
    ) -> None:
        """`service` is the wire of the socket; by default Line's. `preset` adds what the platform knows to a start."""
        record.cancel = self.cancel
        self._preset = preset
        self._socket = socket
        self._agent = agent
        self._studio = studio
        self._record = record
        self._rng = rng
        self._service: wire.Wire = service or wire.LineWire(agent.name)
        self._valid_at = 0.0
        self._tools: dict[str, asyncio.Future[wire.ToolAnswer]] = {}
        self._start: wire.Start | None = None
        self._speaker: Speaker | None = None
        self._listener: Listener = self
        self._acked = False
        self._voice: TurnDetector | None = None
        self._odd = b""
        self._user_turn = ""

    async def run(self) -> None:
        """Serve the call; returns when the socket is closed, by whomever."""
        self._record.wire = self._service.name
        self._valid_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(group))
                group.create_task(self._watch_idle())
                group.create_task(self._watch_start())
        except* (_Over, ConnectionClosed):
            pass
        except* Exception as group:
            self._record.end("error", f"the stand-in failed: {type(group.exceptions[0]).__name__}")
            raise
        finally:
            self._record.end(*self._end_of_socket())
            self._record.close(self._socket.close_code, self._socket.close_reason or "")

    async def cancel(self) -> None:
        """End the call for a third party."""
        self._record.end("api_cancelled")
        with contextlib.suppress(ConnectionClosed):
            await self._end_speech()
        await self._socket.close(1000, "connection cancelled")

    def _end_of_socket(self) -> tuple[EndReason, str]:
        """Why the call ended, when nobody here ended it."""
        protocol = self._socket.protocol
        if protocol.close_rcvd is not None and protocol.close_rcvd_then_sent is not False:
            return ("client_hangup" if protocol.close_rcvd.code in (1000, 1001) else "client_disconnected"), ""
        if protocol.close_sent is not None:
            return "error", f"closed with {protocol.close_sent.code} {protocol.close_sent.reason}".rstrip()
        return "client_disconnected", ""

    # Reading

    async def _read(self, group: asyncio.TaskGroup) -> None:
        async for data in self._socket:
            try:
                message = wire.decode(data, self._record.warn)
                if self._start is None:
                    await self._receive_start(message, group)
                else:
                    await self._take(message)
                self._valid_at = asyncio.get_running_loop().time()
            except wire.WireFault as exc:
                await self._refuse(exc)
        raise _Over

    async def _refuse(self, fault: wire.WireFault) -> None:
        """Tell the client of its fault, which ends a call that has not begun."""
        fatal = self._start is None
        self._record.warn(str(fault))
        if fatal:
            self._name_call()
            self._record.begin()
            self._record.end("error", str(fault))
        await self._put(self._service.error(str(fault), fault.code, fatal=fatal))
        if fatal:
            await self._socket.close(1008, str(fault).encode("utf-8", "replace")[:100].decode("utf-8", "ignore"))

    async def _receive_start(self, message: dict[str, Any], group: asyncio.TaskGroup) -> None:
        self._record.note("in", message)
        start = self._preset(self._service.parse_start(message))
        if "input_format" not in start.config:
            self._record.warn("start: config.input_format is missing; mulaw_8000 is assumed")
        record = self._record
        record.stream_id = start.stream_id or f"sid_{self._rng.getrandbits(64):016x}"
        record.input_format = start.input_format
        record.metadata = start.metadata
        self._name_call(start.metadata.get("agent_call_id"))
        record.begin()
        record.say("start: %s, metadata %s", start.input_format, ", ".join(map(repr, start.metadata)))
        form = FORMATS[start.input_format]
        self._voice = energy(form.rate, self._agent.threshold_dbfs)
        self._speaker = Speaker(
            self._send,
            group,
            bytes_per_second=form.bytes_per_frame * 50,
            chunk_ms=self._agent.chunk_ms,
            at_once=(start.delivery or self._agent.delivery) == "as_available",
            turns=self._agent.turn_events,
            odd=self._agent.odd_chunks,
            listener=self._listener,
        )
        self._start = start
        group.create_task(self._act(start, self._speaker))

    def _name_call(self, planned: object = None) -> None:
        """Give the call its id: that of an outbound call which was planned, or a new one."""
        record = self._record
        if record.observer is not None and record.observer.claim_call(self._agent.name, planned):
            record.call_id = str(planned)
        else:
            record.call_id = f"ac_{self._rng.getrandbits(64):016x}"

    async def _take(self, received: dict[str, Any]) -> None:
        """Take a message of this wire's own form."""
        message = self._service.incoming(received)
        if isinstance(message, wire.ToolAnswer):
            self._record.note("in", received)
            self._receive_answer(message)
        else:
            self._record.note("in", received, _audio_bytes(message))
            await self._receive(message)

    async def _receive(self, message: dict[str, Any]) -> None:
        """Take a message of the Line wire's form."""
        name = message.get("event")
        if name == "media_input":
            await self._receive_media(wire.media_payload(message))
            return
        if "stream_id" in message and message["stream_id"] != self._record.stream_id:
            self._record.warn(f"{str(name)[:40]!r}: stream_id is not the call's")
        match name:
            case "dtmf":
                digit = wire.dtmf_digit(message)
                self._record.say("digit %s", digit)
                await self._receive_digit(digit)
            case "custom":
                metadata = wire.custom_metadata(message)
                self._record.say("custom: %s", ", ".join(map(repr, metadata)))
                if (answer := wire.tool_answer(metadata)) is not None and answer.id in self._tools:
                    self._receive_answer(answer)
                self._receive_custom(metadata)
            case "ping":
                pass  # exists in one client and in no document (§1.2.5)
            case "start":
                self._record.warn("a second start is ignored")
            case _:
                self._record.warn(f"event {str(name)[:40]!r} is unknown")

    def _receive_answer(self, answer: wire.ToolAnswer) -> None:
        waiting = self._tools.pop(answer.id, None)
        if waiting is None:
            self._record.warn("a late, repeated or unmatched tool result is ignored")
        elif not waiting.done():
            waiting.set_result(answer)

    async def _receive_media(self, payload: bytes) -> None:
        if not self._acked:
            self._record.warn("audio before the ack is ignored")
            return
        self._record.hear(payload)
        recording = self._record.recording
        form = FORMATS[self._record.input_format]
        if form.bytes_per_sample == 2:
            payload = self._odd + payload
            whole = len(payload) & ~1
            self._odd, payload = payload[whole:], payload[:whole]
        if recording is not None:
            recording.caller_said(payload)
        assert self._voice is not None
        samples = decode(payload, form)
        self._hear(samples)
        for event in self._voice.process(samples):
            await (self._voice_started() if event.kind == "started" else self._voice_stopped())

    @abc.abstractmethod
    def _hear(self, samples: Samples) -> None:
        """All of the caller's audio, before it is judged to be voice."""

    @abc.abstractmethod
    async def _receive_digit(self, digit: str) -> None:
        """A digit of the client."""

    @abc.abstractmethod
    def _receive_custom(self, metadata: wire.Message) -> None:
        """Application data of the client."""

    @abc.abstractmethod
    async def _voice_started(self) -> None:
        """The caller begins to speak."""

    @abc.abstractmethod
    async def _voice_stopped(self) -> None:
        """The caller fell silent."""

    # Speech, as it is heard

    async def speech_started(self) -> None:
        """See `Listener`."""
        self._record.transcript.speech_started()

    async def word_spoken(self, word: str, ahead: float = 0.0) -> None:
        """See `Listener`."""
        self._record.transcript.word(word, ahead)

    async def speech_ended(self, *, interrupted: bool, ahead: float = 0.0) -> None:
        """See `Listener`."""
        self._record.transcript.speech_ended(interrupted=interrupted, ahead=ahead)

    async def _end_speech(self) -> None:
        """Before the service ends the call: client, transcript and recording have what was sent, word for word."""
        if self._speaker is not None:
            await self._speaker.stop()
        if self._record.recording is not None:
            self._record.recording.played()

    async def _synthesize(self, sound: Sound, format_name: str) -> Spoken | None:
        """Make the wire's audio, and note how long it took; None when there is none, which is a warning."""
        began = time.monotonic()
        try:
            spoken = await self._studio.audio(sound, format_name)
        except VoiceFailed as exc:
            self._record.warn(f"speech: {exc}")
            return None
        self._record.transcript.synthesized(time.monotonic() - began)
        return spoken

    # Acting

    @abc.abstractmethod
    async def _act(self, start: wire.Start, speaker: Speaker) -> None:
        """Be the agent, until the call is over."""

    async def _acknowledge(self, start: wire.Start) -> None:
        await asyncio.sleep(self._agent.ack_delay)
        self._acked = True
        await self._send(wire.ack(start, self._record.stream_id, self._record.call_id))

    async def _send(self, message: wire.Message) -> None:
        """Send a message of the Line wire's form, if this wire has one like it."""
        native = self._service.outgoing(message)
        if native is None:
            self._record.warn(f"{message.get('event')} is left out: the {self._service.name} wire has none")
            return
        if (recording := self._record.recording) is not None:
            if message.get("event") == "media_output":
                recording.agent_said(base64.b64decode(message["media"]["payload"]))
            elif message.get("event") == "clear":
                recording.cleared()
        await self._put(native, _audio_bytes(message))

    async def _put(self, native: wire.Message, audio_bytes: int | None = None) -> None:
        """Send a message of this wire's own form."""
        self._record.note("out", native, audio_bytes)
        name = native.get("event", native.get("type"))
        if name not in QUIET:
            self._record.say("→ %s", name)
        await self._socket.send(self._service.encode(native, self._record.stream_id))

    async def _watch_start(self) -> None:
        limit = self._service.start_seconds
        if limit is None:
            return
        await asyncio.sleep(limit)
        if self._start is None:
            await self._refuse(wire.WireFault(f"no first message within {limit:g} s"))

    def _heard_at(self) -> float:
        return self._socket.heard_at if self._service.pings_count else self._valid_at

    async def _watch_idle(self) -> None:
        loop = asyncio.get_running_loop()
        limit = self._service.idle_seconds if self._agent.idle_seconds is None else self._agent.idle_seconds
        while (left := self._heard_at() + limit - loop.time()) > 0:  # noqa: ASYNC110 - the deadline moves
            await asyncio.sleep(left)
        self._record.end("inactivity")
        await self._socket.close(1000, "connection idle timeout")


def _audio_bytes(message: wire.Message) -> int | None:
    """Bytes of audio in a message of the Line wire's form; None when it carries none."""
    media = message.get("media") if message.get("event") in ("media_input", "media_output") else None
    payload = media.get("payload") if isinstance(media, Mapping) else None
    return len(payload) * 3 // 4 - payload.count("=") if isinstance(payload, str) else None
