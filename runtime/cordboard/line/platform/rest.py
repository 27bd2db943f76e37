"""The platform's REST, on the port of the sockets: routes, who may use them, and what a failure looks like.

Follows reference cartesia-protocols §2.5, §3.8 and §4. Left out, and answered with 501: metrics that a model evaluates,
webhooks over REST, phone numbers and their providers, templates' contents.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cordboard.line.platform import requests
from cordboard.line.platform.gate import Denied
from cordboard.line.platform.requests import ApiError, error_response
from cordboard.line.platform.rest_agents import AgentRoutes
from cordboard.line.platform.rest_calls import CallRoutes
from cordboard.line.platform.rest_managed import ManagedRoutes
from cordboard.line.platform.rest_outbound import OutboundRoutes
from cordboard.line.platform.service import Platform
from cordboard.line.platform.store import StoreFull

Endpoint = Callable[[Platform, Request, str], Awaitable[Response]]
"""Answers a request of a version, whose credentials are good. May raise ApiError, Denied or StoreFull."""

NOT_SUPPORTED: Final = (
    *("/agents/metrics", "/agents/metrics/{rest:path}", "/agents/{agent_id}/metrics/{metric_id}"),
    *("/agents/webhooks", "/agents/webhooks/{rest:path}"),
    *("/agents/phone-numbers", "/agents/phone-numbers/{rest:path}", "/agents/{agent_id}/phone-numbers"),
)

ANY: Final = ("GET", "POST", "PATCH", "DELETE")

log = logging.getLogger("cordboard.line")


class Rest:
    """The application. Its platform is there from `LineServer.start` to `close`; before, all is 503."""

    def __init__(self) -> None:
        self.platform: Platform | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        agents, calls, outbound, managed = AgentRoutes(), CallRoutes(), OutboundRoutes(), ManagedRoutes()
        key = self._with_key
        routes = [
            Route("/access-token", key(agents.mint), methods=["POST"]),
            Route("/agents", key(agents.list), methods=["GET"]),
            Route("/agents/templates", key(agents.templates), methods=["GET"]),
            Route("/agents/calls", key(calls.list), methods=["GET"]),
            Route("/agents/calls", key(outbound.newer), methods=["POST"]),
            Route("/twilio/call/outbound", key(outbound.older), methods=["POST"]),
            Route("/agents/calls/{call_id}", key(calls.get), methods=["GET"]),
            Route("/agents/calls/{call_id}", key(calls.delete), methods=["DELETE"]),
            Route("/agents/calls/{call_id}/audio", key(calls.audio), methods=["GET"]),
            Route("/agents/calls/{call_id}/logs", key(calls.logs), methods=["GET"]),
            Route("/agents/calls/{call_id}/cancel", key(calls.cancel), methods=["POST"]),
            Route("/agents/deployments/{deployment_id}", key(agents.deployment), methods=["GET"]),
            Route("/agents/deployments/{deployment_id}/logs", key(agents.deployment_logs), methods=["GET"]),
            *(Route(path, key(_not_supported), methods=ANY) for path in NOT_SUPPORTED),
            Route("/agents/{agent_id}", key(agents.get), methods=["GET"]),
            Route("/agents/{agent_id}", key(agents.patch), methods=["PATCH"]),
            Route("/agents/{agent_id}", key(agents.delete), methods=["DELETE"]),
            Route("/agents/{agent_id}/deployments", key(agents.deployments), methods=["GET"]),
            Route("/agents/{agent_id}/documents/query", self._with(calls.knowledge), methods=["GET"]),
            Route("/v1/agents", key(managed.list), methods=["GET"]),
            Route("/v1/agents", key(managed.create), methods=["POST"]),
            Route("/v1/agents/models", key(managed.models), methods=["GET"]),
            Route("/v1/agents/{agent_id}", key(managed.get), methods=["GET"]),
            Route("/v1/agents/{agent_id}", key(managed.patch), methods=["PATCH"]),
            Route("/v1/agents/websocket/{agent_id}/sessions", key(managed.session), methods=["POST"]),
            *(
                Route(path, _upgrade, methods=["GET"])
                for path in ("/agents/stream/{agent_id}", "/v1/agents/websocket/{agent_id}")
            ),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})

    def _with_key(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Let an API key of any version pass."""

        async def checked(platform: Platform, request: Request, _: str) -> Response:
            version = requests.version_of(request)
            await platform.gate.need_key(requests.shown(request))
            return await endpoint(platform, request, version)

        return self._with(checked)

    def _with(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Make errors out of what is raised."""

        async def answer(request: Request) -> Response:
            if self.platform is None:
                return error_response(503, "starting", "the stand-in starts or stops")
            try:
                return await endpoint(self.platform, request, "")
            except (ApiError, Denied) as exc:
                return error_response(exc.status, exc.code, str(exc))
            except StoreFull as exc:
                return error_response(429, "limit_reached", str(exc))
            except Exception:
                log.exception("a request failed: %s %s", request.method, request.scope["route"].path)
                return error_response(500, "internal_error", "the stand-in failed; its log says how")

        return answer


async def _not_supported(platform: Platform, request: Request, version: str) -> Response:
    raise ApiError(501, "not_supported", f"the stand-in does not serve {request.scope['route'].path}")


async def _upgrade(request: Request) -> Response:
    response = error_response(426, "upgrade_required", "this is a WebSocket")
    response.headers["Upgrade"] = "websocket"
    return response


async def _http_error(request: Request, exc: Any) -> JSONResponse:
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "error")
    response = error_response(exc.status_code, code, "no such path" if code == "not_found" else str(exc.detail))
    response.headers.update(exc.headers or {})
    return response
