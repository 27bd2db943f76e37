"""The UDP socket of SIP (RFC 3261 section 18).

Host names (of trunks) are resolved by the loop's threads and remembered for a minute; what is sent to a name that is
not found has failed at once. Leaves out TCP, TLS and SRV.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, TypeAlias, cast

Address: TypeAlias = tuple[str, int]

_BUFFER: Final = 1024 * 1024  # bytes each way; a burst of calls while control is busy for a moment
_NAME_LIFE: Final = 60.0  # seconds a resolved name is used; trunks' records live from 30 s to some minutes
_MAX_RESOLVING: Final = 64  # names looked up at once; a configuration has a handful of trunks

log = logging.getLogger(__name__)


class SipSocket(asyncio.DatagramProtocol):
    """Datagrams in by `on_datagram(data, source)`, out by `send`; `on_unresolved(address)`: its name is not found."""

    def __init__(
        self, on_datagram: Callable[[bytes, Address], None], on_unresolved: Callable[[Address], None] = lambda _: None
    ) -> None:
        self._on_datagram = on_datagram
        self._on_unresolved = on_unresolved
        self._transport: asyncio.DatagramTransport | None = None
        self._family = socket.AF_INET
        self._closed = asyncio.get_running_loop().create_future()
        self._names: dict[str, tuple[float, str]] = {}
        self._resolving: set[asyncio.Task[None]] = set()
        self.send_errors = 0
        """Datagrams that the kernel did not take or a peer's host refused."""

    async def open(self, host: str, port: int) -> None:
        """Bind. Raises OSError."""
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        one = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            one.bind((host, port))
        except BaseException:
            one.close()
            raise
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=one)

    def send(self, data: bytes, address: Address) -> None:
        """Send; what fails is counted, SIP's timers send again."""
        host, port = address
        if _is_address(host):
            self._send_to(data, host, port)
            return
        known = self._names.get(host)
        loop = asyncio.get_running_loop()
        if known is not None and known[0] > loop.time():
            self._send_to(data, known[1], port)
        elif len(self._resolving) >= _MAX_RESOLVING:
            self.error_received(OSError(f"too many names to resolve before {host}"))
            loop.call_soon(self._on_unresolved, address)  # the sender is in the middle of its work
        else:
            task = loop.create_task(self._resolve(data, host, port))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    async def _resolve(self, data: bytes, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=self._family, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            log.warning("the SIP host %s cannot be resolved: %s", host, error)
            self.send_errors += 1
            self._on_unresolved((host, port))
            return
        address = str(found[0][4][0])
        self._names[host] = (loop.time() + _NAME_LIFE, address)
        self._send_to(data, address, port)

    def _send_to(self, data: bytes, host: str, port: int) -> None:
        if self._transport is None:
            return
        if not 0 < port < 65_536:  # the transport would take the error for its own end
            self.error_received(OSError(f"{port} is no port"))
            return
        self._transport.sendto(data, (host, port))

    async def close(self) -> None:
        """Close the socket."""
        for task in tuple(self._resolving):
            task.cancel()
        await asyncio.gather(*self._resolving, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # 3.11's own is none by isinstance

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._on_datagram(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        self.send_errors += 1
        log.debug("a SIP datagram was not sent: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._closed.done():
            self._closed.set_result(None)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
