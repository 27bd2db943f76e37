"""The stand-in's listener: the handshakes of both agents' sockets on one port, and the calls behind them.

Follows reference cartesia-protocols §1.1, §1.6 and §2.1: `GET /agents/stream/{agent_id}` and
`GET /v1/agents/websocket/{agent_id}`. Leaves out everything of the service that is not these sockets: access tokens,
REST, webhooks, speech recognition.
"""

from __future__ import annotations

import logging
import random
import re
from collections import deque
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from cordboard.line.call import Call, Connection
from cordboard.line.front import Front
from cordboard.line.harness.call import Harness, HarnessCall
from cordboard.line.records import MAX_CALLS, CallRecord
from cordboard.line.script import Agent, Script
from cordboard.line.speech import Studio
from cordboard.line.webhooks.sender import Webhooks
from cordboard.line.wire import LineWire, Wire
from cordboard.line.wire_managed import ManagedWire

KNOWN_VERSIONS = {"agents/stream": ("2025-04-16", "2026-03-01"), "v1/agents/websocket": ("2026-08-14",)}
"""Versions with which each wire was documented (§6 of the reference)."""

MANAGED = "v1/agents/websocket"
"""Path of the Managed socket; the other is Line's."""

_ROUTE = re.compile(rf"/({'|'.join(map(re.escape, KNOWN_VERSIONS))})/([^/]+)")

log = logging.getLogger("cordboard.line")


class LineServer:
    """Serves the agents of a script until closed."""

    def __init__(
        self,
        script: Script,
        host: str = "127.0.0.1",
        port: int = 8090,
        *,
        seed: int | None = None,
        harnesses: Mapping[str, Harness] | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        """`port` 0 lets the system choose. `seed` makes the ids of calls repeatable. The agents in `harnesses` are real
        programs, whose hosts the caller starts and closes; the script tells the rest of each, or nothing. `webhooks`
        are told what happens to calls; the caller starts and closes them."""
        self._webhooks = webhooks
        self.calls: deque[CallRecord] = deque(maxlen=MAX_CALLS)
        self._harnesses = dict(harnesses or {})
        self._agents = {name: Agent(name) for name in self._harnesses} | dict(script.agents)
        self._host = host
        self._port = port
        self._rng = random.Random(seed)
        self._studio = Studio(script)
        self._front = Front(self._app(), self._check, self._serve)
        self._count = 0

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        return self._port if self._front.port is None else self._front.port

    @property
    def connections(self) -> set[Connection]:
        """Open sockets."""
        return self._front.sockets

    async def start(self) -> None:
        """Make all sounds, then listen. Raises OSError for a port in use, WavError or OSError for a bad sound file."""
        await self._studio.prepare()
        await self._front.start(self._host, self._port)
        log.info("listening on ws://%s:%s, agents: %s", self._host, self.port, ", ".join(self._agents))

    async def close(self) -> None:
        """Stop listening and end all calls with 1001; returns when nothing is left, in less than two seconds."""
        await self._front.close()

    def _app(self) -> Starlette:
        async def knowledge(_: HttpRequest) -> PlainTextResponse:
            return PlainTextResponse("the stand-in has no knowledge base\n", 501)

        return Starlette(routes=[Route("/agents/{agent_id}/documents/query", knowledge)])

    async def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Judge the handshake; None lets it pass."""
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        match = _ROUTE.fullmatch(path)
        name = unquote(match[2]) if match else ""
        agent = self._agents.get(name)
        if match is None:
            return _refuse(connection, 404, "no such path")
        managed = match[1] == MANAGED
        key = _managed_credential(request, query) if managed else _credential(request, query)
        version = query.get("cartesia_version", [""])[0] or _header(request, "Cartesia-Version")
        if not key:
            return _refuse(
                connection,
                401,
                f"no credentials: {'X-API-Key' if managed else 'Authorization: Bearer <access token>'} is needed",
            )
        if not version:
            return _refuse(connection, 400, "Cartesia-Version is missing")
        if agent is None:
            return _refuse(connection, 404, "no such agent")
        if agent.refuse:
            return _refuse(connection, agent.refuse, "refused by the script")
        if version not in KNOWN_VERSIONS[match[1]]:
            log.warning("handshake: version %.20r was never documented for this wire", version)
        if key.startswith("sk_") and not managed:
            log.warning("handshake: an API key; the documents ask for an access token")
        return None

    async def _serve(self, socket: Connection, request: Request) -> None:
        match = _ROUTE.fullmatch(urlsplit(request.path).path)
        assert match is not None
        agent = self._agents[unquote(match[2])]
        self._count += 1
        record = CallRecord(self._count, agent.name)
        self.calls.append(record)
        record.say("connected")
        try:
            await self._call(socket, agent, record, _wire(match[1], agent, request)).run()
        except Exception:
            log.exception("call %s failed", record.number)
            raise  # the library closes the socket with 1011

    def _call(self, socket: Connection, agent: Agent, record: CallRecord, service: Wire) -> Call:
        harness = self._harnesses.get(agent.name)
        if harness is None:
            return Call(socket, agent, self._studio, record, self._rng, service)
        api = f"http://127.0.0.1:{self.port}"
        return HarnessCall(socket, agent, self._studio, record, self._rng, harness, api, service)


def _wire(path: str, agent: Agent, request: Request) -> Wire:
    if path != MANAGED:
        return LineWire(agent.name)
    return ManagedWire(agent, by_token=not _header(request, "X-API-Key"))


def _refuse(connection: ServerConnection, status: int, text: str) -> Response:
    log.warning("handshake refused: %s, %s", status, text)
    return connection.respond(status, text + "\n")


def _header(request: Request, name: str) -> str:
    values = request.headers.get_all(name)
    return values[0].strip() if values else ""


def _managed_credential(request: Request, query: dict[str, list[str]]) -> str:
    """Return what the client shows (§2.1): X-API-Key, or a browser's token in the query."""
    return _header(request, "X-API-Key") or query.get("access_token", [""])[0]


def _credential(request: Request, query: dict[str, list[str]]) -> str:
    """Return what the client shows (§1.1): a Bearer token or key, X-API-Key, or one of two query parameters."""
    scheme, _, token = _header(request, "Authorization").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return (
        bearer or _header(request, "X-API-Key") or query.get("access_token", [""])[0] or query.get("api_key", [""])[0]
    )
