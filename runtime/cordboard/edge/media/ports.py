"""RTP/RTCP port pairs of one plane (RFC 3550 section 11: RTP on an even port, RTCP on the next).

Datagrams go out without blocking; what the kernel refuses is counted and lost, as any datagram may be.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]
Received: TypeAlias = Callable[[int, bytes, Address], None]

READS_PER_WAKE: Final = 3  # datagrams; a burst on one port must not delay the other calls' tick
MAX_DATAGRAM: Final = 2048  # bytes; Ethernet carries 1,500, more is no RTP of a phone
_BUFFER: Final = 64 * 1024  # bytes of a socket's receive buffer: some seconds of G.711 at a stalled loop


class NoPortsLeft(OSError):
    """Every pair of the plane's range is in use."""


class PortPairs:
    """Opens, reads and closes pairs. `on_rtp` and `on_rtcp` get (RTP port, datagram, source)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        ports: range,
        on_rtp: Received,
        on_rtcp: Received,
    ) -> None:
        """`ports`: even RTP ports of this plane alone."""
        self._loop = loop
        self._host = host
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._ports = ports
        self._next = self._rotation()
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        self.send_errors = 0
        """Datagrams that the kernel did not take."""

    def open(self) -> int:
        """Open the next free pair; its RTP port. Raises NoPortsLeft."""
        for _ in range(len(self._ports)):
            port = next(self._next)
            if port in self._pairs:
                continue
            try:
                rtp = self._bind(port)
            except OSError:
                continue  # another program has it
            try:
                rtcp = self._bind(port + 1)
            except OSError:
                rtp.close()
                continue
            self._pairs[port] = (rtp, rtcp)
            self._loop.add_reader(rtp, self._read, rtp, port, self._on_rtp)
            self._loop.add_reader(rtcp, self._read, rtcp, port, self._on_rtcp)
            return port
        raise NoPortsLeft(errno.EADDRINUSE, f"no pair free between {self._ports[0]} and {self._ports[-1] + 1}")

    def close(self, port: int) -> None:
        """Close a pair; an unknown port is nothing."""
        for one in self._pairs.pop(port, ()):
            self._loop.remove_reader(one)
            one.close()

    def close_all(self) -> None:
        """Close every pair."""
        for port in tuple(self._pairs):
            self.close(port)

    def send(self, port: int, data: bytes, address: Address) -> None:
        """Send from a local port, RTP or RTCP."""
        pair = self._pairs.get(port & ~1)
        if pair is None:
            self.send_errors += 1
            return
        try:
            pair[port & 1].sendto(data, address)
        except OSError:  # full buffer, no route, port unreachable: the next frame comes in 20 ms
            self.send_errors += 1

    def _rotation(self) -> Iterator[int]:
        while True:  # a closed port rests as long as the range allows, so that late packets meet nobody
            yield from self._ports

    def _bind(self, port: int) -> socket.socket:
        one = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            one.bind((self._host, port))
        except BaseException:
            one.close()
            raise
        return one

    def _read(self, one: socket.socket, port: int, receive: Received) -> None:
        for _ in range(READS_PER_WAKE):
            try:
                data, source = one.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error of an earlier datagram, reported on this socket
                continue
            receive(port, data, (source[0], source[1]))
            if port not in self._pairs:
                return


def share_of(first: int, last: int, plane: int, planes: int) -> range:
    """The even ports of `first` to `last` that belong to one of `planes` planes, interleaved."""
    return range(first + 2 * plane, last, 2 * planes)
