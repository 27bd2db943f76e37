"""The sample that thinks with a language model: real LiteLLM and `LlmAgent`, a model of this test's own.

The tools that the model calls are those of the helper for agents, in a real agent process.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.agent_tools.control_server import control

from ..line_peer import calling
from .model_server import Reply, model
from .real_agent import ROOT, assistant, notes, program, run, speak

CONCIERGE = ROOT / "samples" / "agents" / "concierge" / "main.py"


def test_the_model_answers_by_tools_that_drive_the_call(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        replies: tuple[Reply, ...] = (
            ("opening_hours", {"place": "pool"}),
            "Eight.",
            ("send_dtmf", {"digits": "12#"}),
            "Done.",
            ("send_dtmf", {"digits": "call me"}),
            "No.",
            ("call_transfer", {"to": "sales"}),
            "Wait.",
            ("end_call", {}),
            "Bye.",
        )
        words = ("when is the pool open", "press one two hash", "press call me", "sales please", "goodbye")
        with control() as scenario:
            async with model(*replies, "Hello.") as server:
                monkeypatch.setenv("CONCIERGE_MODEL", "openai/any")
                monkeypatch.setenv("CONCIERGE_API_KEY", "sk-test")
                monkeypatch.setenv("CONCIERGE_API_BASE", server.url)
                async with program(CONCIERGE, python, *words) as stand_in:
                    async with calling(stand_in) as peer:
                        await peer.start(
                            metadata={"vox_session_control_url": scenario.url}, agent={"introduction": "Hi."}
                        )
                        said = [(await assistant(peer))["text"]]
                        for _ in words:
                            await speak(peer)
                            said.append((await assistant(peer))["text"])
                    async with calling(stand_in) as peer:  # another call, without a control URL
                        await peer.start(agent={"introduction": "", "system_prompt": "Be brief."})
                        await peer.until("ack")
                        await speak(peer)
                        assert (await assistant(peer))["text"] == "Hello."
                assert said == [
                    "Hi.",
                    *(reply for reply in replies if isinstance(reply, str)),
                ]
        assert scenario.bodies == [
            {"action": "send_dtmf", "digits": "12#"},
            {"action": "call_transfer", "to": "sales"},
            {"action": "end_call"},
        ]
        results = [(note["name"], note["result"]) for note in notes(stand_in, "tool_call") if note["result"]]
        assert results == [
            ("opening_hours", "eight to nine in the evening"),
            ("send_dtmf", '{"ok": true}'),
            ("send_dtmf", "error: digits must be 1 to 64 of 0-9, * and #"),
            ("call_transfer", '{"ok": true}'),
            ("end_call", '{"ok": true}'),
        ]
        offered = {tool["function"]["name"]: tool["function"] for tool in server.requests[0]["tools"]}
        assert list(offered) == ["opening_hours", "end_call", "call_transfer", "send_dtmf"]
        digits: dict[str, Any] = offered["send_dtmf"]["parameters"]["properties"]["digits"]
        assert digits == {"type": "string", "description": "of 0-9, * and #"}
        assert set(server.keys) == {"bearer sk-test"}
        assert "s3cret" not in str(server.requests), "the model must not read the control URL"

        last = server.requests[-1]
        assert [tool["function"]["name"] for tool in last["tools"]] == ["opening_hours"]
        assert last["messages"][0] == {"role": "system", "content": "Be brief."}

    run(test())


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "concierge: set CONCIERGE_MODEL to a model that LiteLLM knows, such as gpt-4o-mini"),
        ({"CONCIERGE_MODEL": "anthropic/x"}, "no key for anthropic/x: set CONCIERGE_API_KEY or ANTHROPIC_API_KEY"),
    ],
)
def test_it_refuses_to_start_without_a_model_or_a_key(
    python: Path, environment: dict[str, str], complaint: str
) -> None:
    path = {"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [python, str(CONCIERGE)], env=path | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith(complaint)
