"""REST of calls and of the knowledge base (reference cartesia-protocols §4.5, §3.8)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from cordboard.line.platform.requests import ApiError, shown
from cordboard.line.platform.rest_agents import line_object
from cordboard.line.platform.service import Platform
from cordboard.line.platform.values import CallRow, call_object

MAX_PAGE: Final = 100
DEFAULT_PAGE: Final = 10
MAX_QUERY: Final = 4000
"""Characters of a question to the knowledge base."""

LIST_FIELDS: Final = {"agent_id", "expand", "starting_after", "ending_before", "limit"}
_ALWAYS: Final = {"cartesia_version", "api_key", "access_token"}


class CallRoutes:
    """Endpoints, see `rest`."""

    async def list(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/calls`: the newest first; `next_page` is for `starting_after`, or, with `ending_before`, for
        that."""
        query = request.query_params
        if unknown := sorted(set(query) - LIST_FIELDS - _ALWAYS):
            raise ApiError(422, "invalid_field", f"{unknown[0][:80]}: is not known")
        agent_id = query.get("agent_id")
        if not agent_id:
            raise ApiError(422, "invalid_field", "agent_id: is missing")
        expand = query.get("expand")
        if expand not in (None, "", "transcript"):
            raise ApiError(422, "invalid_field", "expand: only transcript can be expanded")
        after, before = query.get("starting_after") or None, query.get("ending_before") or None
        if after and before:
            raise ApiError(422, "invalid_field", "ending_before: not together with starting_after")
        try:
            rows, more = await platform.calls.page(agent_id, _limit(query.get("limit")), after, before)
        except KeyError:
            name = "starting_after" if after else "ending_before"
            raise ApiError(422, "invalid_field", f"{name}: is no call of this agent") from None
        if not rows and platform.agents.get(agent_id) is None:
            raise ApiError(404, "agent_not_found", "no such agent")
        data = [await _call(platform, row, version, transcript=expand == "transcript") for row in rows]
        following = (rows[0] if before else rows[-1]).id if more else None
        return JSONResponse({"data": data, "has_more": more, "next_page": following})

    async def get(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/calls/{call_id}`."""
        return JSONResponse(await _call(platform, await _row(platform, request), version, transcript=True))

    async def audio(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/calls/{call_id}/audio`: WAV, left the caller, right the agent."""
        row = await _row(platform, request)
        path = platform.calls.recording(row)
        if path is None or not await asyncio.to_thread(path.is_file):
            raise ApiError(404, "recording_not_found", f"the call has no recording{_why(platform, row)}")
        return FileResponse(path, media_type="audio/wav", filename=f"{row.id}.wav")

    async def logs(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/calls/{call_id}/logs`: of the call, and what its agent's program printed meanwhile."""
        lines = await platform.calls.log_lines(await _row(platform, request))
        return JSONResponse({"data": [line_object(line) | {"source": source} for line, source in lines]})

    async def cancel(self, platform: Platform, request: Request, version: str) -> Response:
        """`POST /agents/calls/{call_id}/cancel`: only a call that has started can be ended."""
        row = await _row(platform, request)
        if not await platform.calls.cancel(row.id):
            raise ApiError(409, "call_not_started", f"the call is {row.status}; only a started call can be cancelled")
        return JSONResponse(await _call(platform, await _row(platform, request), version, transcript=False))

    async def delete(self, platform: Platform, request: Request, version: str) -> Response:
        """`DELETE /agents/calls/{call_id}`: id, times and end reason stay."""
        row = await _row(platform, request)
        if row.status in ("created", "started"):
            raise ApiError(409, "call_not_ended", "the call is not over")
        await platform.calls.redact(row.id)
        return JSONResponse(await _call(platform, await _row(platform, request), version, transcript=True))

    async def knowledge(self, platform: Platform, request: Request, version: str) -> Response:
        """`GET /agents/{agent_id}/documents/query`, for agent programs; it names no version."""
        if platform.knowledge is None:
            raise ApiError(501, "not_supported", "the stand-in has no knowledge base; --knowledge DIR gives it one")
        await platform.gate.need_grant(shown(request).first, "documents", request.path_params["agent_id"])
        query = request.query_params
        try:
            top = int(query.get("top_k", "5"))
            filters = json.loads(query.get("filters") or "null")
        except (ValueError, RecursionError):
            raise ApiError(422, "invalid_field", "top_k or filters: cannot be read") from None
        text = query.get("query", "")
        if not text or len(text) > MAX_QUERY:
            raise ApiError(422, "invalid_field", f"query: must have 1 to {MAX_QUERY} characters")
        if top < 1 or not isinstance(filters, dict | None):
            raise ApiError(422, "invalid_field", "top_k must be 1 or more, filters an object")
        try:
            found = await asyncio.to_thread(platform.knowledge.query, text, top, filters)
        except ValueError as exc:
            raise ApiError(422, "invalid_field", str(exc)) from None
        return JSONResponse({"results": [{"content": content} for content in found]})


async def _row(platform: Platform, request: Request) -> CallRow:
    row = await platform.calls.call(request.path_params["call_id"])
    if row is None:
        raise ApiError(404, "call_not_found", "no such call")
    return row


async def _call(platform: Platform, row: CallRow, version: str, *, transcript: bool) -> dict[str, Any]:
    entries = await platform.calls.transcript(row.id) if transcript else None
    return call_object(row, platform.agents.name(row.agent_id), entries, version)


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT_PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_PAGE:
        raise ApiError(422, "invalid_field", f"limit: is not a number between 1 and {MAX_PAGE}")
    return int(text)


def _why(platform: Platform, row: CallRow) -> str:
    if row.redacted_at is not None:
        return ": it is redacted"
    if platform.options.folder is None:
        return ": the stand-in keeps none without --data-dir"
    return " yet" if row.end_time is None else ""
