"""Events that no wire message makes, in a real program with an `LlmAgent`: a handoff, and the agent's own digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..line_peer import calling
from .model_server import model
from .real_agent import assistant, notes, program, run, speak

PROGRAM = '''
import os
from line import *
from line.llm_agent import LlmAgent, LlmConfig, handoff_tool, send_dtmf

@handoff_tool
async def to_billing(ctx, event):
    """Hand over to billing."""
    if isinstance(event, AgentHandedOff):
        yield LogMessage(name="seen", level="info", message=event.history[-1].type)
        yield AgentSendText(text="Billing here.")
    elif isinstance(event, UserTurnEnded):
        yield LogMessage(name="history", level="info", message=",".join(e.type for e in agent.history))
        yield AgentSendText(text="Billing again.")

async def get_agent(env, request):
    global agent
    config = LlmConfig(introduction="Hello.", extra={"api_base": os.environ["API_BASE"]})
    agent = LlmAgent(model="openai/any", api_key="sk", tools=[to_billing, send_dtmf], config=config, backend="http")
    return agent

VoiceAgentApp(get_agent).run()
'''


def test_a_handoff_and_own_digits_reach_the_caller(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)

    async def test() -> None:
        async with model(("send_dtmf", {"button": "5"}), ("to_billing", {})) as server:
            monkeypatch.setenv("API_BASE", server.url)
            words = ("five", "my bill", "hello")
            async with program(tmp_path / "main.py", python, *words) as stand_in, calling(stand_in) as peer:
                await peer.start()
                assert (await assistant(peer))["text"] == "Hello."
                await speak(peer)
                assert (await peer.until("dtmf"))[0]["dtmf"] == "5"
                await speak(peer)
                assert (await assistant(peer))["text"] == "Billing here."
                await speak(peer)
                assert (await assistant(peer))["text"] == "Billing again."
        logged = {note["event"]: note["metadata"]["message"] for note in notes(stand_in, "log_event")}
        assert logged["seen"] == "agent_handed_off"
        kinds = logged["history"].split(",")
        assert {"agent_handed_off", "agent_tool_called", "agent_tool_returned"} <= set(kinds)
        assert "agent_dtmf_sent" not in kinds, "until an SDK takes it from the wire, its own digits are dropped"
        results = [(note["name"], note["result"]) for note in notes(stand_in, "tool_call")]
        assert results[-2:] == [("to_billing", None), ("to_billing", "success")]

    run(test())
