"""What the platform keeps of agents, calls, deployments and tokens, and the objects of Cartesia's API made of them.

Follows reference cartesia-protocols §4.2, §4.4 and §4.5; the words for a call's state depend on the version asked for.
Times are seconds since 1970 here and RFC 3339 there. Of what has no value yet, the API's object has null.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

Status = Literal["created", "started", "completed", "failed"]
DeploymentStatus = Literal["queued", "building", "build_error", "deployed", "deploy_error", "ready", "inactive"]

NEW_STATUSES: Final = "2026-03-01"
"""Since this version a call has an `end_reason` and other words for its state (§4.5)."""

AGENT_FIELDS: Final = (
    *("name", "description", "tts_voice", "tts_language", "webhook_id", "self_hosted_deployment_url"),
    *("llm_system_prompt", "llm_introduce"),
)
"""What may be changed of an agent (§4.2)."""


class AgentRow(NamedTuple):
    """An agent as the platform knows it; what it says and does is the script's or a program's."""

    id: str
    created_at: float
    updated_at: float
    deleted_at: float | None
    fields: dict[str, Any]
    """Of AGENT_FIELDS those that were set."""


class CallRow(NamedTuple):
    """A call without its transcript."""

    id: str
    """`ac_…`."""
    agent_id: str
    status: Status
    start_time: float | None = None
    end_time: float | None = None
    end_reason: str | None = None
    error_message: str | None = None
    deployment_id: str | None = None
    telephony: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    recorded: bool = False
    """There is a recording."""
    redacted_at: float | None = None
    deadline: float | None = None
    """Until when a `created` call has to start."""


class DeploymentRow(NamedTuple):
    """One start of an agent's program, or one address of it."""

    id: str
    """`ad_…`."""
    agent_id: str
    status: DeploymentStatus
    is_live: bool
    created_at: float
    updated_at: float
    message: str = ""
    """What went wrong."""


class Line(NamedTuple):
    """A line of log."""

    at: float
    text: str


class TokenRow(NamedTuple):
    """An access token, of which only the hash is kept."""

    hash: bytes
    """SHA-256."""
    expires_at: float
    grants: frozenset[str]
    """Of `agent`, `tts`, `stt`, `documents`."""
    agent_id: str | None = None
    """The only agent that it opens."""
    session: dict[str, Any] | None = None
    """`dynamic_variables` and `config_overrides` of the one call that it opens (§2.1)."""
    used: bool = False
    """That call was made."""


def rfc3339(at: float | None) -> str | None:
    """`2026-04-16T01:08:37.413659Z`; None stays None."""
    if at is None:
        return None
    seconds, micros = divmod(round(at * 1_000_000), 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06d}Z"


def agent_object(agent: AgentRow, deployments: int) -> dict[str, Any]:
    """AgentSummary (§4.2)."""
    return {
        "id": agent.id,
        "name": agent.fields.get("name") or agent.id,
        "description": agent.fields.get("description"),
        "created_at": rfc3339(agent.created_at),
        "updated_at": rfc3339(agent.updated_at),
        "deleted_at": rfc3339(agent.deleted_at),
        **{name: agent.fields.get(name) for name in AGENT_FIELDS[2:]},
        "background_sound_file_id": None,
        "background_sound_volume": None,
        "git_repository": None,
        "git_deploy_branch": None,
        "phone_numbers": [],
        "has_text_to_agent_run": False,
        "deployment_count": deployments,
    }


def call_object(
    call: CallRow, agent_name: str, transcript: list[dict[str, Any]] | None = None, version: str = NEW_STATUSES
) -> dict[str, Any]:
    """A call (§4.5), with its transcript when one is given."""
    told: dict[str, Any] = {
        "id": call.id,
        "agent_id": call.agent_id,
        "agent_name": agent_name,
        "status": call.status,
        "start_time": rfc3339(call.start_time),
        "end_time": rfc3339(call.end_time),
        "end_reason": call.end_reason,
        "error_message": call.error_message,
        "telephony_params": call.telephony,
        "metadata": call.metadata,
        "summary": None,
        "deployment_id": call.deployment_id,
        "redacted_at": rfc3339(call.redacted_at),
        "zdr_enabled": False,
    }
    if version < NEW_STATUSES:
        told["status"] = _old_status(call)
        del told["end_reason"]
    if transcript is not None:
        told["transcript"] = transcript
    return told


def _old_status(call: CallRow) -> str:
    if call.status in ("created", "started"):
        return "active"
    return "cancelled" if call.end_reason == "api_cancelled" else call.status


def deployment_object(deployment: DeploymentRow) -> dict[str, Any]:
    """A deployment (§4.4)."""
    return {
        "id": deployment.id,
        "agent_id": deployment.agent_id,
        "status": deployment.status,
        "is_live": deployment.is_live,
        "is_pinned": False,
        "created_at": rfc3339(deployment.created_at),
        "updated_at": rfc3339(deployment.updated_at),
        "error_message": deployment.message or None,
    }


def telephony(metadata: Mapping[str, Any], direction: str, stream_id: str) -> dict[str, Any]:
    """`telephony_params` of a call that came by a WebSocket."""
    return {
        "to": str(metadata.get("to", ""))[:256],
        "from": str(metadata.get("from", ""))[:256],
        "call_sid": stream_id,
        "direction": direction,
        "connection_type": "websocket",
    }
