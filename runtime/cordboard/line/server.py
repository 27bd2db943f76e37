"""The stand-in's listener: the handshakes of both agents' sockets on one port, and the calls behind them.

Follows reference cartesia-protocols §1.1, §1.6 and §2.1: `GET /agents/stream/{agent_id}` and
`GET /v1/agents/websocket/{agent_id}`, beside the platform's REST. Sockets of other services hang on `services`.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from cordboard.line.call import Call, Connection
from cordboard.line.front import Front
from cordboard.line.harness.api_address import ApiAddress
from cordboard.line.harness.call import HarnessCall
from cordboard.line.harness.harness import Harness
from cordboard.line.platform.agents import Callee
from cordboard.line.platform.gate import PREFIX, Credentials, Denied, credentials
from cordboard.line.platform.requests import error_response
from cordboard.line.platform.rest import Rest
from cordboard.line.platform.service import Options, Platform
from cordboard.line.records import MAX_CALLS, CallRecord
from cordboard.line.script import Script
from cordboard.line.script_call import ScriptCall
from cordboard.line.services.stt import SttService
from cordboard.line.services.tts import TtsService
from cordboard.line.speech import Studio
from cordboard.line.voices.voice import Voice
from cordboard.line.webhooks.sender import Webhooks
from cordboard.line.wire import LineWire, Start, Wire
from cordboard.line.wire_managed import ManagedWire

KNOWN_VERSIONS = {"agents/stream": ("2025-04-16", "2026-03-01"), "v1/agents/websocket": ("2026-08-14",)}
"""Versions with which each wire was documented (§6 of the reference)."""

MANAGED = "v1/agents/websocket"
"""Path of the Managed socket; the other is Line's."""

_ROUTE = re.compile(rf"/({'|'.join(map(re.escape, KNOWN_VERSIONS))})/([^/]+)")

AGENT_TOKEN_LIFE: Final = 3600.0
"""Seconds in which an agent program may ask for its knowledge: no call of ours is longer than a token may live."""

Service = Callable[[Connection, Request], Awaitable[None]]
"""Serves one socket to its end."""

log = logging.getLogger("cordboard.line")


class Admission(NamedTuple):
    """What the check of an agent's handshake found out."""

    callee: Callee
    """Who answers."""
    managed: bool
    """On which wire."""
    by_token: bool
    """A browser's token was shown, not an API key."""
    session: Mapping[str, Any]
    """`dynamic_variables` and `config_overrides` of the token's session."""


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
        voice: Voice | None = None,
        options: Options | None = None,
        public_url: str = "",
    ) -> None:
        """`port` 0 lets the system choose. `seed` makes the ids of calls repeatable. The agents in `harnesses` are real
        programs, whose hosts the caller starts and closes; the script tells the rest of each, or nothing. `webhooks`
        are told what happens to calls; the caller starts and closes them. `voice` speaks instead of the script's.
        `options` are the platform's. `public_url` is where programs elsewhere reach the API. Raises
        `VoiceUnavailable`."""
        self.calls: deque[CallRecord] = deque(maxlen=MAX_CALLS)
        self._script = script
        self._harnesses = dict(harnesses or {})
        self._webhooks = webhooks
        self._options = options or Options()
        self._public_url = public_url
        self._platform: Platform | None = None
        self._host = host
        self._port = port
        self._rng = random.Random(seed)
        self._studio = Studio(script, voice)
        ears = next((harness.ears for harness in self._harnesses.values() if harness.ears is not None), None)
        tts, stt = TtsService(self._studio.voice), SttService(ears)
        self.services: Mapping[str, tuple[str, Service]] = {
            "/tts/websocket": ("tts", tts.serve),
            "/stt/websocket": ("stt", stt.serve),
            "/stt/turns/websocket": ("stt", stt.serve_turns),
        }
        """Other sockets: per path the grant that a token needs, and who serves it."""
        self._rest = Rest()
        self._front = Front(self._rest.app(), self._check, self._serve)
        self._count = 0

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        return self._port if self._front.port is None else self._front.port

    @property
    def connections(self) -> set[Connection]:
        """Open sockets."""
        return self._front.sockets

    @property
    def platform(self) -> Platform:
        """What is around the calls; between `open` and `close`."""
        assert self._platform is not None
        return self._platform

    async def open(self) -> None:
        """Open the platform, so that it hears of programs that are started from now on; `start` does it too.

        Raises StoreUnusable, or OSError for a data folder that cannot be used.
        """
        if self._platform is None:
            self._platform = await Platform.open(self._options, self._script.agents, self._harnesses, self._webhooks)

    async def start(self) -> None:
        """Make all sounds, then listen.

        Raises OSError for a port in use, `VoiceUnavailable`, WavError or OSError for a bad sound file, and what `open`
        raises.
        """
        await self.open()
        await self._studio.prepare()
        await self._front.start(self._host, self._port)
        self._rest.platform = self.platform
        agents = ", ".join(agent.id for agent in self.platform.agents)
        log.info("listening on ws://%s:%s, agents: %s", self._host, self.port, agents)

    async def close(self) -> None:
        """Stop listening and end all calls with 1001; returns when nothing is left, in less than two seconds."""
        await self._front.close()
        await self._studio.close()
        self._rest.platform = None
        if self._platform is not None:
            await self._platform.close()
            self._platform = None

    # The handshakes

    async def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Judge the handshake; None lets it pass."""
        assert isinstance(connection, Connection)
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        shown = credentials(lambda name: _header(request, name), query)
        version = query.get("cartesia_version", [""])[0] or _header(request, "Cartesia-Version")
        try:
            if path in self.services:
                await self.platform.gate.need_grant(shown.first, self.services[path][0])
                if not version:
                    raise Denied(400, "version_missing", "Cartesia-Version is missing")
            elif (match := _ROUTE.fullmatch(path)) is not None:
                connection.admitted = await self._admit(unquote(match[2]), match[1], shown, version)
            else:
                raise Denied(404, "not_found", "no such path")
        except Denied as exc:
            log.warning("handshake refused: %s, %s", exc.status, exc)
            return _refusal(connection, exc)
        return None

    async def _admit(self, agent_id: str, route: str, shown: Credentials, version: str) -> Admission:
        """Judge the handshake of an agent's socket; raises Denied."""
        managed = route == MANAGED
        if managed:
            shown = shown._replace(bearer="", query_key="")  # §2.1 knows X-API-Key and a browser's token
        key = shown.first
        if not key:
            needed = "X-API-Key" if managed else "Authorization: Bearer <access token>"
            raise Denied(401, "unauthorized", f"no credentials: {needed} is needed")
        if not version:
            raise Denied(400, "version_missing", "Cartesia-Version is missing")
        callee = self.platform.agents.callee(agent_id)
        if callee is not None and callee.agent.refuse:
            raise Denied(callee.agent.refuse, "refused", "refused by the script")
        token = await self.platform.gate.need_grant(key, "agent", agent_id)
        if callee is None:
            raise Denied(404, "agent_not_found", "no such agent")
        if version not in KNOWN_VERSIONS[route]:
            log.warning("handshake: version %.20r was never documented for this wire", version)
        if key.startswith("sk_") and not managed:
            log.warning("handshake: an API key; the documents ask for an access token")
        by_token = key.startswith(PREFIX) or not shown.header_key
        return Admission(callee, managed, by_token, (token.session if token is not None else None) or {})

    # The calls

    async def _serve(self, socket: Connection, request: Request) -> None:
        path = urlsplit(request.path).path
        if path in self.services:
            await self.services[path][1](socket, request)
            return
        admission: Admission = socket.admitted
        self._count += 1
        record = CallRecord(self._count, admission.callee.agent.name, observer=self.platform.calls)
        self.calls.append(record)
        record.say("connected")
        try:
            call = await self._call(socket, admission, record)
            await call.run()
        except Exception:
            log.exception("call %s failed", record.number)
            raise  # the library closes the socket with 1011

    async def _call(self, socket: Connection, admission: Admission, record: CallRecord) -> Call:
        agent, harness, fields = admission.callee
        preset = _preset({**fields, **admission.session.get("config_overrides", {})}, program=harness is not None)
        wire: Wire = LineWire(agent.name)
        if admission.managed:
            variables = admission.session.get("dynamic_variables", {})
            wire = ManagedWire(agent, by_token=admission.by_token, variables=variables)
        if harness is None:
            return ScriptCall(socket, agent, self._studio, record, self._rng, wire, preset)
        api = ApiAddress(self._front.hosts, self.port, self._public_url)
        token: str | None = None
        if self.platform.knowledge is not None:
            token = await self.platform.gate.mint(["documents"], AGENT_TOKEN_LIFE, agent_id=agent.name)
        return HarnessCall(socket, agent, self._studio, record, self._rng, harness, api, wire, preset, token)


def _preset(fields: Mapping[str, Any], *, program: bool) -> Callable[[Start], Start]:
    """Return what adds an agent's own prompt and introduction to a start that brings none. A script's greeting stays,
    unless a session brings another."""

    def add(start: Start) -> Start:
        agent, introduction = dict(start.agent), start.introduction
        if introduction is None:
            introduction = fields.get("llm_introduce")
        if program and agent.get("system_prompt") is None and fields.get("llm_system_prompt") is not None:
            agent["system_prompt"] = fields["llm_system_prompt"]
        return dataclasses.replace(start, agent=agent, introduction=introduction)

    return add


def _refusal(connection: ServerConnection, exc: Denied) -> Response:
    """The error object as an answer to a handshake."""
    body = bytes(error_response(exc.status, exc.code, str(exc)).body).decode()
    response = connection.respond(exc.status, body)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response


def _header(request: Request, name: str) -> str:
    values = request.headers.get_all(name)
    return values[0].strip() if values else ""
