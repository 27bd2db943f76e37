"""The edge's client of the Line socket against the stand-in, over real TCP: each was written apart from the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from cordboard.agents.events import (
    Acked,
    AgentEvent,
    Audio,
    Clear,
    Closed,
    Custom,
    Dtmf,
    ErrorMessage,
    HttpResponse,
    Opened,
    TextDelta,
    Transfer,
    TurnEnded,
    TurnStarted,
)
from cordboard.agents.line import LineConnection
from cordboard.agents.state import InputFormat
from cordboard.line.server import LineServer
from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import L16_16000, PCMU_8000, decode

from .line_peer import LIMIT, LOUD, SILENCE, serving

E = TypeVar("E", bound=AgentEvent)


class Shell:
    """The smallest possible shell: moves bytes between a LineConnection and a TCP stream."""

    def __init__(self, line: LineConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.line = line
        self.events: list[AgentEvent] = []
        self._reader = reader
        self._writer = writer

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def flush(self) -> None:
        """Write what the protocol wants written."""
        for data in self.line.data_to_send(self.now):
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()

    async def next(self) -> AgentEvent:
        """Return the next event."""
        while (event := self.line.next_event()) is None:
            try:
                data = await self._reader.read(65536)
            except ConnectionResetError as exc:
                self.line.connection_lost(str(exc), self.now)
                continue
            if data:
                self.line.receive_data(data, self.now)
            else:
                self.line.receive_eof(self.now)
            self.flush()
        self.events.append(event)
        return event

    async def until(self, kind: type[E]) -> E:
        """Return the next event of a kind."""
        while True:
            event = await self.next()
            if isinstance(event, kind):
                return event


@asynccontextmanager
async def connected(
    server: LineServer, agent: str = "a", input_format: InputFormat = "mulaw_8000"
) -> AsyncIterator[Shell]:
    line = LineConnection(
        base_url=f"ws://127.0.0.1:{server.port}",
        agent_id=agent,
        api_key="sk_test",
        input_format=input_format,
        rng=random.Random(5),
        now=asyncio.get_running_loop().time(),
    )
    reader, writer = await asyncio.open_connection(line.host, line.port)
    shell = Shell(line, reader, writer)
    line.connected(shell.now)
    shell.flush()
    try:
        yield shell
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionResetError:
            assert any(isinstance(event, Closed) and event.by == "network" for event in shell.events)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test

    asyncio.run(limited())


SCRIPT = """
[agents.a]
greeting = {tone = {hz = 660, seconds = 30}}
[[agents.a.steps]]
wait = "speech"
[[agents.a.steps]]
wait = "custom"
[[agents.a.steps]]
custom = {stage = "x"}
[[agents.a.steps]]
wait = {dtmf = "7"}
[[agents.a.steps]]
dtmf = "5"
[[agents.a.steps]]
transfer_call = "+14155550123"
[[agents.a.steps]]
say = "Good day"
[[agents.a.steps]]
error = {message = "slow"}
"""


def test_a_whole_call() -> None:
    async def test() -> None:
        async with serving(SCRIPT) as server, connected(server) as shell:
            line = shell.line
            opened = await shell.until(Opened)
            assert opened.status == 101
            line.start(metadata={"from": "+1"}, now=shell.now)
            shell.flush()
            acked = await shell.until(Acked)
            assert acked.stream_id.startswith("sid_")
            assert acked.call_id.startswith("ac_")

            heard = b""
            while len(heard) < 1600:
                heard += (await shell.until(Audio)).payload
            hz, share = dominant_tone(decode(heard, PCMU_8000), 8000)
            assert abs(hz - 660) < 5
            assert share > 0.9

            for payload in [SILENCE] * 5 + [LOUD] * 10:
                line.send_audio(payload, shell.now)
            shell.flush()
            await shell.until(Clear)
            ended = await shell.until(TurnEnded)
            assert (ended.role, ended.interrupted) == ("assistant", True)
            assert (await shell.until(TurnStarted)).role == "user"

            line.custom({"crm": 1}, shell.now)
            shell.flush()
            assert (await shell.until(Custom)).metadata == {"stage": "x"}
            assert line.dtmf("7", shell.now)
            shell.flush()
            assert (await shell.until(Dtmf)).digit == "5"
            assert (await shell.until(Transfer)).number == "+14155550123"
            assert (await shell.until(TextDelta)).text == "Good "
            said = await shell.until(TurnEnded)
            assert (said.text, said.interrupted) == ("Good day", False)
            assert not any(isinstance(event, ErrorMessage) and event.fatal for event in shell.events)

            line.close(now=shell.now)
            shell.flush()
            closed = await shell.until(Closed)
            assert (closed.code, closed.by, closed.expected) == (1000, "us", True)
            record = server.calls[0]
            await record.finished.wait()
            assert (record.close_code, record.close_reason) == (1000, "session completed")
            assert record.metadata["from"] == "+1"
            assert bytes(record.audio_in) == SILENCE * 5 + LOUD * 10
            assert record.warnings == []
            assert line.malformed == 0

    run(test())


def test_pcm_both_ways_cut_anywhere() -> None:
    async def test() -> None:
        text = "[agents.a]\ngreeting = {tone = {hz = 440, seconds = 0.2}}\nodd_chunks = true\n"
        async with serving(text) as server, connected(server, input_format="pcm_16000") as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, now=shell.now)
            shell.flush()
            await shell.until(Acked)
            await shell.until(TurnEnded)
            audio = b"".join(event.payload for event in shell.events if isinstance(event, Audio))
            assert len(audio) == 6400
            assert abs(dominant_tone(decode(audio, L16_16000), 16000).hz - 440) < 5
            shell.line.send_audio(b"\x01\x00" * 320, shell.now)
            shell.line.close(now=shell.now)
            shell.flush()
            await shell.until(Closed)
            await server.calls[0].finished.wait()
            assert bytes(server.calls[0].audio_in) == b"\x01\x00" * 320

    run(test())


@pytest.mark.parametrize(
    ("step", "code", "by"),
    [
        ('end = "bye"', 1000, "agent"),
        ("drop = {code = 1011}", 1011, "error"),
        ('drop = "abort"', 1006, "network"),
    ],
)
def test_the_services_ends_are_judged(step: str, code: int, by: str) -> None:
    async def test() -> None:
        async with serving(f"[agents.a]\n[[agents.a.steps]]\n{step}\n") as server, connected(server) as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, now=shell.now)
            shell.flush()
            closed = await shell.until(Closed)
            assert (closed.code, closed.by, closed.expected) == (code, by, False)

    run(test())


def test_an_idle_close_is_judged() -> None:
    async def test() -> None:
        async with serving("[agents.a]\nidle_seconds = 0.1\n") as server, connected(server) as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, now=shell.now)
            shell.flush()
            assert (await shell.until(Closed)).by == "idle"

    run(test())


def test_a_refusal_is_told() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, connected(server, "nobody") as shell:
            response = await shell.until(HttpResponse)
            assert (response.status, response.body) == (404, "no such agent\n")
            assert (await shell.until(Closed)).by == "error"

    run(test())


def test_a_start_that_the_service_refuses_is_fatal() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, connected(server) as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, agent={"introduction": 7}, now=shell.now)
            shell.flush()
            error = await shell.until(ErrorMessage)
            assert error.fatal
            assert (await shell.until(Closed)).by == "error"

    run(test())
