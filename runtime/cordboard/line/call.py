"""One call at the stand-in: reads the client, hears the caller, runs the agent's steps.

Follows reference cartesia-protocols §1.2-§1.6 and §7: `start` first, audio before the ack ignored, a `stream_id` that
is missing accepted, 180 s without a message is the end. The user's turns carry no text: nothing is recognised.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from cordboard.line import wire
from cordboard.line.records import CallRecord
from cordboard.line.script import Agent
from cordboard.line.speaker import Listener, Speaker
from cordboard.line.speech import FORMATS, Studio
from cordboard.line.steps import MAX_TEXT, Abort, Close, Pause, Raw, Say, Send, Sound, Step, Text, Tool, Wait
from cordboard.line.tool import ToolResult, post_json
from cordboard.media.chain import decode
from cordboard.media.energy import VoiceActivity
from cordboard.media.samples import Samples

END_OF_SPEECH_MS = 600
"""Silence after which the caller has finished: longer than a pause between words, the usual end-of-turn time."""

MAX_HAPPENINGS = 1000
"""Happenings kept for later waits; a script that waits for none must not gather them for ever."""


QUIET = frozenset({"media_output", "turn_output_text_delta"})
"""Messages sent too often for a line each in the log."""


class Connection(ServerConnection):
    """Notes when the client last sent anything, pings included, because pings keep a call alive (§1.2.5)."""

    heard_at = 0.0

    def process_event(self, event: Any) -> None:
        """Called by the library for each frame, and for the handshake's request."""
        self.heard_at = self.loop.time()
        super().process_event(event)


class _Over(Exception):
    """The socket is closed: ends the call's other tasks."""


class Call:
    """Runs from the open socket to its end."""

    def __init__(
        self, socket: Connection, agent: Agent, studio: Studio, record: CallRecord, rng: random.Random
    ) -> None:
        self._socket = socket
        self._agent = agent
        self._studio = studio
        self._record = record
        self._rng = rng
        self._start: wire.Start | None = None
        self._speaker: Speaker | None = None
        self._listener: Listener | None = None
        self._acked = False
        self._voice: VoiceActivity | None = None
        self._odd = b""
        self._user_turn = ""
        self._happened: deque[tuple[str, str]] = deque(maxlen=MAX_HAPPENINGS)
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Serve the call; returns when the socket is closed, by whomever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(group))
                group.create_task(self._watch_idle())
        except* (_Over, ConnectionClosed):
            pass
        finally:
            self._record.close_code = self._socket.close_code
            self._record.close_reason = self._socket.close_reason or ""
            self._record.say("closed: %s %r", self._record.close_code, self._record.close_reason)
            self._record.finished.set()

    # Reading

    async def _read(self, group: asyncio.TaskGroup) -> None:
        async for data in self._socket:
            try:
                message = wire.decode(data)
                if self._start is None:
                    await self._receive_start(message, group)
                else:
                    await self._receive(message)
            except wire.WireFault as exc:
                self._record.warn(str(exc))
                await self._send(wire.error(str(exc)))
                if self._start is None:
                    await self._socket.close(1008, str(exc)[:100])
        raise _Over

    async def _receive_start(self, message: dict[str, Any], group: asyncio.TaskGroup) -> None:
        self._record.note("in", message)
        start = wire.parse_start(message, self._agent.name)
        if "input_format" not in start.config:
            self._record.warn("start: config.input_format is missing; mulaw_8000 is assumed")
        record = self._record
        record.stream_id = start.stream_id or f"sid_{self._rng.getrandbits(64):016x}"
        record.call_id = f"ac_{self._rng.getrandbits(64):016x}"
        record.input_format = start.input_format
        record.metadata = start.metadata
        record.say("start: %s, metadata %s", start.input_format, ", ".join(map(repr, start.metadata)))
        form = FORMATS[start.input_format]
        self._voice = VoiceActivity(form.rate, self._agent.threshold_dbfs, release_ms=END_OF_SPEECH_MS)
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

    async def _receive(self, message: dict[str, Any]) -> None:
        name = message.get("event")
        if name == "media_input":
            await self._receive_media(message)
            return
        self._record.note("in", message)
        if "stream_id" in message and message["stream_id"] != self._record.stream_id:
            self._record.warn(f"{str(name)[:40]!r}: stream_id is not the call's")
        match name:
            case "dtmf":
                digit = wire.dtmf_digit(message)
                self._record.say("digit %s", digit)
                self._happen("dtmf", digit)
            case "custom":
                self._record.say("custom: %s", ", ".join(map(repr, wire.custom_metadata(message))))
                self._happen("custom")
            case "ping":
                pass  # exists in one client and in no document (§1.2.5)
            case "start":
                self._record.warn("a second start is ignored")
            case _:
                self._record.warn(f"event {str(name)[:40]!r} is unknown")

    async def _receive_media(self, message: dict[str, Any]) -> None:
        payload = wire.media_payload(message)
        self._record.note("in", message, len(payload))
        if not self._acked:
            self._record.warn("audio before the ack is ignored")
            return
        self._record.hear(payload)
        form = FORMATS[self._record.input_format]
        if form.bytes_per_sample == 2:
            payload = self._odd + payload
            whole = len(payload) & ~1
            self._odd, payload = payload[whole:], payload[:whole]
        assert self._voice is not None
        samples = decode(payload, form)
        self._hear(samples)
        for event in self._voice.process(samples):
            await (self._voice_started() if event.kind == "started" else self._voice_stopped())

    def _hear(self, samples: Samples) -> None:
        """All of the caller's audio, before it is judged to be voice; a script needs none of it."""

    async def _voice_started(self) -> None:
        assert self._speaker is not None
        if self._agent.barge_in and await self._speaker.interrupt():
            self._record.say("the caller interrupts")
        self._user_turn = self._speaker.next_turn_id()
        if self._agent.turn_events:
            await self._send(wire.turn_started(self._user_turn, "user"))
        self._happen("speech")

    async def _voice_stopped(self) -> None:
        if self._agent.turn_events:
            await self._send(wire.turn_ended(self._user_turn, "user", "", interrupted=False))
        self._happen("speech_end")

    # Acting

    async def _act(self, start: wire.Start, speaker: Speaker) -> None:
        if not self._agent.ack:
            return
        greeting: Sound | None = self._agent.greeting
        if start.introduction is not None:
            greeting = Text(start.introduction[:MAX_TEXT]) if start.introduction.strip() else None
        audio = None if greeting is None else await self._studio.audio(greeting, start.input_format)
        await self._acknowledge(start)
        if greeting is not None and audio is not None:
            await self._say(speaker, greeting, audio)
        for step in self._agent.steps:
            await self._do(step, start, speaker)

    async def _acknowledge(self, start: wire.Start) -> None:
        await asyncio.sleep(self._agent.ack_delay)
        self._acked = True
        await self._send(wire.ack(start, self._record.stream_id, self._record.call_id))
        self._happen("ack")

    async def _say(self, speaker: Speaker, sound: Sound, audio: bytes) -> None:
        text = sound.text if isinstance(sound, Text) else ""
        self._record.say("says %r", text[:80] or type(sound).__name__)
        await speaker.say(audio, text)

    async def _do(self, step: Step, start: wire.Start, speaker: Speaker) -> None:
        match step:
            case Wait():
                await self._wait(step)
            case Pause():
                await asyncio.sleep(step.seconds)
            case Say():
                await self._say(speaker, step.sound, await self._studio.audio(step.sound, start.input_format))
            case Tool():
                await self._use(step, start)
            case Send():
                await self._send(step.message)
            case Raw():
                self._record.note("out", {"event": "raw", "text": step.text})
                await self._socket.send(step.text)
            case Close():
                await self._socket.close(step.code, step.reason)
            case Abort():
                self._abort()

    async def _wait(self, step: Wait) -> None:
        while True:
            while self._happened:
                happening, digit = self._happened.popleft()
                if happening == step.happening and step.digit in ("", digit):
                    return
            self._news.clear()
            await self._news.wait()

    async def _use(self, tool: Tool, start: wire.Start) -> None:
        from_start = tool.url.startswith("metadata.")
        url: object = start.metadata.get(tool.url.removeprefix("metadata.")) if from_start else tool.url
        if isinstance(url, str):  # which may be a capability: not for the log
            place = tool.url if from_start else "the script's URL"
            self._record.say("tool: POST %s to %s", ", ".join(map(repr, tool.body)), place)
            result = await post_json(url, tool.body)
        else:
            result = ToolResult(0, "", f"start carried no {tool.url}")
        self._record.tool_results.append(result)
        self._record.say("tool: %s", result.error or f"{result.status} {result.body[:80]!r}")

    def _abort(self) -> None:
        sock = self._socket.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
        self._record.say("drops the connection")
        self._socket.transport.abort()

    def _happen(self, happening: str, digit: str = "") -> None:
        self._happened.append((happening, digit))
        self._news.set()

    async def _send(self, message: wire.Message) -> None:
        media = message.get("media") if message.get("event") == "media_output" else None
        size = len(media["payload"]) * 3 // 4 - media["payload"].count("=") if media else None
        self._record.note("out", message, size)
        name = message.get("event", message.get("type"))
        if name not in QUIET:
            self._record.say("→ %s", name)
        await self._socket.send(wire.encode(message, self._record.stream_id))

    async def _watch_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while (left := self._socket.heard_at + self._agent.idle_seconds - loop.time()) > 0:  # noqa: ASYNC110 - the deadline moves
            await asyncio.sleep(left)
        await self._socket.close(1000, "connection idle timeout")
