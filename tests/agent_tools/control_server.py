"""A control URL on the loopback interface: real sockets, one answer for each connection."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"ok": true}'

Behaviour = Callable[[socket.socket], None]


class ControlServer:
    """Keeps what was posted."""

    def __init__(self, behave: Behaviour) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/control/s3cret?k=v"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._receive(connection)
                    self._behave(connection)
                except OSError:
                    continue  # the client went away first

    def _receive(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        self.heads.append(head.decode())
        self.bodies.append(json.loads(body))

    def close(self) -> None:
        """Stop listening; returns when the thread is gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextmanager
def control(behave: bytes | Behaviour = OK) -> Iterator[ControlServer]:
    """A server that answers so, or does that."""
    server = ControlServer((lambda connection: connection.sendall(behave)) if isinstance(behave, bytes) else behave)
    try:
        yield server
    finally:
        server.close()
