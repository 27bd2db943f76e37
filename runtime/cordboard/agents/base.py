"""What the clients of both agents' sockets share, without I/O: handshake, timers, ends, and how messages are taken.

Follows reference cartesia-protocols §1.1, §1.6 and §2.1. Every end is judged by `close.judge`; exactly one `Closed`
comes, always last. Leaves out the messages, which are `line.LineConnection`'s and `managed.ManagedConnection`'s, the
minting of access tokens (§4.1), reconnecting (§7 row 29: impossible), and the holding of audio until the ack, which
is the engine's.

The shell opens TCP or TLS to (`host`, `port`, `secure`), calls `connected`, feeds bytes in, writes `data_to_send`
(`b""` asks to close the writing side), and closes the transport once `Closed` has come and the rest is written.
"""

from __future__ import annotations

import abc
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit
from uuid import UUID

from cordboard.agents import json_messages as messages
from cordboard.agents import state
from cordboard.agents.close import NORMAL, PROTOCOL_ERROR, judge
from cordboard.agents.events import Acked, AgentEvent, Audio, Clear, ErrorMessage, HttpResponse, Opened
from cordboard.agents.state import (
    BYTES_PER_SAMPLE,
    CLOSE_TIMEOUT,
    MAX_BODY,
    MAX_IDENTIFIER,
    MAX_REPORTED,
    MAY,
    PING_INTERVAL,
    PONG_TIMEOUT,
    InputFormat,
    State,
    WrongState,
)
from cordboard.agents.websocket import MAX_MESSAGE, BadAddress, Ended, Handshake, Message, WebSocketClient, check_close


class BaseConnection(abc.ABC):
    """One agent connection, one call."""

    _answer: ClassVar[str]
    """Name of the message that accepts the first one."""
    _audio_input: messages.AudioWriter
    _audio_output: messages.AudioReader

    def __init__(
        self,
        *,
        base_url: str,
        path: str,
        headers: Mapping[str, str],
        agent_id: str,
        api_key: str,
        version: str,
        input_format: InputFormat,
        rng: random.Random,
        now: float,
        connect_timeout: float,
        ack_timeout: float,
    ) -> None:
        """Prepare a connection; `connect_timeout` seconds run from `now` to the open socket, TCP and TLS included.

        `path` follows `base_url`; it may hold a query. Raises `BadAddress` for a `base_url` that is not
        ws(s)://host[:port][/path], or an empty or unusable id, key or version, and `UnsupportedFormat`.
        """
        if not agent_id or not api_key or not version:
            raise BadAddress("agent id, API key and version must not be empty")
        try:
            parts = urlsplit(base_url)
        except ValueError as exc:
            raise BadAddress("base_url is not an address") from exc
        if parts.query or parts.fragment:
            raise BadAddress("base_url must have neither query nor fragment")
        self.agent_id = agent_id
        self.version = version
        self.input_format: InputFormat = state.input_format(input_format)
        self.state = State.IDLE
        self.call_id = ""
        self.stream_id = ""
        self.malformed = 0
        self.web_socket_id = str(UUID(bytes=rng.randbytes(16), version=4))
        self._key = api_key
        self._socket = WebSocketClient(f"{base_url.rstrip('/')}{path}", headers, rng=rng)
        self._ack_timeout = ack_timeout
        self._connect_timeout = connect_timeout
        self._timers: dict[str, float] = {"connect": now + connect_timeout}
        self._events: deque[AgentEvent] = deque()
        self._asked = False
        self._failure: tuple[int, str] | None = None
        self._failed = True  # until the ack
        self._refused = False
        self._fatal = ""
        self._carry = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.agent_id!r} at {self.host}:{self.port}, {self.state.value}>"

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
        self._socket.abandon(reason)
        self._collect(now)

    def data_to_send(self, now: float) -> list[bytes]:
        """Return what to write now; `b""` asks to close the writing side."""
        return self._socket.data_to_send()

    def next_event(self) -> AgentEvent | None:
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
                _DUE[name](self, now)

    # The engine's side

    def send_audio(self, payload: bytes, now: float) -> None:
        """Send the caller's audio, raw samples in `input_format`; raises `WrongState` unless acked."""
        if self.state is not State.LIVE:
            raise WrongState("send_audio", self.state)
        self._socket.send_text(self._audio_input.encode(payload))

    def dtmf(self, digit: str, now: float) -> bool:
        """Send one digit. Returns False, and sends nothing, for A-D, which no agent's wire carries.

        Raises `WrongState`, and ValueError for what is no DTMF digit at all.
        """
        self._check("dtmf")
        if digit in ("A", "B", "C", "D"):
            return False
        if digit not in messages.DTMF_DIGITS:
            raise ValueError("a DTMF digit is one of 0-9, *, #, A-D")
        self._send_digit(digit)
        return True

    def close(self, code: int = NORMAL, reason: str = "session completed", *, now: float) -> None:
        """End the call from our side; void once the end has begun.

        The reason is cut to 123 bytes. Raises ValueError for a code that must not be sent (RFC 6455 §7.4).
        """
        reason = check_close(code, reason)
        if self.state in (State.CLOSING, State.CLOSED):
            return
        self._asked = True
        self._begin_close(code, reason, now)

    # What a wire says for itself

    @abc.abstractmethod
    def _send_digit(self, digit: str) -> None:
        """Send a digit of the wire, the connection being live."""

    @abc.abstractmethod
    def _receive_json(self, message: dict[str, Any], now: float) -> None:
        """Take a decoded message; raises `Malformed`."""

    # Within

    def _check(self, operation: str) -> None:
        if self.state not in MAY[operation]:
            raise WrongState(operation, self.state)

    def _send_json(self, message: Mapping[str, Any]) -> None:
        self._socket.send_text(messages.encode(message, MAX_MESSAGE))

    def _starting(self, input_format: InputFormat, now: float) -> None:
        """The first message is sent."""
        self.input_format = input_format
        self.state = State.STARTING
        self._timers["ack"] = now + self._ack_timeout

    def _begin_close(self, code: int, reason: str, now: float) -> None:
        self._timers.clear()
        if self._socket.is_open:
            self.state = State.CLOSING
            self._timers["close"] = now + CLOSE_TIMEOUT
            self._socket.close(code, reason)
        else:
            self._failure = (code, reason)
            self._socket.abandon(reason)
            self._collect(now)

    def _fail(self, reason: str, now: float) -> None:
        """End the call because the service did not do its part: by "error"."""
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
            return
        self._refused = True
        body = event.body.decode("utf-8", "replace").replace(self._key, "***")[:MAX_BODY]
        self._events.append(HttpResponse(event.status, event.headers, body))

    def _receive_end(self, event: Ended) -> None:
        code, reason = event.code, event.reason
        if self._failure is not None:
            code, reason = self._failure
        failed = self._failed or bool(self._fatal)
        self.state = State.CLOSED
        self._timers.clear()
        self._carry = b""
        self._events.append(judge(code, reason, asked=self._asked, failed=failed, refused=self._refused))

    def _receive_message(self, event: Message, now: float) -> None:
        if self.state not in (State.OPEN, State.STARTING, State.LIVE):
            return  # after our close frame only the end matters
        try:
            if not event.text:
                raise messages.Malformed("binary message; this wire has only text")
            if self.state is State.LIVE:
                payload = self._audio_output.payload(event.data)
                if payload is not None:
                    self._receive_audio(payload)
                    return
            self._receive_json(messages.decode(event.data), now)
        except messages.Malformed as exc:
            self.malformed += 1
            if self.malformed <= MAX_REPORTED:
                self._events.append(messages.malformed_event(exc))

    def _say(self, event: AgentEvent) -> None:
        """Report something that shows that the call goes on."""
        if isinstance(event, Clear):
            self._carry = b""  # half a sample of the reply that is void
        self._failed = False
        self._events.append(event)

    def _receive_audio(self, payload: bytes) -> None:
        self._failed = False
        if BYTES_PER_SAMPLE[self.input_format] == 2:
            payload = self._carry + payload
            whole = len(payload) & ~1
            self._carry, payload = payload[whole:], payload[:whole]
        if payload:
            self._events.append(Audio(payload))

    def _acked(self, message: dict[str, Any], call_id: object, stream_id: object = None) -> None:
        """The service accepted the first message."""
        self.call_id = _identifier(call_id)
        self.stream_id = _identifier(stream_id)
        self.state = State.LIVE
        self._failed = False
        del self._timers["ack"]
        self._events.append(Acked(message, self.call_id, self.stream_id))

    def _check_format(self, message: dict[str, Any], holder: object) -> None:
        """Raise `Malformed` when the service's answer names another input format than the one asked for."""
        echoed = holder.get("input_format") if isinstance(holder, dict) else None
        if echoed is not None and echoed != self.input_format:
            name = messages.name_of(message)
            raise messages.Malformed(f"{name}: input_format is {echoed!r}, asked for {self.input_format}", message)

    def _receive_error(self, message: dict[str, Any], text: str, fatal: bool) -> None:
        self._failed = True
        self._events.append(ErrorMessage(text, fatal, message))

    def _await_close(self, text: str, now: float) -> None:
        """After a fatal error the service closes, with the code that tells whose fault it was; not for ever."""
        self._fatal = text
        self._timers.pop("ack", None)
        self._timers["fatal"] = now + CLOSE_TIMEOUT

    def _fatal_due(self, now: float) -> None:
        self._fail(self._fatal, now)

    def _connect_due(self, now: float) -> None:
        self._socket.abandon(f"not open within {self._connect_timeout:g} s")
        self._collect(now)

    def _ack_due(self, now: float) -> None:
        self._fail(f"no {self._answer} within {self._ack_timeout:g} s", now)

    def _ping_due(self, now: float) -> None:
        self._socket.ping()
        self._timers["ping"] = now + PING_INTERVAL
        self._timers["pong"] = now + PONG_TIMEOUT

    def _pong_due(self, now: float) -> None:
        self._socket.abandon(f"no answer to a ping within {PONG_TIMEOUT:g} s")
        self._collect(now)

    def _close_due(self, now: float) -> None:
        self._socket.abandon("")
        self._collect(now)


_DUE: Final[Mapping[str, Callable[[BaseConnection, float], None]]] = {
    "connect": BaseConnection._connect_due,
    "ack": BaseConnection._ack_due,
    "fatal": BaseConnection._fatal_due,
    "ping": BaseConnection._ping_due,
    "pong": BaseConnection._pong_due,
    "close": BaseConnection._close_due,
}


def _identifier(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_IDENTIFIER else ""
