"""A callee behind a forking proxy, as bytes over UDP: what neither baresip nor sipp can do.

It answers one INVITE from two devices, which makes two dialogs of it (RFC 3261 section 13.2.2.4): the caller has to
ACK both 200s and to end one of the two with BYE.
"""

import asyncio
import re
from typing import Self

from .peers import HOST, PATIENCE

_SDP = "v=0\r\no=fork 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {rtp} RTP/AVP 0\r\na=sendrecv\r\n"


class ForkingCallee(asyncio.DatagramProtocol):
    """Use as `async with ForkingCallee(port, rtp_port) as fork:`."""

    def __init__(self, port: int, rtp_port: int) -> None:
        self._port = port
        self._sdp = _SDP.format(host=HOST, rtp=rtp_port)
        self._transport: asyncio.DatagramTransport | None = None
        self._changed = asyncio.Event()
        self.requests: list[tuple[str, str]] = []
        """Method and To tag of every request, in order; retransmissions too."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, self._port))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()
        await asyncio.sleep(0)

    async def until(self, *wanted: tuple[str, str], within: float = PATIENCE) -> None:
        """Until each of these requests came."""
        try:
            async with asyncio.timeout(within):
                while not set(wanted) <= set(self.requests):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"of {wanted} came {self.requests}") from None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = data.decode()
        method = message.split(" ", 1)[0]
        tag = re.search(r"(?im)^To:.*;tag=([^;\s]+)", message)
        repeated = method in {name for name, _ in self.requests}
        self.requests.append((method, tag[1] if tag else ""))
        self._changed.set()
        if method == "INVITE" and not repeated:
            for code, device, sdp in (
                ("180 Ringing", "a", ""),
                ("183 Session Progress", "b", self._sdp),
                ("200 OK", "a", self._sdp),
                ("200 OK", "b", self._sdp),
            ):
                self._respond(message, addr, code, device, sdp)
        elif method not in ("ACK", "INVITE"):
            self._respond(message, addr, "200 OK", "", "")

    def _respond(self, request: str, to: tuple[str, int], status: str, device: str, sdp: str) -> None:
        assert self._transport is not None
        kept = re.findall(r"(?im)^((?:Via|From|Call-ID|CSeq|Record-Route):.*)\r$", request)
        whom = re.findall(r"(?im)^(To:.*)\r$", request)[0] + (f";tag={device}" if device else "")
        lines = [f"SIP/2.0 {status}", *kept, whom, f"Contact: <sip:{device or 'fork'}@{HOST}:{self._port}>"]
        if sdp:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(sdp)}", "", sdp]
        self._transport.sendto("\r\n".join(lines).encode(), to)
