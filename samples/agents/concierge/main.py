"""The concierge of a small hotel: a `cartesia-line` agent that thinks with any language model that LiteLLM knows.

    CONCIERGE_MODEL=anthropic/claude-haiku-4-5-20251001 ANTHROPIC_API_KEY=… \\
        cordboard line --agent samples/agents/concierge/main.py

| variable | |
|---|---|
| `CONCIERGE_MODEL` | LiteLLM's name of it: `gpt-4o-mini`, `anthropic/…`, `openai/…` for any compatible server |
| `CONCIERGE_API_KEY` | its key; without, the provider's own variable, such as `OPENAI_API_KEY` |
| `CONCIERGE_API_BASE` | of a server of your own, such as `http://127.0.0.1:11434/v1` |

The model drives the phone call by the tools of `cordboard_agent_tools.py` (a link here; copy it beside your own), and
asks the call's scenario by nothing but them.
"""

import os
import sys
from typing import Annotated

from line.llm_agent import LlmAgent, LlmConfig, ToolEnv, loopback_tool

from cordboard_agent_tools import call_tools
from line import AgentEnv, AgentSpec, CallRequest, VoiceAgentApp

PROMPT = """You are the concierge of a small hotel, on the phone. Answer in one or two short spoken sentences.
Look up hours with the tool; never guess them. Before you transfer the caller or end the call, say so."""
INTRODUCTION = "Good evening, this is the concierge. What can I do for you?"
HOURS = {"breakfast": "seven to ten, in the garden room", "pool": "eight to nine in the evening", "bar": "from six"}


@loopback_tool
async def opening_hours(ctx: ToolEnv, place: Annotated[str, "breakfast, pool or bar"]) -> str:
    """Look up when something is open."""
    return HOURS.get(place.lower(), "there is no such place")


def provider_key(model: str) -> str:
    """Name of the variable in which LiteLLM expects the key of a model's provider."""
    provider = model.split("/", 1)[0].upper() if "/" in model else "OPENAI"
    return f"{provider}_API_KEY"


def settings() -> tuple[str, str, dict[str, str]]:
    """Return model, key, and what else LiteLLM is told; end the program when one is missing."""
    model = os.environ.get("CONCIERGE_MODEL", "").strip()
    if not model:
        sys.exit("concierge: set CONCIERGE_MODEL to a model that LiteLLM knows, such as gpt-4o-mini")
    key = os.environ.get("CONCIERGE_API_KEY", "") or os.environ.get(provider_key(model), "")
    if not key:
        sys.exit(f"concierge: no key for {model}: set CONCIERGE_API_KEY or {provider_key(model)}")
    base = os.environ.get("CONCIERGE_API_BASE", "").strip()
    return model, key, {"api_base": base} if base else {}


MODEL, KEY, EXTRA = settings()


async def get_agent(env: AgentEnv, request: CallRequest) -> AgentSpec:
    """Called by the SDK for each call. Without a control URL the model is offered no tool that drives the call."""
    config = LlmConfig.from_call_request(
        request, fallback_system_prompt=PROMPT, fallback_introduction=INTRODUCTION, extra=EXTRA
    )
    tools = [opening_hours, *call_tools(request)]
    return LlmAgent(model=MODEL, api_key=KEY, tools=tools, config=config, backend="http")


if __name__ == "__main__":
    VoiceAgentApp(get_agent).run()
