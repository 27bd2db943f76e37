"""One call at the stand-in whose agent is a script: it greets, then does its steps one after the other.

Steps wait for what happens in the call and do everything that an agent may do, faults included (`steps`). Leaves out
understanding: the caller's turns carry no text.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Any

from cordboard.line import wire
from cordboard.line.call import Call
from cordboard.line.ears.turns import END_OF_SPEECH_MS
from cordboard.line.speaker import Speaker
from cordboard.line.speech import Spoken
from cordboard.line.steps import (
    MAX_TEXT,
    Abort,
    ClientTool,
    Close,
    Pause,
    Raw,
    Say,
    Send,
    Sound,
    Step,
    Text,
    Tool,
    Wait,
)
from cordboard.line.tool import ClientToolResult, ToolResult, post_json
from cordboard.media.samples import Samples

MAX_TOLD = 30_000
"""Characters of a tool's result in the transcript, where the SDK cuts them too (§3.4)."""

MAX_HAPPENINGS = 1000
"""Happenings kept for later waits; a script that waits for none must not gather them for ever."""


class ScriptCall(Call):
    """Runs from the open socket to its end."""

    def __init__(self, *call: Any, **options: Any) -> None:
        """As `Call`."""
        super().__init__(*call, **options)
        self._happened: deque[tuple[str, str]] = deque(maxlen=MAX_HAPPENINGS)
        self._news = asyncio.Event()

    def _hear(self, samples: Samples) -> None:
        """A script understands nothing."""

    async def _receive_digit(self, digit: str) -> None:
        self._happen("dtmf", digit)

    def _receive_custom(self, metadata: wire.Message) -> None:
        self._happen("custom")

    async def _voice_started(self) -> None:
        assert self._speaker is not None
        if self._agent.barge_in and await self._speaker.interrupt():
            self._record.say("the caller interrupts")
        self._user_turn = self._speaker.next_turn_id()
        self._record.transcript.user_started()
        if self._agent.turn_events:
            await self._send(wire.turn_started(self._user_turn, "user"))
        self._happen("speech")

    async def _voice_stopped(self) -> None:
        if self._agent.turn_events:
            await self._send(wire.turn_ended(self._user_turn, "user", "", interrupted=False))
        self._record.transcript.user_silent(END_OF_SPEECH_MS / 1000)
        self._record.transcript.user_ended()
        self._happen("speech_end")

    async def _act(self, start: wire.Start, speaker: Speaker) -> None:
        if not self._agent.ack:
            return
        greeting: Sound | None = self._agent.greeting
        if start.introduction is not None:
            greeting = Text(start.introduction[:MAX_TEXT]) if start.introduction.strip() else None
        spoken = None if greeting is None else await self._synthesize(greeting, start.input_format)
        await self._acknowledge(start)
        self._happen("ack")
        if greeting is not None:
            await self._say(speaker, greeting, spoken)
        for step in self._agent.steps:
            await self._do(step, start, speaker)

    async def _say(self, speaker: Speaker, sound: Sound, spoken: Spoken | None) -> None:
        if spoken is None:
            return
        text = sound.text if isinstance(sound, Text) else ""
        self._record.say("says %r", text[:80] or type(sound).__name__)
        await speaker.say(spoken.audio, spoken.words)

    async def _do(self, step: Step, start: wire.Start, speaker: Speaker) -> None:
        match step:
            case Wait():
                await self._wait(step)
            case Pause():
                await asyncio.sleep(step.seconds)
            case Say():
                await self._say(speaker, step.sound, await self._synthesize(step.sound, start.input_format))
            case Tool():
                await self._use(step, start)
            case ClientTool():
                await self._call_client(step)
            case Send():
                await self._send(step.message)
            case Raw():
                self._record.note("out", {"event": "raw", "text": step.text})
                await self._socket.send(step.text)
            case Close():
                if step.code == 1000:
                    self._record.end("agent_hangup", step.reason)
                else:
                    self._record.end("error", f"the script closes with {step.code} {step.reason}".rstrip())
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
        answer = result.error or f"{result.status} {result.body}"
        self._record.transcript.tool("http_request", dict(tool.body), answer[:MAX_TOLD])
        self._record.say("tool: %s", result.error or f"{result.status} {result.body[:80]!r}")

    async def _call_client(self, tool: ClientTool) -> None:
        """Call a tool of the client's and wait for its answer, in which time the call goes on."""
        id = f"tc_{self._rng.getrandbits(64):016x}"
        await self._put(self._service.tool_call(id, tool.name, tool.arguments, tool.expects_response))
        self._record.transcript.tool(tool.name, dict(tool.arguments), id=id)
        if not tool.expects_response:
            return
        self._tools[id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(tool.timeout):
                answer = await self._tools[id]
        except TimeoutError:
            answer = wire.ToolAnswer(id, f"no answer within {tool.timeout:g} s", True, "timeout")
        finally:
            self._tools.pop(id, None)
        result = ClientToolResult(id, tool.name, tool.arguments, answer.result, answer.is_error, answer.error_type)
        self._service.tool_finished(result)
        self._record.client_tool_results.append(result)
        self._record.transcript.tool(tool.name, dict(tool.arguments), answer.result[:MAX_TOLD], id)
        outcome = f"fails ({answer.error_type or 'error'})" if answer.is_error else "answers"
        self._record.say("client tool %r %s: %r", tool.name, outcome, answer.result[:80])

    def _abort(self) -> None:
        sock = self._socket.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
        self._record.say("drops the connection")
        self._record.end("error", "the script drops the connection")
        self._socket.transport.abort()

    def _happen(self, happening: str, digit: str = "") -> None:
        self._happened.append((happening, digit))
        self._news.set()
