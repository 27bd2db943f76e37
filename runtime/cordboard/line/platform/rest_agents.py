"""REST of access tokens, agents and deployments (reference cartesia-protocols §4.1-§4.4)."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cordboard.line.harness.program import AgentUrl
from cordboard.line.platform.agents import URL
from cordboard.line.platform.gate import MAX_LIFE
from cordboard.line.platform.requests import ApiError, Body, body_of
from cordboard.line.platform.service import Platform
from cordboard.line.platform.values import (
    AGENT_FIELDS,
    AgentRow,
    Line,
    agent_object,
    deployment_object,
    rfc3339,
)

GRANTS: Final = ("agent", "tts", "stt")
DEFAULT_LIFE: Final = 60
"""Seconds of a token for which no `expires_in` is asked."""

MAX_NAME: Final = 256
"""Characters of names, ids and addresses."""

MAX_PROMPT: Final = 32_000
"""Characters of a prompt or an introduction: what a body of 64 KB can bring."""


class AgentRoutes:
    """Endpoints, see `rest`."""

    async def mint(self, platform: Platform, request: Request, version: str) -> Response:
        """`POST /access-token`."""
        body = await body_of(request)
        wanted = body.object("grants")
        grants = [grant for grant in GRANTS if wanted.flag(grant)]
        wanted.done(GRANTS)
        life = body.number("expires_in", DEFAULT_LIFE, 1, MAX_LIFE)
        body.done(("grants", "expires_in"))
        if not grants:
            raise body.fault("grants", f"at least one of {', '.join(GRANTS)} must be true")
        return JSONResponse({"token": await platform.gate.mint(grants, life)})

    async def list(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents`."""
        return JSONResponse({"summaries": [await _summary(platform, row) for row in platform.agents]})

    async def templates(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/templates`: there are none."""
        return JSONResponse({"templates": []})

    async def get(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/{agent_id}`."""
        return JSONResponse(await _summary(platform, agent_of(platform, request)))

    async def patch(self, platform: Platform, request: Request, version: str) -> Response:
        """`PATCH /agents/{agent_id}`."""
        row = agent_of(platform, request)
        changes = _changes(platform, await body_of(request))
        return JSONResponse(await _summary(platform, platform.agents.change(row.id, changes)))

    async def delete(self, platform: Platform, request: Request, version: str) -> Response:
        """`DELETE /agents/{agent_id}`."""
        platform.agents.delete(agent_of(platform, request).id)
        return Response(status_code=204)

    async def deployments(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/{agent_id}/deployments`, the newest first."""
        rows = await platform.deployments.of_agent(agent_of(platform, request).id)
        return JSONResponse([deployment_object(row) for row in rows])

    async def deployment(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/deployments/{deployment_id}`."""
        row = await platform.deployments.get(request.path_params["deployment_id"])
        if row is None:
            raise ApiError(404, "deployment_not_found", "no such deployment")
        return JSONResponse(deployment_object(row))

    async def deployment_logs(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/deployments/{deployment_id}/logs`: what the program printed, the oldest first."""
        row = await platform.deployments.get(request.path_params["deployment_id"])
        if row is None:
            raise ApiError(404, "deployment_not_found", "no such deployment")
        lines = await platform.deployments.lines(row.id)
        return JSONResponse({"data": [line_object(line) for line in lines]})


def agent_of(platform: Platform, request: Request) -> AgentRow:
    """The agent in a request's path; raises ApiError."""
    row = platform.agents.get(request.path_params["agent_id"])
    if row is None:
        raise ApiError(404, "agent_not_found", "no such agent")
    return row


def line_object(line: Line) -> dict[str, Any]:
    """A line of log."""
    return {"timestamp": rfc3339(line.at), "message": line.text}


async def _summary(platform: Platform, row: AgentRow) -> dict[str, Any]:
    told = agent_object(row, len(await platform.deployments.of_agent(row.id)))
    return told | {"webhook_id": platform.agents.webhook_of(row)}


def _changes(platform: Platform, body: Body) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in AGENT_FIELDS:
        if name in body:
            changes[name] = body.text(
                name, MAX_PROMPT if name.startswith("llm_") or name == "description" else MAX_NAME
            )
    body.done(AGENT_FIELDS)
    if changes.get("webhook_id") not in (None, platform.agents.webhook_id):
        raise body.fault("webhook_id", "no such webhook")
    if changes.get(URL):
        changes[URL] = _host(body, changes[URL])
    return changes


def _host(body: Body, text: str) -> str:
    """An address as the service keeps it, without https; http is kept, for a program on this machine."""
    url = text if "://" in text else f"https://{text}"
    try:
        host = AgentUrl(url)
    except ValueError as exc:
        raise body.fault(URL, str(exc)) from None
    return host.url.removeprefix("https://")
