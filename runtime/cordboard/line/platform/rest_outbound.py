"""REST of outbound calls, in both forms (reference cartesia-protocols §4.5).

The stand-in has no telephone lines: each call is asked for at one address, by a POST of `{agent_id, agent_call_id, to,
from_number_id, ringing_timeout_seconds, metadata}`. Whoever answers 2xx dials, and when the far end answers opens the
agent's socket with `agent_call_id` in `metadata` of `start`: the call then has that id. Until then it is `created`.
Without an address each number has an `error`, as the documents allow.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cordboard.line.platform.requests import ApiError, Body, body_of
from cordboard.line.platform.rest_agents import MAX_NAME
from cordboard.line.platform.service import Platform
from cordboard.line.tool import post_json

MAX_NUMBERS: Final = 50
"""Numbers of one request."""

AT_ONCE: Final = 5
"""Numbers that are asked for at once."""

RINGING: Final = (30.0, 1.0, 300.0)
"""Seconds until an outbound call has to be answered: by default, least, most."""

NO_TELEPHONY: Final = "no telephony: the stand-in was started without --outbound"

_NUMBER = re.compile(r"\+?[0-9*#]{2,32}|sips?:[\x21-\x7e]{3,250}")


class OutboundRoutes:
    """Endpoints, see `rest`."""

    async def newer(self, platform: Platform, request: Request, version: str) -> Response:
        """`POST /agents/calls`, since 2026-03-01."""
        body = await body_of(request)
        agent_id = _agent(platform, body)
        from_number_id = body.text("from_number_id", MAX_NAME)
        seconds = body.number("ringing_timeout_seconds", *RINGING)
        wanted = [_call(body, at, item) for at, item in enumerate(body.items("outbound_calls", MAX_NUMBERS))]
        body.done(("agent_id", "from_number_id", "ringing_timeout_seconds", "outbound_calls"))
        common = {"agent_id": agent_id, "from_number_id": from_number_id, "ringing_timeout_seconds": seconds}
        return JSONResponse({"calls": await _dial_all(platform, common, wanted)})

    async def older(self, platform: Platform, request: Request, version: str) -> Response:
        """`POST /twilio/call/outbound`, of 2025-04-16."""
        body = await body_of(request)
        agent_id = _agent(platform, body)
        metadata = body.mapping("metadata")
        wanted = [
            (_number(body, f"target_numbers[{at}]", item), metadata)
            for at, item in enumerate(body.items("target_numbers", MAX_NUMBERS))
        ]
        body.done(("agent_id", "target_numbers", "metadata"))
        common = {"agent_id": agent_id, "from_number_id": None, "ringing_timeout_seconds": RINGING[0]}
        return JSONResponse({"calls": await _dial_all(platform, common, wanted)})


def _agent(platform: Platform, body: Body) -> str:
    agent_id: str = body.need("agent_id", body.text("agent_id", MAX_NAME))
    if platform.agents.get(agent_id) is None:
        raise ApiError(404, "agent_not_found", "agent_id: no such agent")
    return agent_id


def _call(body: Body, at: int, item: object) -> tuple[str, dict[str, Any]]:
    if not isinstance(item, dict):
        raise body.fault(f"outbound_calls[{at}]", "is not an object")
    call = Body(f"outbound_calls[{at}].", item)
    number = _number(call, "to_number", call.text("to_number", MAX_NAME))
    metadata = {**call.mapping("dynamic_variables"), **call.mapping("metadata")}
    call.done(("to_number", "metadata", "dynamic_variables"))
    return number, metadata


def _number(body: Body, name: str, value: object) -> str:
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        raise body.fault(name, "is not a telephone number")
    return value


async def _dial_all(
    platform: Platform, common: dict[str, Any], wanted: list[tuple[str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def dial(number: str, metadata: dict[str, Any]) -> dict[str, Any]:
        async with gate:
            return {"number": number, **await _dial(platform, common, number, metadata)}

    return list(await asyncio.gather(*(dial(*call) for call in wanted)))


async def _dial(platform: Platform, common: dict[str, Any], number: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Ask for one call; its `agent_call_id`, or why there is none."""
    url = platform.options.outbound
    if url is None:
        return {"error": NO_TELEPHONY}
    call_id = f"ac_{secrets.token_hex(8)}"
    parties = {"to": number, "from": common["from_number_id"], "direction": "outbound", "connection_type": "websocket"}
    try:
        platform.calls.create(common["agent_id"], call_id, parties, metadata)
    except OverflowError as exc:
        return {"error": str(exc)}
    told = {**common, "agent_call_id": call_id, "to": number, "metadata": {**metadata, "agent_call_id": call_id}}
    result = await post_json(url, told)
    if result.error or not 200 <= result.status < 300:
        why = result.error or f"status {result.status}"
        platform.calls.not_dialled(call_id, "dial_failed", f"the telephony side refuses: {why}")
        return {"error": f"the telephony side refuses: {why}"}
    platform.calls.dialling(call_id, common["ringing_timeout_seconds"])
    return {"agent_call_id": call_id}
