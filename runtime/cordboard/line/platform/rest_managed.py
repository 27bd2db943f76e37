"""REST of Managed agents: their short form, and browser sessions (reference cartesia-protocols §2.1, §2.5).

An agent is the same by both paths; its `instructions` are kept and followed by nobody, because there is no model.
The answer to a new session is not documented: it is that of `POST /access-token`, with the time of its end.
"""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cordboard.line.platform.requests import ApiError, Body, body_of
from cordboard.line.platform.rest_agents import MAX_NAME, MAX_PROMPT, agent_of
from cordboard.line.platform.service import Platform
from cordboard.line.platform.values import AgentRow, rfc3339
from cordboard.line.wire import WireFault
from cordboard.line.wire_managed import check_variables

SESSION_LIFE: Final = 600.0
"""Seconds in which a session's one call has to begin."""

OVERRIDES: Final = ("instructions", "initial_message", "language", "audio")
CONFIG: Final = ("instructions", "initial_message", "language", "audio")


class ManagedRoutes:
    """Endpoints, see `rest`."""

    async def list(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /v1/agents`."""
        return JSONResponse({"data": [_object(row) for row in platform.agents], "has_more": False})

    async def create(self, platform: Platform, request: Request, version: str) -> Response:
        """`POST /v1/agents`."""
        fields = _fields(await body_of(request))
        if not fields.get("name"):
            raise ApiError(422, "invalid_field", "name: is missing")
        return JSONResponse(_object(platform.agents.create(fields)), 201)

    async def models(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /v1/agents/models`: there are none."""
        return JSONResponse({"data": []})

    async def get(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /v1/agents/{agent_id}`."""
        return JSONResponse(_object(agent_of(platform, request)))

    async def patch(self, platform: Platform, request: Request, version: str) -> Response:
        """`PATCH /v1/agents/{agent_id}`."""
        row = agent_of(platform, request)
        return JSONResponse(_object(platform.agents.change(row.id, _fields(await body_of(request)))))

    async def session(self, platform: Platform, request: Request, version: str) -> Response:
        """`POST /v1/agents/websocket/{agent_id}/sessions`: a token for one call from a browser."""
        row = agent_of(platform, request)
        body = await body_of(request)
        variables = body.mapping("dynamic_variables")
        try:
            check_variables(variables)
        except WireFault as exc:
            raise ApiError(422, exc.code, str(exc)) from None
        overrides = body.object("config_overrides")
        session = {"dynamic_variables": variables, "config_overrides": _config(overrides)}
        overrides.done(OVERRIDES)
        body.done(("dynamic_variables", "config_overrides"))
        expires_at = time.time() + SESSION_LIFE
        token = await platform.gate.mint(["agent"], SESSION_LIFE, agent_id=row.id, session=session)
        return JSONResponse({"token": token, "expires_at": rfc3339(expires_at)}, 201)


def _config(body: Body) -> dict[str, Any]:
    """Fields of an agent in a configuration, by the names of `values.AGENT_FIELDS`."""
    found: dict[str, Any] = {}
    for name, field in (("instructions", "llm_system_prompt"), ("initial_message", "llm_introduce")):
        if name in body:
            found[field] = body.text(name, MAX_PROMPT)
    if "language" in body:
        found["tts_language"] = _language(body)
    if "audio" in body:
        audio = body.object("audio")
        output = audio.object("output")
        audio.done(("output",))
        if "voice_id" in output:
            found["tts_voice"] = output.text("voice_id", MAX_NAME)
        output.number("speed", 1.0, 0.6, 1.5)  # local speech has one
        output.done(("voice_id", "speed"))
    return found


def _language(body: Body) -> str | None:
    """`{"primary": "en"}` of an agent, `"en"` of a session."""
    if body.is_text("language"):
        return body.text("language", MAX_NAME)
    language = body.object("language")
    primary: str | None = language.text("primary", MAX_NAME)
    language.done(("primary",))
    return primary


def _fields(body: Body) -> dict[str, Any]:
    fields = {name: body.text(name, MAX_PROMPT) for name in ("name", "description") if name in body}
    config = body.object("config")
    fields |= _config(config)
    config.done(CONFIG)
    body.done(("name", "description", "config"))
    return fields


def _object(row: AgentRow) -> dict[str, Any]:
    fields = row.fields
    return {
        "id": row.id,
        "name": fields.get("name") or row.id,
        "description": fields.get("description"),
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
        "config": {
            "instructions": fields.get("llm_system_prompt"),
            "initial_message": fields.get("llm_introduce"),
            "language": {"primary": fields.get("tts_language")},
            "audio": {"output": {"voice_id": fields.get("tts_voice")}},
        },
    }
