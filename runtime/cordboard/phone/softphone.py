"""A phone: one SIP user agent on one UDP port, with as many calls as it is given.

The shell around `cordboard.sip.ua.UserAgent`: socket, clock and timer. Follows DESIGN section 2 (phone).

Left out: registration, TCP, TLS, SRTP, IPv6.
"""

import asyncio
import logging
import random
import socket
from collections import deque
from collections.abc import Callable, Sequence

from cordboard.phone.call import CallStateError, PhoneCall
from cordboard.phone.datagrams import DatagramSocket, address_towards
from cordboard.sip.events import Dropped, Event, IncomingInvite, Traced
from cordboard.sip.ua import UserAgent
from cordboard.sip.uri import DEFAULT_PORT, Address, SipUri, format_host_port, parse_uri

CALLS_LIMIT = 32
"""Calls at one time; the next one gets 486. A phone of a person has two, a test's a dozen."""

ENDED_KEPT = 64
"""Ended calls whose late events are still told to them."""

WAITING_LIMIT = 64
"""Incoming calls that wait for `incoming`; with auto-answer nobody may ask for them, and the oldest is dropped."""

CLOSE_SECONDS = 2.0
"""Time that `close` gives the other sides to answer our BYE: a few retransmissions (0.5, 1, 2 s in RFC 3261)."""

_log = logging.getLogger(__name__)


class Softphone:
    """Use as `async with Softphone() as phone:`, or with `start` and `close`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        sip_port: int = 0,
        user: str = "alice",
        codecs: tuple[str, ...] = ("PCMU", "PCMA"),
        auto_answer: float | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """`host` is an IPv4 address of this machine or 0.0.0.0; `sip_port` 0 takes a free one. `auto_answer` is how
        many seconds an incoming call rings before it is answered by itself; None leaves it to the program."""
        self._host = host
        self._port = sip_port
        self._user = user
        self._codecs = codecs
        self._auto_answer = auto_answer
        self._rng = rng or random.Random()
        self._socket: DatagramSocket | None = None
        self._agent: UserAgent | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answers: set[asyncio.TimerHandle] = set()
        self._flushing = False
        self._calls: dict[str, PhoneCall] = {}
        self._waiting: deque[PhoneCall] = deque(maxlen=WAITING_LIMIT)
        self._arrived = asyncio.Event()
        self.on_trace: Callable[[Traced], None] | None = None
        """Called with every SIP message, if set. Must not raise."""
        self.dropped = 0
        """Datagrams that were dropped without an answer."""

    async def __aenter__(self) -> "Softphone":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def address(self) -> Address:
        """Where the phone takes SIP. CallStateError before `start`."""
        return self._open_socket().address

    @property
    def uri(self) -> str:
        """Its SIP URI, for a caller on the same machine or network."""
        host, port = self.address
        return f"sip:{self._user}@{format_host_port(host, port)}"

    @property
    def live_calls(self) -> list[PhoneCall]:
        """Calls that have not ended."""
        return [call for call in self._calls.values() if not call.over]

    async def start(self) -> None:
        """Binds the SIP port. OSError as `bind` has it."""
        if self._socket is not None:
            raise CallStateError("the phone has been started before")
        self._socket = DatagramSocket(self._host, self._port, self._receive)
        self._agent = UserAgent(
            address=self._socket.address,
            advertise=self._advertise,
            contact_user=self._user,
            product="Cordboard-phone",
            rng=self._rng,
        )

    async def close(self) -> None:
        """Hangs up all calls, waits for their end for up to CLOSE_SECONDS, and frees every socket. Idempotent."""
        if self._socket is None or self._agent is None:
            return
        self._agent.refuse_new()
        for answer in self._answers:
            answer.cancel()
        self._answers.clear()
        for call in self.live_calls:
            call.hangup()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                for call in self.live_calls:
                    await call.wait_ended()
        except TimeoutError:
            _log.warning("%d calls were left without an answer to our BYE", len(self.live_calls))
        finally:
            for call in self.live_calls:
                call.abandon()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            self._socket.close()

    async def call(self, uri: str, *, headers: Sequence[tuple[str, str]] = (), early: bool = False) -> PhoneCall:
        """Sends an INVITE to a sip: URI and returns without waiting for an answer. With `early` the phone sends sound
        as soon as the other side offers early media. ValueError for a URI that cannot be called, OSError for a name
        that is not found."""
        agent = self._open_agent()
        parsed = parse_uri(uri)
        if not isinstance(parsed, SipUri) or parsed.scheme != "sip":
            raise ValueError(f"a phone calls sip: URIs, not {uri[:60]!r}")
        destination = await _resolve(parsed)
        host = self._advertise(destination)
        call = PhoneCall(agent, self._flush, host, self._host, self._codecs, self._rng, None, early)
        try:
            call.start(uri, f"sip:{self._user}@{host}", tuple(headers), destination)
        except ValueError:
            call.abandon()
            raise
        self._keep(call)
        self._flush()
        return call

    async def incoming(self, timeout: float | None = None) -> PhoneCall:
        """The next incoming call, which may ring, be answered or have ended by now. TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                while not self._waiting:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"no call within {timeout} s") from None
        return self._waiting.popleft()

    # The wire

    def _receive(self, data: bytes, source: Address) -> None:
        agent = self._open_agent()
        agent.receive_datagram(data, source, self._now())
        self._flush()

    def _wake(self) -> None:
        self._timer = None
        self._open_agent().on_timer(self._now())
        self._flush()

    def _flush(self) -> None:
        """Sends what is to be sent, tells what has happened, sets the timer. A call that acts on an event comes back
        here; the outer round then does its work."""
        if self._flushing:
            return
        agent, sip = self._open_agent(), self._open_socket()
        self._flushing = True
        try:
            busy = True
            while busy:
                busy = False
                for data, destination in agent.data_to_send(self._now()):
                    sip.send(data, destination)
                while (event := agent.next_event()) is not None:
                    busy = True
                    self._dispatch(event)
        finally:
            self._flushing = False
        if self._timer is not None:
            self._timer.cancel()
        due = agent.next_timer()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._wake)

    def _dispatch(self, event: Event) -> None:
        match event:
            case Traced():
                if self.on_trace is not None:
                    self.on_trace(event)
            case Dropped():
                self.dropped += 1
            case IncomingInvite():
                self._invited(event)
            case _:
                call = self._calls.get(event.leg)
                if call is not None:
                    call.receive_event(event)

    def _invited(self, event: IncomingInvite) -> None:
        agent = self._open_agent()
        if len(self.live_calls) >= CALLS_LIMIT:
            agent.respond(event.leg, 486, now=self._now())
            return
        host = self._advertise(event.source)
        try:
            call = PhoneCall(agent, self._flush, host, self._host, self._codecs, self._rng, event, False)
        except OSError as error:
            _log.warning("no port for the sound of a call: %s", error)
            agent.respond(event.leg, 500, now=self._now())
            return
        self._keep(call)
        self._waiting.append(call)
        self._arrived.set()
        if self._auto_answer is not None:
            self._answer_later(call, self._auto_answer)

    def _answer_later(self, call: PhoneCall, seconds: float) -> None:
        if seconds <= 0:
            call.answer()
            return
        call.ring()

        def answer() -> None:
            self._answers.discard(handle)
            if call.state == "ringing":
                call.answer()

        handle = asyncio.get_running_loop().call_later(seconds, answer)
        self._answers.add(handle)

    def _keep(self, call: PhoneCall) -> None:
        ended = [leg for leg, old in self._calls.items() if old.over]
        for leg in ended[: max(0, len(ended) - ENDED_KEPT + 1)]:
            del self._calls[leg]
        self._calls[call.leg] = call

    def _advertise(self, peer: Address) -> str:
        return address_towards(peer) if self._host == "0.0.0.0" else self._host

    def _open_agent(self) -> UserAgent:
        if self._agent is None:
            raise CallStateError("the phone has not been started")
        return self._agent

    def _open_socket(self) -> DatagramSocket:
        if self._socket is None:
            raise CallStateError("the phone has not been started")
        return self._socket

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _resolve(uri: SipUri) -> Address:
    """IPv4 address and port of the URI's host. OSError when there is none."""
    port = uri.port or DEFAULT_PORT
    found = await asyncio.get_running_loop().getaddrinfo(
        uri.host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM, proto=socket.IPPROTO_UDP
    )
    return str(found[0][4][0]), port
