"""The service's side of a client's socket for these tests: handshake and frames, byte for byte from RFC 6455."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any, Protocol, TypeVar

Event = TypeVar("Event", covariant=True)


class Client(Protocol[Event]):
    """What the helpers need of a client."""

    def connected(self, now: float) -> None: ...

    def receive_data(self, data: bytes, now: float) -> None: ...

    def data_to_send(self, now: float) -> list[bytes]: ...

    def next_event(self) -> Event | None: ...


GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


def frame(data: bytes | str, opcode: int = 1, fin: bool = True) -> bytes:
    """A server's frame: RFC 6455 §5.2, unmasked."""
    payload = data.encode() if isinstance(data, str) else data
    first = bytes([opcode | (0x80 if fin else 0)])
    if len(payload) < 126:
        return first + bytes([len(payload)]) + payload
    if len(payload) < 65536:
        return first + b"\x7e" + struct.pack("!H", len(payload)) + payload
    return first + b"\x7f" + struct.pack("!Q", len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(struct.pack("!H", code) + reason.encode(), opcode=8)


def unmask(data: bytes) -> list[tuple[int, bytes]]:
    """The client's frames as (opcode, payload)."""
    frames = []
    while data:
        opcode, length, at = data[0] & 15, data[1] & 127, 2
        assert data[1] & 128, "a client must mask (RFC 6455 §5.1)"
        if length == 126:
            (length,), at = struct.unpack("!H", data[2:4]), 4
        elif length == 127:
            (length,), at = struct.unpack("!Q", data[2:10]), 10
        mask, payload = data[at : at + 4], data[at + 4 : at + 4 + length]
        frames.append((opcode, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))))
        data = data[at + 4 + length :]
    return frames


def sent(line: Client[object]) -> list[tuple[int, bytes]]:
    return unmask(b"".join(line.data_to_send(100.0)))


def sent_json(line: Client[object]) -> list[Any]:
    return [json.loads(payload) for opcode, payload in sent(line) if opcode == 1]


def drain(line: Client[Event]) -> list[Event]:
    events: list[Event] = []
    while (event := line.next_event()) is not None:
        events.append(event)
    return events


def accept(line: Client[object]) -> bytes:
    """Open the socket; return the request."""
    line.connected(100.1)
    request = b"".join(line.data_to_send(100.1))
    key = next(row.split(b": ")[1] for row in request.split(b"\r\n") if row.lower().startswith(b"sec-websocket-key"))
    accepted = base64.b64encode(hashlib.sha1(key + GUID).digest())
    line.receive_data(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Region: eu\r\n"
        b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n",
        100.2,
    )
    return request
