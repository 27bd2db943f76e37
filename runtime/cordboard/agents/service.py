"""What the clients of all sockets of the service share, without I/O: handshake, timers, ping, end.

Follows reference cartesia-protocols §1.1, §1.6, §2.1 and §5.1. Every end is judged by `close.judge`; exactly one
`Closed` comes, always last. Leaves out what is said on an open socket, which is each client's: `base.BaseConnection`
with the agents, `sonic.SonicConnection` with speech.

The shell opens TCP or TLS to (`host`, `port`, `secure`), calls `connected`, feeds bytes in, writes `data_to_send`
(`b""` asks to close the writing side), and closes the transport once `Closed` has come and the rest is written.
"""

from __future__ import annotations

import abc
import random
from collections import deque
from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from cordboard.agents import json_messages as messages
from cordboard.agents.close import NORMAL, PROTOCOL_ERROR, judge
from cordboard.agents.events import Closed, HttpResponse, Opened
from cordboard.agents.state import (
    CLOSE_TIMEOUT,
    MAX_BODY,
    MAX_REPORTED,
    MAY,
    PING_INTERVAL,
    PONG_TIMEOUT,
    State,
    WrongState,
)
from cordboard.agents.websocket import MAX_MESSAGE, BadAddress, Ended, Handshake, Message, WebSocketClient, check_close

Event = TypeVar("Event")
"""What a client reports besides `Opened`, `HttpResponse` and `Closed`."""


class ServiceConnection(abc.ABC, Generic[Event]):
    """One socket to the service."""

    def __init__(
        self,
        *,
        base_url: str,
        path: str,
        headers: Mapping[str, str],
        api_key: str,
        rng: random.Random,
        now: float,
        connect_timeout: float,
    ) -> None:
        """Prepare a connection; `connect_timeout` seconds run from `now` to the open socket, TCP and TLS included.

        `path` follows `base_url`; it may hold a query. Raises `BadAddress` for a `base_url` that is not
        ws(s)://host[:port][/path], or an unusable header.
        """
        try:
            parts = urlsplit(base_url)
        except ValueError as exc:
            raise BadAddress("base_url is not an address") from exc
        if parts.query or parts.fragment:
            raise BadAddress("base_url must have neither query nor fragment")
        self.state = State.IDLE
        self.malformed = 0
        self.web_socket_id = str(UUID(bytes=rng.randbytes(16), version=4))
        self._key = api_key
        self._socket = WebSocketClient(f"{base_url.rstrip('/')}{path}", headers, rng=rng)
        self._connect_timeout = connect_timeout
        self._timers: dict[str, float] = {"connect": now + connect_timeout}
        self._events: deque[Event | Opened | HttpResponse | Closed] = deque()
        self._asked = False
        self._failure: tuple[int, str] | None = None
        self._refused = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.host}:{self.port}, {self.state.value}>"

    @property
    def host(self) -> str:
        """Host name or address to connect to."""
        return self._socket.host

    @property
    def port(self) -> int:
        """TCP port to connect to."""
        return self._socket.port

    @property
    def secure(self) -> bool:
        """Whether the shell must use TLS."""
        return self._socket.secure

    # The network's side

    def connected(self, now: float) -> None:
        """TCP, and TLS if `secure`, is up: the handshake becomes available."""
        if self.state is State.CLOSED:
            return
        self._check("connected")
        self._socket.connect()
        self.state = State.CONNECTING

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the network."""
        self._timers.pop("pong", None)
        self._socket.receive_data(data)
        self._collect(now)

    def receive_eof(self, now: float) -> None:
        """Take the end of the network's stream."""
        self._socket.receive_eof()
        self._collect(now)

    def connection_lost(self, reason: str, now: float) -> None:
        """The transport failed, or could not be opened, for `reason`."""
        self._abandon(reason, now)

    def data_to_send(self, now: float) -> list[bytes]:
        """Return what to write now; `b""` asks to close the writing side."""
        return self._socket.data_to_send()

    def next_event(self) -> Event | Opened | HttpResponse | Closed | None:
        """Return the oldest event, or None."""
        return self._events.popleft() if self._events else None

    # Time

    def next_timer(self) -> float | None:
        """Return when `on_timer` wants to be called, or None."""
        return min(self._timers.values(), default=None)

    def on_timer(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        for name in [name for name, due in self._timers.items() if due <= now]:
            if name in self._timers:  # an earlier one of this round may have ended the connection
                del self._timers[name]
                self._on_due(name, now)

    # The engine's side

    def close(self, code: int = NORMAL, reason: str = "session completed", *, now: float) -> None:
        """End the call from our side; void once the end has begun.

        The reason is cut to 123 bytes. Raises ValueError for a code that must not be sent (RFC 6455 §7.4).
        """
        reason = check_close(code, reason)
        if self.state in (State.CLOSING, State.CLOSED):
            return
        self._asked = True
        self._begin_close(code, reason, now)

    # What each client says for itself

    @abc.abstractmethod
    def _is_open(self, now: float) -> None:
        """The handshake is done, `Opened` is reported: say what has to be said first."""

    @abc.abstractmethod
    def _receive_text(self, data: bytes, now: float) -> None:
        """Take a text message; raises `Malformed`."""

    @abc.abstractmethod
    def _report_malformed(self, exc: messages.Malformed) -> None:
        """Make an event of a message that cannot be understood; comes `MAX_REPORTED` times at most."""

    @abc.abstractmethod
    def _has_failed(self) -> bool:
        """Whether an end now would come of an error: before the service accepted us, or after its complaint."""

    # Within

    def _check(self, operation: str) -> None:
        if self.state not in MAY[operation]:
            raise WrongState(operation, self.state)

    def _send_json(self, message: Mapping[str, Any]) -> None:
        self._socket.send_text(messages.encode(message, MAX_MESSAGE))

    def _begin_close(self, code: int, reason: str, now: float) -> None:
        self._timers.clear()
        if self._socket.is_open:
            self.state = State.CLOSING
            self._timers["close"] = now + CLOSE_TIMEOUT
            self._socket.close(code, reason)
        else:
            self._failure = (code, reason)
            self._abandon(reason, now)

    def _fail(self, reason: str, now: float) -> None:
        """End the connection because the service did not do its part: by "error"."""
        self._failure = (PROTOCOL_ERROR, check_close(PROTOCOL_ERROR, reason))
        self._begin_close(*self._failure, now)

    def _collect(self, now: float) -> None:
        while (event := self._socket.next_event()) is not None:
            match event:
                case Handshake():
                    self._receive_handshake(event, now)
                case Message():
                    self._receive_message(event, now)
                case Ended():
                    self._receive_end(event)

    def _receive_handshake(self, event: Handshake, now: float) -> None:
        if event.accepted:
            self.state = State.OPEN
            del self._timers["connect"]
            self._timers["ping"] = now + PING_INTERVAL
            self._events.append(Opened(self.web_socket_id, event.status, event.headers))
            self._is_open(now)
            return
        self._refused = True
        body = event.body.decode("utf-8", "replace").replace(self._key, "***")[:MAX_BODY]
        self._events.append(HttpResponse(event.status, event.headers, body))

    def _receive_end(self, event: Ended) -> None:
        code, reason = event.code, event.reason
        if self._failure is not None:
            code, reason = self._failure
        failed = self._has_failed()
        self.state = State.CLOSED
        self._timers.clear()
        self._events.append(judge(code, reason, asked=self._asked, failed=failed, refused=self._refused))

    def _receive_message(self, event: Message, now: float) -> None:
        if self.state not in (State.OPEN, State.STARTING, State.LIVE):
            return  # after our close frame only the end matters
        try:
            if not event.text:
                raise messages.Malformed("binary message; this wire has only text")
            self._receive_text(event.data, now)
        except messages.Malformed as exc:
            self.malformed += 1
            if self.malformed <= MAX_REPORTED:
                self._report_malformed(exc)

    def _on_due(self, name: str, now: float) -> None:
        """Do what the timer `name` is for."""
        match name:
            case "connect":
                self._abandon(f"not open within {self._connect_timeout:g} s", now)
            case "ping":
                self._socket.ping()
                self._timers["ping"] = now + PING_INTERVAL
                self._timers["pong"] = now + PONG_TIMEOUT
            case "pong":
                self._abandon(f"no answer to a ping within {PONG_TIMEOUT:g} s", now)
            case "close":
                self._abandon("", now)
            case _:
                raise AssertionError(f"no timer is called {name}")

    def _abandon(self, reason: str, now: float) -> None:
        self._socket.abandon(reason)
        self._collect(now)
