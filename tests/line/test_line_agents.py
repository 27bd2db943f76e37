"""The edge's client of the Line socket against the stand-in, over real TCP: each was written apart from the other."""

from __future__ import annotations

import json

import pytest

from cordboard.agents.connection import SPOKEN_VERSIONS
from cordboard.agents.events import (
    Acked,
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
from cordboard.agents.state import InputFormat
from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import L16_16000, L16_24000, L16_44100, PCMU_8000, Format, decode

from .agent_shell import connected, run
from .line_peer import LOUD, SILENCE, serving

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


PCM: list[tuple[InputFormat, Format]] = [("pcm_16000", L16_16000), ("pcm_24000", L16_24000), ("pcm_44100", L16_44100)]


@pytest.mark.parametrize("version", SPOKEN_VERSIONS)
@pytest.mark.parametrize(("input_format", "form"), PCM)
def test_pcm_both_ways_cut_anywhere(input_format: InputFormat, form: Format, version: str) -> None:
    async def test() -> None:
        text = "[agents.a]\ngreeting = {tone = {hz = 440, seconds = 0.2}}\nodd_chunks = true\n"
        async with serving(text) as server, connected(server, input_format=input_format, version=version) as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, now=shell.now)
            shell.flush()
            await shell.until(Acked)
            await shell.until(TurnEnded)
            audio = b"".join(event.payload for event in shell.events if isinstance(event, Audio))
            assert len(audio) == form.rate * 2 // 5
            assert abs(dominant_tone(decode(audio, form), form.rate).hz - 440) < 5
            shell.line.send_audio(b"\x01\x00" * 320, shell.now)
            shell.line.close(now=shell.now)
            shell.flush()
            await shell.until(Closed)
            await server.calls[0].finished.wait()
            assert bytes(server.calls[0].audio_in) == b"\x01\x00" * 320
            assert not [event for event in shell.events if isinstance(event, ErrorMessage)]

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
            assert (response.status, json.loads(response.body)["message"]) == (404, "no such agent")
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
