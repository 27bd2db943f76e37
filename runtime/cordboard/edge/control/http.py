"""Control's HTTP: control URLs and webhooks on the public listener, health and metrics on their own (HANDLERS §2.3).

The engine answers requests to control URLs; this shell bounds their body and their time. Leaves out TLS and the API.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY: Final = 64 * 1024  # bytes taken in; the engine refuses what is over the 16 KB of HANDLERS §2.3
BODY_TIMEOUT: Final = 10.0  # seconds for a body to arrive; a tool's JSON comes in one packet
ANSWER_TIMEOUT: Final = 40.0  # seconds; the engine answers 202 after 5 s, a parked event lives 30 s: this is a guard
MAX_CONNECTIONS: Final = 1000  # at once; five for each call of a full edge
KEEP_ALIVE: Final = 30  # seconds an idle connection is kept; a tool calls more than once
MAX_HEADERS: Final = 16 * 1024  # bytes of a request's head; proxies allow 8 to 16 KB
CLOSE_TIMEOUT: Final = 1  # seconds for open requests once the edge ends

log = logging.getLogger(__name__)


class ControlRequests(Protocol):
    """Who answers requests to control URLs."""

    def receive_http(self, request: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """A request; `ControlUrl.reply` with its token follows."""

    def http_gone(self, request: str) -> None:
        """Its client went away."""


class BodyTooLarge(Exception):
    """More bytes than are taken in."""


class ControlUrl:
    """The ASGI application below `/control/`."""

    def __init__(self, requests: ControlRequests) -> None:
        self._requests = requests
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Response]] = {}

    def reply(self, request: str, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer a request; one whose client is gone is nothing."""
        waiting = self._waiting.get(request)
        if waiting is not None and not waiting.done():
            waiting.set_result(Response(body, status, {"Cache-Control": "no-store", **headers}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await read_body(request, MAX_BODY)
        except ClientDisconnect:
            return
        except TimeoutError:
            await PlainTextResponse("the body did not arrive\n", 408)(scope, receive, send)
            return
        except BodyTooLarge:
            await PlainTextResponse("the body is too large\n", 413, {"Connection": "close"})(scope, receive, send)
            return
        response = await self._answer(request, body)
        if response is not None:
            await response(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response | None:
        token = f"http-{next(self._numbers)}"
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Response] = loop.create_future()
        self._waiting[token] = waiting
        gone = loop.create_task(_until_gone(request))
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            path = request.path_params["path"]
            self._requests.receive_http(token, request.method, path, headers, body)
            either: set[asyncio.Future[Any]] = {waiting, gone}
            await asyncio.wait(either, timeout=ANSWER_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            self._requests.http_gone(token)
            if gone.done():
                return None
            log.error("a request to a control URL was not answered within %.0f s", ANSWER_TIMEOUT)
            return PlainTextResponse("no answer\n", 504)
        finally:
            del self._waiting[token]
            gone.cancel()


def public_app(control_url: ASGIApp, cartesia: ASGIApp | None = None) -> Starlette:
    """What carriers and agents reach; `cartesia`: who takes Cartesia's webhooks."""
    routes = [Route("/control/{path:path}", control_url)]
    if cartesia is not None:
        routes.append(Route("/webhooks/cartesia", cartesia, methods=["POST"]))
    return Starlette(routes=routes)


def health_app(not_ready: Callable[[], list[str]], metrics: Callable[[], tuple[bytes, str]]) -> Starlette:
    """`/livez`, `/readyz`, `/metrics`; `not_ready` gives the reasons against taking a call now,
    `metrics` all figures and their media type."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")  # that it answers at all shows that the loop turns

    async def readyz(_: Request) -> Response:
        reasons = not_ready()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def figures(_: Request) -> Response:
        body, media_type = metrics()
        return Response(body, headers={"Content-Type": media_type})

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", figures)])


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening socket's socket, bound. Raises OSError."""
    # asyncio sets TCP_NODELAY only on sockets that say IPPROTO_TCP; without it an answer may wait 40 ms
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


class HttpServer:
    """One application on one bound socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=CLOSE_TIMEOUT,
                h11_max_incomplete_event_size=MAX_HEADERS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve from now on."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 (uvicorn gives no event)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop; open requests get CLOSE_TIMEOUT."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the process's, not the server's."""
        yield


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises BodyTooLarge for more than `limit` bytes, ClientDisconnect."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > limit:
        raise BodyTooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge
    return bytes(body)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
