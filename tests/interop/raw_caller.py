"""A caller of bytes over UDP, for what a real client does only when something is broken: an ACK that never comes,
an INVITE sent again, a description with bare line feeds."""

import asyncio
import re
from typing import Self

from .peers import HOST, PATIENCE

_COUNT = iter(range(1, 1_000))


class RawCaller(asyncio.DatagramProtocol):
    """One dialog by hand. Use as `async with RawCaller(number, (host, port)) as caller:`."""

    def __init__(self, number: str, target: tuple[str, int]) -> None:
        self._number = number
        self._target = target
        self._transport: asyncio.DatagramTransport | None = None
        self._changed = asyncio.Event()
        self._id = f"raw-{next(_COUNT)}"
        self._port = 0
        self.answers: list[str] = []
        """Every response, whole, in order; retransmissions too."""
        self.requests: list[str] = []
        """Methods that the other side sent; each is answered 200."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self._port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()
        await asyncio.sleep(0)

    def sdp(self, *media: str, address: str = HOST, line_end: str = "\r\n") -> str:
        """An offer; without `media` lines one of PCMU that leads nowhere (port 9, RFC 863)."""
        head = ("v=0", f"o=raw 1 1 IN IP4 {HOST}", "s=-", f"c=IN IP4 {address}", "t=0 0")
        return line_end.join([*head, *(media or ("m=audio 9 RTP/AVP 0",)), ""])

    def send(self, method: str, sequence: int, body: str = "", *, headers: tuple[str, ...] = ()) -> None:
        """A request of the dialog; the same method and number have the same branch, and so are a retransmission."""
        assert self._transport is not None
        answered = next((each for each in reversed(self.answers) if each.startswith("SIP/2.0 2")), "")
        contact = re.search(r"(?im)^Contact:.*<([^>]+)>", answered)
        tag = re.search(r"(?im)^To:.*;tag=([^;\s]+)", answered)
        host, port = self._target
        uri = contact[1] if contact else f"sip:{self._number}@{host}:{port}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self._port};branch=z9hG4bK{self._id}{method}{sequence};rport",
            f"From: <sip:raw@{HOST}:{self._port}>;tag={self._id}",
            f"To: <sip:{self._number}@{host}:{port}>" + (f";tag={tag[1]}" if tag else ""),
            f"Call-ID: {self._id}@{HOST}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:raw@{HOST}:{self._port}>",
            "Max-Forwards: 70",
            *headers,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        self._transport.sendto("\r\n".join(lines).encode(), self._target)

    def throw(self, data: bytes) -> None:
        """A datagram of any bytes."""
        assert self._transport is not None
        self._transport.sendto(data, self._target)

    async def answered(self, code: int, *, times: int = 1, method: str = "INVITE", within: float = PATIENCE) -> str:
        """Until a response of that code to that method came so often; the last of them."""
        try:
            async with asyncio.timeout(within):
                while len(found := self._with(code, method)) < times:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = [each.split("\r\n", 1)[0] for each in self.answers]
            raise AssertionError(f"no {code} to {method} {times} times; there were {seen}") from None
        return found[-1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = data.decode()
        if message.startswith("SIP/2.0"):
            self.answers.append(message)
        else:
            assert self._transport is not None
            self.requests.append(message.split(" ", 1)[0])
            kept = re.findall(r"(?im)^((?:Via|From|To|Call-ID|CSeq):.*)\r$", message)
            reply = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
            self._transport.sendto(reply.encode(), addr)
        self._changed.set()

    def _with(self, code: int, method: str) -> list[str]:
        wanted = re.compile(rf"(?i)\ASIP/2\.0 {code} (?s:.*?)\r\nCSeq:\s*\d+ {method}\r\n")
        return [each for each in self.answers if wanted.match(each)]
