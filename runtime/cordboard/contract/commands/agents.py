"""Agents and the answers to the tools that they call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..codec import DecodeError
from .wire import SecretReference, command

MAX_TOOL_RESULT = 4_096
"""Bytes of a tool's result as text (Cartesia's Managed wire; more becomes the error result_too_large there, too)."""

MAX_TOOL_CALL_ID = 256
"""Characters of the id of a tool's call (Cartesia's Managed wire)."""


@command("agent.create")
@dataclass(frozen=True, slots=True)
class AgentCreate:
    """Open the agent's socket; done when it is open (at most 5 s)."""

    api_key: SecretReference | str
    """Reference to the key, or the key."""
    agent_id: str
    """Agent's id at the provider."""
    version: str
    """cartesia_version: 2025-04-16 is Line."""
    base_url: str | None = None
    """Overrides [agents.cartesia].base_url."""
    privacy: bool = False
    """Texts and metadata are left out of the timeline."""


@command("agent.start")
@dataclass(frozen=True, slots=True)
class AgentStart:
    """Send start; done when acked (at most 10 s)."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Handed to the agent's code."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """input_format, voice_id and the like."""
    agent: Mapping[str, Any] = field(default_factory=dict)
    """system_prompt, introduction for this call."""


@command("agent.custom")
@dataclass(frozen=True, slots=True)
class AgentCustom:
    """A custom event to the agent."""

    metadata: Mapping[str, Any]
    """Any JSON object."""


@command("agent.tool_result")
@dataclass(frozen=True, slots=True)
class AgentToolResult:
    """The answer to an agent.tool_call; the target is the agent that called."""

    id: str
    """The service's id of the call, 1 to 256 characters."""
    result: str
    """JSON text of what the tool gave, at most 4,096 bytes; with is_error a plain text of what is wrong."""
    is_error: bool = False
    """The result says what is wrong."""
    error_type: str | None = None
    """A word for it: unknown_tool, invalid_arguments, tool_error, result_too_large."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.id) <= MAX_TOOL_CALL_ID:
            raise DecodeError("id", f"has {len(self.id)} characters, not 1 to {MAX_TOOL_CALL_ID}")
        try:
            size = len(self.result.encode())
        except UnicodeEncodeError:
            raise DecodeError("result", "holds half a surrogate pair") from None
        if size > MAX_TOOL_RESULT:
            raise DecodeError("result", f"has {size} bytes, more than {MAX_TOOL_RESULT}")
        if self.error_type is not None and not 1 <= len(self.error_type) <= 64:
            raise DecodeError("error_type", "has not 1 to 64 characters")


@command("agent.clear", "agent.close")
@dataclass(frozen=True, slots=True)
class AgentSimple:
    """Drop what is queued up to now, or close the socket and keep what was delivered."""


def is_tool_call_id(value: object) -> bool:
    """Whether a `custom` message's `id` may be returned with its result: a text like a client tool's, or a number."""
    if isinstance(value, str):
        return len(value) <= MAX_TOOL_CALL_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
