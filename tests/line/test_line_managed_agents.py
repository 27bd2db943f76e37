"""The edge's Managed client against the stand-in, over real TCP: each was written apart from the other."""

from __future__ import annotations

import json

import pytest

from cordboard.agents.events import (
    Acked,
    Audio,
    Clear,
    Closed,
    Dtmf,
    ErrorMessage,
    HttpResponse,
    Opened,
    TextDelta,
    ToolCall,
    TurnEnded,
    TurnStarted,
    Unknown,
)
from cordboard.line.server import LineServer
from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import PCMU_8000, decode

from .agent_shell import Shell, connected, run
from .line_peer import LOUD, SILENCE, serving

VERSION = "2026-08-14"


async def live(server: LineServer, shell: Shell, **metadata: str | int) -> Acked:
    """Start; return the service's answer."""
    await shell.until(Opened)
    shell.line.start(metadata=metadata, now=shell.now)
    shell.flush()
    return await shell.until(Acked)


SCRIPT = """
[agents.a]
greeting = {tone = {hz = 660, seconds = 30}}
variables = ["caller_name"]
[[agents.a.steps]]
wait = "speech"
[[agents.a.steps]]
tool_call = {name = "find_table", arguments = {day = "Friday", seats = 4}}
[[agents.a.steps]]
wait = {dtmf = "7"}
[[agents.a.steps]]
dtmf = "5"
[[agents.a.steps]]
custom = {left = "out"}
[[agents.a.steps]]
say = "Good day"
[[agents.a.steps]]
error = {code = "invalid_event", message = "slow"}
[[agents.a.steps]]
raw = '{"type":"sparkle"}'
"""


def test_a_whole_call() -> None:
    async def test() -> None:
        async with serving(SCRIPT) as server, connected(server, version=VERSION) as shell:
            line = shell.line
            acked = await live(server, shell, caller_name="Mina", tier=2)
            assert acked.call_id.startswith("ac_")
            assert acked.data["audio"] == {"input_format": "mulaw_8000", "output_delivery": "speaking_pace"}

            heard = b""
            while len(heard) < 1600:
                heard += (await shell.until(Audio)).payload
            assert abs(dominant_tone(decode(heard, PCMU_8000), 8000).hz - 660) < 5

            for payload in [SILENCE] * 5 + [LOUD] * 10:
                line.send_audio(payload, shell.now)
            shell.flush()
            await shell.until(Clear)
            ended = await shell.until(TurnEnded)
            assert (ended.id, ended.role, ended.interrupted) == ("1", "assistant", True)
            started = await shell.until(TurnStarted)
            assert (started.id, started.role) == ("2", "user")

            call = await shell.until(ToolCall)
            assert (call.name, call.parameters, call.expects_response) == (
                "find_table",
                {"day": "Friday", "seats": 4},
                True,
            )
            assert line.tool_result(call.id, '{"slots":["19:30"]}', now=shell.now)
            assert line.tool_result(call.id, "again", now=shell.now)
            assert line.dtmf("7", shell.now)
            shell.flush()
            assert (await shell.until(Dtmf)).digit == "5"
            assert (await shell.until(TextDelta)).text == "Good "
            error = await shell.until(ErrorMessage)
            assert (error.message, error.fatal) == ("invalid_event: slow", False)
            assert (await shell.until(Unknown)).event == "sparkle"
            said = await shell.until(TurnEnded)  # after its sound, of which the last is sent ahead of its time
            assert (said.id, said.text, said.interrupted) == ("3", "Good day", False)
            (told,) = said.data["tool_calls"]
            assert (told["id"], told["result"]) == (call.id, '{"slots":["19:30"]}')

            line.close(now=shell.now)
            shell.flush()
            closed = await shell.until(Closed)
            assert (closed.code, closed.by, closed.expected) == (1000, "us", True)
            record = server.calls[0]
            await record.finished.wait()
            assert record.metadata == {"caller_name": "Mina", "tier": 2}
            assert bytes(record.audio_in) == SILENCE * 5 + LOUD * 10
            assert record.warnings == [
                "a late, repeated or unmatched tool result is ignored",
                "custom is left out: the managed wire has none",
            ]
            assert [result.result for result in record.client_tool_results] == ['{"slots":["19:30"]}']
            assert line.malformed == 0

    run(test())


def test_a_result_too_large_reaches_the_agent_as_an_error() -> None:
    async def test() -> None:
        text = '[agents.a]\n[[agents.a.steps]]\ntool_call = {name = "t"}\n[[agents.a.steps]]\nend = ""\n'
        async with serving(text) as server, connected(server, version=VERSION) as shell:
            await live(server, shell)
            call = await shell.until(ToolCall)
            assert not shell.line.tool_result(call.id, "x" * 5000, now=shell.now)
            shell.flush()
            closed = await shell.until(Closed)
            assert (closed.code, closed.by, closed.expected) == (1000, "agent", False)
            (result,) = server.calls[0].client_tool_results
            assert (result.is_error, result.error_type) == (True, "result_too_large")

    run(test())


def test_everything_sent_at_once_where_the_client_asks_for_it() -> None:
    async def test() -> None:
        text = '[agents.a]\ngreeting = {tone = {hz = 660, seconds = 30}}\n[[agents.a.steps]]\ndtmf = "1"\n'
        async with serving(text) as server, connected(server, version=VERSION) as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, config={"output_audio_delivery": "as_available"}, now=shell.now)
            shell.flush()
            await shell.until(Dtmf)
            audio = [event.payload for event in shell.events if isinstance(event, Audio)]
            assert sum(map(len, audio)) == 240_000
            assert not [event for event in shell.events if isinstance(event, TurnEnded)]

    run(test())


@pytest.mark.parametrize(
    ("keys", "steps", "code", "by", "told"),
    [
        ("", ['end = "bye"'], 1000, "agent", ""),
        ("", ['drop = "abort"'], 1006, "network", ""),
        (
            "",
            ['error = {code = "agent_failed", message = "m", fatal = true}', "drop = {code = 1011}"],
            1011,
            "error",
            "agent_failed: m",
        ),
        ('variables = ["x"]', [], 1008, "error", "missing_dynamic_variables: missing: x"),
        ("idle_seconds = 0.1", [], 1000, "idle", ""),
    ],
)
def test_the_services_ends_are_judged(keys: str, steps: list[str], code: int, by: str, told: str) -> None:
    async def test() -> None:
        text = f"[agents.a]\n{keys}\n" + "".join(f"[[agents.a.steps]]\n{step}\n" for step in steps)
        async with serving(text) as server, connected(server, version=VERSION) as shell:
            await shell.until(Opened)
            shell.line.start(metadata={}, now=shell.now)
            shell.flush()
            closed = await shell.until(Closed)
            assert (closed.code, closed.by, closed.expected) == (code, by, False)
            errors = [event for event in shell.events if isinstance(event, ErrorMessage)]
            assert [(event.message, event.fatal) for event in errors] == ([(told, True)] if told else [])

    run(test())


def test_a_refusal_is_told() -> None:
    async def test() -> None:
        async with serving("[agents.a]\n") as server, connected(server, "nobody", version=VERSION) as shell:
            response = await shell.until(HttpResponse)
            assert (response.status, json.loads(response.body)["message"]) == (404, "no such agent")
            assert (await shell.until(Closed)).by == "error"

    run(test())
