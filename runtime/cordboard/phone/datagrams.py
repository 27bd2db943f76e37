"""One UDP socket of a phone in the running event loop.

Written on the loop's readers instead of its datagram transports, because a phone must be able to empty the socket at
one exact moment (`drain`): what the other side sent before it hung up has been heard when the call ends.

Left out: IPv6; event loops without `add_reader`.
"""

import asyncio
import socket
from collections.abc import Callable

from cordboard.sip.uri import Address

BATCH = 64
"""Datagrams read before other work gets its turn: more than a second of one call's audio."""

MAX_DATAGRAM = 65536
"""Octets of the largest UDP datagram."""


class DatagramSocket:
    """Bound, non-blocking, read as datagrams come."""

    def __init__(self, host: str, port: int, receive: Callable[[bytes, Address], None]) -> None:
        """Binds to `host` (an IPv4 address) and `port`, 0 for any free one. OSError as `bind` has it."""
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.unsent = 0
        """Datagrams that the system refused: full buffer, no route."""
        try:
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        name = self._socket.getsockname()
        self.address: Address = (name[0], name[1])
        """Where it is bound."""
        self._open = True
        self._loop.add_reader(self._socket.fileno(), self.drain)

    def send(self, data: bytes, to: Address) -> None:
        """Sends or counts as unsent; UDP promises no more."""
        if not self._open:
            return
        try:
            self._socket.sendto(data, to)
        except OSError:
            self.unsent += 1

    def drain(self) -> None:
        """Hands over what has arrived, up to BATCH datagrams."""
        for _ in range(BATCH):
            if not self._open:
                return
            try:
                data, source = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # an earlier datagram of ours was refused (ICMP); the next read is a new one
            self._receive(data, (source[0], source[1]))

    def close(self) -> None:
        """Stops reading and closes; may be called twice."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


def address_towards(peer: Address) -> str:
    """Address of this machine on the way to `peer`, 127.0.0.1 when there is no way. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(peer)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
