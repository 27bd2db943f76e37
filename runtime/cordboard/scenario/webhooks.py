"""A function that takes Cartesia's webhooks: `CartesiaWebhooks`, its handlers, its entry for Lambda and for workers.

One function, two ways in: on Lambda a Function URL brings the request, and secret and duplicates are judged here; on
the edge `POST /webhooks/cartesia` has judged both, and hands over the event (`cordboard.webhook/1`).
Handlers run outside of any call: commands, ApplicationStorage and Logger.write raise OutsideTurn there.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeVar, overload

from cordboard.contract.codec import encode
from cordboard.contract.records import DESCRIBE_SCHEMA, AnswerError, Description, WebhookRoute
from cordboard.contract.webhooks import (
    WEBHOOK_SCHEMA,
    WEBHOOKS,
    CallCompleted,
    CallFailed,
    CallStarted,
    CallTurn,
    PostCallAnalysis,
    WebhookAnswer,
    WebhookEvent,
    read_webhook,
)
from cordboard.storage.interface import SecretNotFound, StorageUnavailable

from .binding import CLAIMS_VARIABLE, Stores, bound_stores
from .function_url import HttpEvent, NotHttp, answer, read_http
from .process_loop import run_alone
from .runner import MAX_MESSAGE, MAX_TRACEBACK
from .stamp import code_stamp
from .webhook_gate import (
    RETRY_AFTER,
    SECRET_HEADER,
    NoWebhookSecret,
    Outcome,
    Rejected,
    WebhookGate,
    check_content_type,
    hand_over_once,
    read_body,
)

SECRET_NAMES: Final = ("CARTESIA_WEBHOOK_SECRET", "CARTESIA_WEBHOOK_SECRET_NEXT")
"""Where a function on Lambda finds the secret and, in a rotation, the next one: variables, else the secret store."""
GATE_LIFE: Final = 60.0  # seconds after which the secrets are read again, so that a rotation is seen
ON_LAMBDA: Final = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""Variable that Lambda sets for every function, and our workers do not."""
ANY: Final = "*"
_STATUSES: Final[Mapping[Outcome, int]] = {
    "handled": 204,
    "duplicate": 204,
    "busy": 503,
    "failed": 500,
    "unavailable": 503,
}

E = TypeVar("E", bound=WebhookEvent)
Handler = Callable[[E], Awaitable[None]]
Register = Callable[[Handler[E]], Handler[E]]

log = logging.getLogger("cordboard.webhooks")


class CartesiaWebhooks:
    """Handlers of Cartesia's webhooks, one for each type."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler[Any]] = {}
        self._routes: list[WebhookRoute] = []
        self._gate: WebhookGate | None = None
        self._gate_ends = 0.0

    @overload
    def on(self, type_: Literal["call_started"], /, *, timeout: float = 30.0) -> Register[CallStarted]: ...
    @overload
    def on(self, type_: Literal["call_turn"], /, *, timeout: float = 30.0) -> Register[CallTurn]: ...
    @overload
    def on(self, type_: Literal["call_completed"], /, *, timeout: float = 30.0) -> Register[CallCompleted]: ...
    @overload
    def on(self, type_: Literal["call_failed"], /, *, timeout: float = 30.0) -> Register[CallFailed]: ...
    @overload
    def on(self, type_: Literal["post_call_analysis"], /, *, timeout: float = 30.0) -> Register[PostCallAnalysis]: ...
    @overload
    def on(self, /, *, timeout: float = 30.0) -> Register[WebhookEvent]: ...
    def on(self, type_: str = ANY, /, *, timeout: float = 30.0) -> Register[Any]:
        """Register `async def f(event) -> None`; without a type for every event that has no handler of its own.

        `timeout`: seconds the handler may take; a sender may give up sooner and try again, which is safe. A handler
        that raises gets the event again when the sender tries again. Raises at import: TypeError, ValueError.
        """
        if type_ != ANY and type_ not in WEBHOOKS:
            raise ValueError(f"{type_!r} is no webhook of Cartesia; there are {', '.join(WEBHOOKS)}")
        if not timeout > 0:
            raise ValueError(f"timeout={timeout}: seconds above 0")

        def register(handler: Handler[Any]) -> Handler[Any]:
            if not inspect.iscoroutinefunction(handler):
                raise TypeError(f"{getattr(handler, '__qualname__', handler)} is no async function: write async def")
            if type_ in self._handlers:
                raise ValueError(f"two handlers take the webhook {type_!r}; there is one for each")
            self._handlers[type_] = handler
            self._routes.append(WebhookRoute(type_, timeout))
            return handler

        return register

    def describe(self) -> Description:
        """What this function says of itself."""
        return Description("", webhooks=tuple(self._routes), release=code_stamp())

    async def run(self, payload: Mapping[str, Any], *, stores: Stores | None = None) -> dict[str, Any]:
        """One invocation: description, an event from the edge, or an HTTP request of payload 2.0.

        `stores` None: what `bind_storage` or the environment says. Raises NotHttp, NoWebhookSecret, StorageUnavailable.
        """
        if payload.get("schema") == DESCRIBE_SCHEMA:
            return _object(encode(self.describe()))
        if payload.get("schema") == WEBHOOK_SCHEMA:
            return _object(encode(await self._handle(read_webhook(payload.get("event")))))
        return _object(await self._request(read_http(payload), stores or bound_stores()))

    def lambda_handler(self) -> Callable[[dict[str, Any], object], dict[str, Any]]:
        """The function's entry: `handler = webhooks.lambda_handler()`.

        On Lambda it raises here, before any request, without a secret (NoWebhookSecret) or a store for duplicates
        (StorageUnavailable).
        """
        if ON_LAMBDA in os.environ:
            stores = bound_stores()
            self._gate = None
            self._current_gate(stores)
            if stores.claims is None:
                raise StorageUnavailable(_NO_CLAIMS)

        def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
            return run_alone(lambda: self.run(event))

        handler.__dict__["function"] = self  # how a host in the same process finds the async form
        return handler

    async def _request(self, request: HttpEvent, stores: Stores) -> dict[str, Any]:
        gate = self._current_gate(stores)
        if stores.claims is None:
            raise StorageUnavailable(_NO_CLAIMS)
        try:
            if request.method != "POST":
                raise Rejected(405, "method_not_allowed", "POST is needed")
            given = request.headers.get(SECRET_HEADER)
            gate.check(None if given is None else given.encode())
            check_content_type(request.headers.get("content-type"))
            event = read_body(request.body)
        except Rejected as rejected:
            return _object(answer(rejected.status, {"code": rejected.code, "detail": rejected.detail}))
        route = self._route(event.type)
        if route is None:
            return _object(answer(204))

        async def handle() -> bool:
            error = (await self._handle(event)).error
            if error is not None:
                log.error("the handler of %s failed at call %s\n%s", event.type, event.call_id, error.traceback)
            return error is None

        outcome = await hand_over_once(event, stores.claims, route.timeout, handle)
        retry = {"Retry-After": str(RETRY_AFTER)} if _STATUSES[outcome] == 503 else {}
        return _object(answer(_STATUSES[outcome], headers=retry))

    def _current_gate(self, stores: Stores) -> WebhookGate:
        """With the secrets as they were within the last GATE_LIFE: an environment of Lambda lives for hours."""
        now = time.time()
        if self._gate is None or not self._gate_ends - GATE_LIFE <= now < self._gate_ends:
            try:
                self._gate = _gate(stores)
            except StorageUnavailable as error:
                if self._gate is None:
                    raise
                log.error("the webhook's secret stays as it was: %s", error)
            self._gate_ends = now + GATE_LIFE
        return self._gate

    def _route(self, type_: str) -> WebhookRoute | None:
        name = type_ if type_ in self._handlers else ANY
        return next((route for route in self._routes if route.type == name), None)

    async def _handle(self, event: WebhookEvent) -> WebhookAnswer:
        route = self._route(event.type)
        if route is None:
            return WebhookAnswer("failed", AnswerError("not_found", f"no handler takes {event.type}"))
        try:
            async with asyncio.timeout(route.timeout):
                await self._handlers[route.type](event)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit of a handler must not end the edge; the answer says it
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            name = type(error).__name__
            text = str(error) or (f"not done within {route.timeout:g} s" if isinstance(error, TimeoutError) else "")
            trace = "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]
            return WebhookAnswer("failed", AnswerError(name, text[:MAX_MESSAGE], trace))
        return WebhookAnswer("done")


_NO_CLAIMS: Final = (
    f"{CLAIMS_VARIABLE} is not set: duplicates cannot be recognised; write dynamodb:TABLE or sqlite:/path/to/file"
)


def _gate(stores: Stores) -> WebhookGate:
    """The gate with what the environment or the secret store has. Raises NoWebhookSecret."""
    values = [value for name in SECRET_NAMES if (value := os.environ.get(name))]
    if not values and stores.secrets is not None:
        for name in SECRET_NAMES:
            with contextlib.suppress(SecretNotFound):  # by name alone: a role need not be allowed to list them
                values.append(stores.secrets.resolve(name).value)
    if not values:
        raise NoWebhookSecret(
            f"no webhook secret: set {SECRET_NAMES[0]} to what Cartesia sends as {SECRET_HEADER}"
            f" (and {SECRET_NAMES[1]} to the next one during a rotation)"
        )
    return WebhookGate(values)


def _object(value: object) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value


__all__ = ["CartesiaWebhooks", "NoWebhookSecret", "NotHttp"]
