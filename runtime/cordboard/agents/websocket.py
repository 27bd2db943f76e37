"""One client WebSocket without I/O (RFC 6455): a thin wrap of websockets' `ClientProtocol`.

Adds what the agents' wires share: extra headers, messages put together from fragments, a bounded message size, one
last event. Leaves out compression (offered by none of the services), subprotocols, redirects and proxies.
Masking is the library's and uses the system's randomness, not the caller's `rng`.
"""

from __future__ import annotations

import base64
import logging
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI, ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CLOSED, OPEN
from websockets.uri import parse_uri

from cordboard.agents.close import ABNORMAL

MAX_MESSAGE = 1 << 20
"""Bytes of one message; a second of 44.1 kHz PCM in base64 is 118 KB. Precedent: websockets' own default."""

MAX_REASON = 123
"""Bytes of a close reason: a control frame carries 125, two of them the code (RFC 6455 §5.5)."""

# The library logs headers, so the key, at DEBUG: this logger belongs to no hierarchy and cannot be switched on.
_SILENT = logging.Logger("cordboard.agents.websocket", level=logging.CRITICAL + 1)


class BadAddress(ValueError):
    """The service's address or a handshake header cannot be used; the text never shows a header's value."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The server's answer to the upgrade."""

    status: int
    """HTTP status."""
    headers: Mapping[str, str]
    """Names in lower case, repeated ones joined by a comma."""
    body: bytes
    """Body of a refusal."""
    accepted: bool
    """True when the socket is open."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole text or binary message."""

    data: bytes
    """Its payload; a text is not yet checked to be UTF-8."""
    text: bool
    """True for a text message."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more will come. Exactly one, always last."""

    code: int
    """The peer's close code, else ours, else 1006."""
    reason: str
    """The peer's reason, else what went wrong."""


WebSocketEvent = Handshake | Message | Ended


class WebSocketClient:
    """A client connection from the HTTP upgrade to the close frame."""

    __slots__ = ("_events", "_fragments", "_fragments_text", "_headers", "_protocol", "ended", "host", "port", "secure")

    def __init__(self, url: str, headers: Mapping[str, str], *, rng: random.Random) -> None:
        """Raise `BadAddress` for an URL that is not ws(s)://host…, or a header with characters HTTP forbids."""
        try:
            uri = parse_uri(url)
        except (InvalidURI, ValueError):
            raise BadAddress("not an address of the form ws(s)://host[:port][/path]") from None
        if uri.user_info is not None:
            raise BadAddress("a WebSocket address with a user name or password is not accepted")
        for name, value in headers.items():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise BadAddress(f"header {name}: only printable ASCII is allowed")
        self.host = uri.host
        self.port = uri.port
        self.secure = uri.secure
        self.ended = False
        self._headers = dict(headers)
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE, logger=_SILENT)
        self._protocol.key = base64.b64encode(rng.randbytes(16)).decode()
        self._events: deque[WebSocketEvent] = deque()
        self._fragments = bytearray()
        self._fragments_text = False

    @property
    def is_open(self) -> bool:
        """Messages may be sent."""
        return self._protocol.state is OPEN and not self.ended

    def connect(self) -> None:
        """Queue the upgrade request."""
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the network; ignored once ended."""
        if self.ended or not data:
            return
        self._protocol.receive_data(data)
        self._collect()

    def receive_eof(self) -> None:
        """Take the end of the network's stream; idempotent."""
        if self.ended:
            return
        self._protocol.receive_eof()
        self._collect()

    def next_event(self) -> WebSocketEvent | None:
        """Return the oldest event, or None."""
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> list[bytes]:
        """Return what to write; `b""` asks to close the writing side."""
        return self._protocol.data_to_send()

    def send_text(self, data: bytes) -> None:
        """Queue one text message; the socket has to be open."""
        self._protocol.send_text(data)

    def ping(self) -> None:
        """Queue a ping; the socket has to be open."""
        self._protocol.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame; the socket has to be open. The end comes with the peer's answer."""
        self._protocol.send_close(code, reason)

    def abandon(self, reason: str) -> None:
        """End now without waiting for the peer; a close frame that was sent speaks for itself."""
        if not self.ended:
            sent = self._protocol.close_sent
            self._end(*((sent.code, sent.reason) if sent is not None else (ABNORMAL, reason)))

    def _collect(self) -> None:
        protocol = self._protocol
        for event in protocol.events_received():
            if isinstance(event, Response):
                accepted = protocol.handshake_exc is None
                self._events.append(Handshake(event.status_code, _plain(event), bytes(event.body), accepted))
            elif isinstance(event, Frame):
                self._receive_frame(event)
        if self.ended:
            return
        if protocol.handshake_exc is not None:
            self._end(ABNORMAL, str(protocol.handshake_exc))
        elif protocol.close_rcvd is not None:
            self._end(protocol.close_rcvd.code, protocol.close_rcvd.reason)
        elif protocol.parser_exc is not None or protocol.state is CLOSED:
            self.abandon("connection lost without a closing handshake")

    def _receive_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CONT:
            self._fragments += frame.data
            if frame.fin:
                self._events.append(Message(bytes(self._fragments), self._fragments_text))
                self._fragments = bytearray()
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._events.append(Message(bytes(frame.data), text))
            else:
                self._fragments, self._fragments_text = bytearray(frame.data), text

    def _end(self, code: int, reason: str) -> None:
        self.ended = True
        self._fragments = bytearray()
        if not self._protocol.eof_sent:
            self._protocol.send_eof()
        self._events.append(Ended(code, reason))


def check_close(code: int, reason: str) -> str:
    """Return `reason` cut to what a close frame carries; raise ValueError for a code that no endpoint may send."""
    try:
        Close(code, "").serialize()
    except ProtocolError as exc:
        raise ValueError(f"not a close code that may be sent: {code}") from exc
    return reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")


def _plain(response: Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.raw_items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
