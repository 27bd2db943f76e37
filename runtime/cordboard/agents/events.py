"""What an agent connection reports to the engine.

Follows the server messages of the Line socket (reference cartesia-protocols §1.3), those of the Managed one (§2.3)
under the same names, and the close rules (§1.6).
`data` is always the decoded message as it came, unknown fields included, because handlers see the provider's payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]
"""A decoded JSON object."""

Role = Literal["user", "assistant"]
CloseBy = Literal["us", "agent", "idle", "error", "network"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The WebSocket handshake is done; `start` may be sent."""

    web_socket_id: str
    """Identifier of this socket, made here, unique per connection."""
    status: int
    """HTTP status of the handshake, always 101."""
    headers: Mapping[str, str]
    """Response headers, names in lower case, repeated ones joined by a comma."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The service refused the handshake; `Closed` follows."""

    status: int
    """HTTP status, such as 401."""
    headers: Mapping[str, str]
    """Response headers, names in lower case."""
    body: str
    """Start of the response's body, the API key masked."""


@dataclass(frozen=True, slots=True)
class Acked:
    """The service accepted `start`; audio may flow."""

    data: Json
    """The message: on Line the effective `config` and `agent`, on Managed `agent_id`, `agent_version_id`, `audio`."""
    call_id: str
    """The service's id of the call (`ac_…`); empty when not given."""
    stream_id: str
    """Identifier that later messages carry; empty when not given, and always on Managed."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio spoken by the agent."""

    payload: bytes
    """Raw samples in the connection's input format, whole samples only, never empty."""


@dataclass(frozen=True, slots=True)
class Clear:
    """The agent was interrupted: audio not yet played is void."""

    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The agent wants a tone sent to the far end."""

    digit: str
    """One of 0-9, * and #."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class Custom:
    """The agent's code sent an object of its own."""

    metadata: Json
    """That object."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The agent asks for a transfer, which only the client of this socket can perform."""

    number: str
    """Phone number or `sip:` URI."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent calls a client tool (Managed alone); `tool_result` answers it."""

    id: str
    """The service's id of this call of the tool, 1 to 256 characters; the result repeats it."""
    name: str
    """The tool's name, not empty."""
    parameters: Json
    """Its arguments, not checked against any schema."""
    expects_response: bool
    """False when the agent goes on without a result, and would ignore one."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn began."""

    id: str
    """Turn id; empty when not given."""
    role: Role
    """Who speaks."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the agent's text, as it is spoken."""

    text: str
    """To be appended as it is, spaces included."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn is over."""

    id: str
    """Turn id; empty when not given."""
    role: Role
    """Who spoke."""
    text: str
    """What was said, as far as the service knows."""
    interrupted: bool
    """True when the other side cut it short."""
    data: Json
    """The message, `tool_calls` included."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message that this wire's documents do not name, or one that came before the ack."""

    event: str
    """Its `event` field; empty when it has none."""
    data: Json
    """The message."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """The service reported an error, or sent something that cannot be understood."""

    message: str
    """What is wrong, at most `json_messages.MAX_ERROR_TEXT` characters."""
    fatal: bool
    """True for an error that the call does not survive: `Closed` follows by itself."""
    data: Json
    """The message; empty when it was not a JSON object."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over. Exactly one per connection, always the last event."""

    code: int
    """WebSocket close code: the peer's, else ours, else 1006."""
    reason: str
    """The peer's reason, else why the connection ended, in words."""
    by: CloseBy
    """Who or what ended it."""
    expected: bool
    """True only when we asked for the close."""


AgentEvent = (
    Opened
    | HttpResponse
    | Acked
    | Audio
    | Clear
    | Dtmf
    | Custom
    | Transfer
    | ToolCall
    | TurnStarted
    | TextDelta
    | TurnEnded
    | Unknown
    | ErrorMessage
    | Closed
)
