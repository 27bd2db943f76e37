"""The Lambda Runtime API for one worker, on a port of its own (so that a dead worker's event is known exactly).

Follows the Lambda Runtime API 2018-06-01: invocation/next, {id}/response, {id}/error, init/error, over HTTP/1.1.
An event is written into a request that waits now or not at all: a parked request of a dead worker eats none.
Leaves out: response streaming, SnapStart's restore/next, tracing headers.
"""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

PREFIX: Final = "/2018-06-01/runtime/"
MAX_HEAD: Final = 1_100_000  # bytes; awslambdaric puts an X-Ray fault of up to 1 MiB into a header
MAX_BODY: Final = 6 * 1024 * 1024 + 1024  # bytes; Lambda's limit of a response, so that ours is judged by the host
RESPONSE_TOO_LARGE: Final = "Function.ResponseSizeTooLarge"  # Lambda's errorType for more than MAX_BODY


@dataclass(frozen=True, slots=True)
class Response:
    """The worker's answer to an event."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """The worker's error, of an event or of its start (`request_id` empty)."""

    request_id: str
    kind: str
    message: str


class RuntimeApi:
    """Serves one worker. Callbacks: the worker waits for an event; an answer; an error."""

    def __init__(
        self,
        on_ready: Callable[[], None],
        on_response: Callable[[Response], None],
        on_fault: Callable[[Fault], None],
    ) -> None:
        self.on_ready = on_ready
        self.on_response = on_response
        self.on_fault = on_fault
        self.in_flight = ""
        """Request id of the event that the worker has."""
        self._server: asyncio.Server | None = None
        self._parked: _Connection | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> str:
        """Listen on loopback; gives `host:port`."""
        # asyncio sets TCP_NODELAY only on sockets that say IPPROTO_TCP; without it an answer may wait 40 ms
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(("127.0.0.1", 0))
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), sock=listener)
        host, port = listener.getsockname()
        return f"{host}:{port}"

    @property
    def ready(self) -> bool:
        """The worker waits for an event."""
        return self._parked is not None

    def dispatch(self, request_id: str, function: str, body: bytes, timeout: float) -> bool:
        """Hand an event to the waiting worker; False if none waits any more."""
        parked, self._parked = self._parked, None
        if parked is None:
            return False
        self.in_flight = request_id
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:local:000000000000:function:{function}",
        }
        parked.respond(HTTPStatus.OK, body, headers)
        return True

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.abort()
            await self._server.wait_closed()
            self._server = None

    def opened(self, connection: "_Connection") -> None:
        """A connection was made."""
        self._connections.add(connection)

    def lost(self, connection: "_Connection") -> None:
        """A connection is gone; an event that it waited for stays with us."""
        self._connections.discard(connection)
        if self._parked is connection:
            self._parked = None

    def request(self, connection: "_Connection", method: str, path: str, body: bytes) -> None:
        """One request of the worker."""
        parts = path.removeprefix(PREFIX).split("/") if path.startswith(PREFIX) else []
        match method, parts:
            case "GET", ["invocation", "next"]:
                self._parked = connection
                self.on_ready()
            case "POST", ["init", "error"]:
                self._accept(connection)
                self.on_fault(_fault("", body))
            case "POST", ["invocation", request_id, ("response" | "error") as what]:
                if request_id != self.in_flight:
                    connection.respond(HTTPStatus.BAD_REQUEST, b'{"errorType":"InvalidRequestID"}', {})
                    return
                self.in_flight = ""
                self._accept(connection)
                if what == "response":
                    self.on_response(Response(body))
                else:
                    self.on_fault(_fault(request_id, body))
            case _:
                connection.respond(HTTPStatus.NOT_FOUND, b"{}", {})

    def too_large(self, path: str) -> None:
        """A body of more than MAX_BODY was cut off; if it is the answer to the event in flight, that one failed."""
        if self.in_flight and path == f"{PREFIX}invocation/{self.in_flight}/response":
            request_id, self.in_flight = self.in_flight, ""
            self.on_fault(Fault(request_id, RESPONSE_TOO_LARGE, f"the answer was cut off at {MAX_BODY} bytes"))

    def _accept(self, connection: "_Connection") -> None:
        connection.respond(HTTPStatus.ACCEPTED, b'{"status":"OK"}', {"Content-Type": "application/json"})


def _fault(request_id: str, body: bytes) -> Fault:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Fault(request_id, "Unknown", "an error that is no JSON object")
    return Fault(request_id, str(said.get("errorType", "Unknown")), str(said.get("errorMessage", ""))[:2_000])


class _Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as the Runtime API's clients speak: Content-Length, chunked, Expect, keep-alive."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._api.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._api.lost(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while self._take_request():
                pass
        except _BodyTooLarge as error:
            self.respond(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"{}", {"Connection": "close"})
            self.abort()
            self._api.too_large(error.path)
        except (ValueError, IndexError):
            self.respond(HTTPStatus.BAD_REQUEST, b"{}", {"Connection": "close"})
            self.abort()

    def respond(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        """Write a response in one piece."""
        if self._transport is None:
            return
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        self._transport.write(head.encode("latin-1") + body)

    def abort(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.close()

    def _take_request(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ValueError("head too long")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        if "100-continue" in headers.get("expect", "").lower() and not self._continued:
            self._continued = True
            if self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            found = _chunked(self._buffer, end + 4, path)
        else:
            found = _sized(self._buffer, end + 4, int(headers.get("content-length", "0")), path)
        if found is None:
            return False
        body, rest = found
        del self._buffer[:rest]
        self._continued = False
        self._api.request(self, method, path, body)
        return True


class _BodyTooLarge(Exception):
    """A body has more than MAX_BODY."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def _check_length(size: int, limit: int, path: str) -> None:
    if size < 0:
        raise ValueError("a length below 0")
    if size > limit:
        raise _BodyTooLarge(path)


def _sized(buffer: bytearray, start: int, size: int, path: str) -> tuple[bytes, int] | None:
    """(body, offset behind it), None while incomplete. Raises ValueError, _BodyTooLarge."""
    _check_length(size, MAX_BODY, path)
    return (bytes(buffer[start : start + size]), start + size) if len(buffer) >= start + size else None


def _chunked(buffer: bytearray, start: int, path: str) -> tuple[bytes, int] | None:
    """As `_sized`, for a chunked body without trailers."""
    body = bytearray()
    while True:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(buffer[start:line_end].split(b";")[0], 16)
        _check_length(size, MAX_BODY - len(body), path)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        body += buffer[start : start + size]
        start += size + 2
        if size == 0:
            return bytes(body), start
