"""`POST /webhooks/cartesia` (HANDLERS §2.3): secret, form and duplicates are judged here, the rest by a function.

204 when a handler is done, for duplicates, and for types that no function takes; 5xx makes the sender try again.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cordboard.config.error import ConfigError
from cordboard.config.model import Config
from cordboard.config.references import reveal
from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.records import MAX_REQUEST, size_of
from cordboard.contract.webhooks import WebhookAnswer, WebhookEvent, WebhookInvocation
from cordboard.edge.control.http import BODY_TIMEOUT, BodyTooLarge, read_body
from cordboard.edge.control.turns import FunctionHost
from cordboard.edge.data_dir import DataDir
from cordboard.hosts.errors import FunctionError
from cordboard.scenario.webhook_gate import (
    MAX_BODY,
    RETRY_AFTER,
    SECRET_HEADER,
    NoWebhookSecret,
    Outcome,
    Rejected,
    WebhookGate,
    check_content_type,
    hand_over_once,
    too_large,
)
from cordboard.scenario.webhook_gate import read_body as read_event
from cordboard.storage.claims import Claims
from cordboard.storage.interface import SecretReader
from cordboard.storage.sqlite_claims import SqliteClaims

KEY: Final = "webhooks.cartesia.secrets"
MAX_AT_ONCE: Final = 32  # events in handlers' hands; as many workers may a function have
ANSWER_MARGIN: Final = 1.0  # seconds beyond a handler's time-out for its function to say so itself

Count = Callable[[str, str], None]
"""(type, outcome) of a delivery."""

log = logging.getLogger("cordboard.webhooks")


@contextlib.asynccontextmanager
async def cartesia_webhooks(
    config: Config, data: DataDir, secrets: SecretReader, host: FunctionHost, count: Count
) -> AsyncIterator[ASGIApp | None]:
    """The route; None without [webhooks.cartesia]. Raises ConfigError, which names the key of a secret that is not
    there and the command that stores it, and StorageUnavailable."""
    references = config.webhooks.cartesia.secrets
    if not references:
        yield None
        return
    values = [reveal(f"{KEY}[{at}]", each, os.environ, secrets) for at, each in enumerate(references)]
    try:
        gate = WebhookGate(values)
    except NoWebhookSecret as error:
        raise ConfigError(None, KEY, None, str(error), "store it again: cordboard keys put NAME --secret") from None
    if not host.current.webhook_types():
        log.warning("[webhooks.cartesia] is there, but no function takes webhooks")
    with SqliteClaims(data.webhooks, time.time) as claims:
        route = CartesiaRoute(gate, claims, host, count)
        try:
            yield route
        finally:
            await route.close()


class CartesiaRoute:
    """The ASGI application of the route."""

    def __init__(self, gate: WebhookGate, claims: Claims, host: FunctionHost, count: Count) -> None:
        self._gate = gate
        self._claims = claims
        self._host = host
        self._count = count
        self._tasks: set[asyncio.Task[Outcome]] = set()

    async def close(self) -> None:
        """Drop what is in handlers' hands: its claims are free, and its senders try again."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            event = await self._read(Request(scope, receive))
            response = await self._take(event)
        except ClientDisconnect:
            return
        except Rejected as rejected:
            self._count("unread", rejected.code)
            response = _problem(rejected.status, rejected.code, rejected.detail)
        await response(scope, receive, send)

    async def _read(self, request: Request) -> WebhookEvent:
        names = [value for name, value in request.scope["headers"] if name == SECRET_HEADER.encode()]
        self._gate.check(names[0] if len(names) == 1 else None)
        check_content_type(request.headers.get("content-type"))
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                return read_event(await read_body(request, MAX_BODY))
        except BodyTooLarge:
            raise too_large() from None
        except TimeoutError:
            raise Rejected(408, "timeout", f"the body did not arrive within {BODY_TIMEOUT:g} s") from None

    async def _take(self, event: WebhookEvent) -> Response:
        release = self._host.current
        found = release.webhook(event.type)
        if found is None:
            self._count(event.type, "ignored")
            return Response(status_code=204)
        payload = _payload(event)
        if len(self._tasks) >= MAX_AT_ONCE:
            self._count(event.type, "busy")
            return _again("busy", "too many events are in handlers' hands")
        function, route = found
        timeout = route.timeout + ANSWER_MARGIN

        async def handle() -> bool:
            return await self._invoke(release.id, function, payload, timeout)

        # as long for a worker to be free, and as long for the handler
        work = hand_over_once(event, self._claims, 2 * timeout, handle)
        task = asyncio.get_running_loop().create_task(work, name=f"webhook {event.type}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task})  # a client that goes away does not end its handler
        outcome: Outcome = "failed" if task.cancelled() else task.result()
        self._count(event.type, outcome)
        match outcome:
            case "handled" | "duplicate":
                return Response(status_code=204)
            case "busy":
                return _again("busy", "the event is in its handler's hands")
            case "unavailable":
                return _again("unavailable", "whether the event is new cannot be told now")
            case "failed":
                return _problem(500, "handler_failed", "the event is not handled; send it again")

    async def _invoke(self, release: str, function: str, payload: Mapping[str, Any], timeout: float) -> bool:
        type_, call = payload["event"]["type"], payload["event"]["call_id"]
        try:
            self._host.retain(release)
            try:
                answer = await self._host.invoke(release, function, payload, timeout=timeout)
            finally:
                self._host.done(release)
            error = decode(WebhookAnswer, answer, unknown="ignore").error
        except (FunctionError, DecodeError) as failure:
            log.error("webhook %s of call %s: %s", type_, call, failure)
            return False
        if error is not None:
            log.error("webhook %s of call %s: %s: %s\n%s", type_, call, error.type, error.message, error.traceback)
        return error is None


def _payload(event: WebhookEvent) -> dict[str, Any]:
    """The invocation, without the deprecated `body` where it is too large. Raises Rejected."""
    for raw in (event.raw, {name: value for name, value in event.raw.items() if name != "body"}):
        payload = encode(WebhookInvocation(raw))
        assert isinstance(payload, dict)
        if size_of(payload) <= MAX_REQUEST:
            return payload
    raise Rejected(413, "too_large", f"without `body` the event is over {MAX_REQUEST} bytes")


def _again(code: str, detail: str) -> Response:
    return _problem(503, code, detail, {"Retry-After": str(RETRY_AFTER)})


def _problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps({"title": code, "status": status, "code": code, "detail": detail})
    merged = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, merged, media_type="application/problem+json")
