"""The transaction layer: finds the transaction of a message, starts new ones, collects what is to be sent.

Matching follows RFC 3261 §17.1.3 and §17.2.3, with the old rule for branches without the magic cookie (RFC 2543 peers);
the old rule leaves the To tag out, so that one key serves INVITE, ACK and CANCEL. Responses go where RFC 3261 §18.2.2
and RFC 3581 §4 say. Only UDP is written here: a stream transport would bring its own `Intervals` (no retransmission),
its name in Via, and the connection in place of the address.
"""

import random
from collections import deque
from collections.abc import Callable

from cordboard.sip.client_invite import ClientInvite
from cordboard.sip.client_non_invite import ClientNonInvite
from cordboard.sip.events import Event, Traced
from cordboard.sip.grammar import GrammarError, parameter
from cordboard.sip.machine import Machine
from cordboard.sip.message import MAGIC_COOKIE, Request, Response, make_response
from cordboard.sip.server_invite import ServerInvite
from cordboard.sip.server_non_invite import ServerNonInvite
from cordboard.sip.timers import Intervals, TimerQueue
from cordboard.sip.uri import DEFAULT_PORT, Address

MAX_TRANSACTIONS = 20_000  # live ones; each lives 32 s, so 600 a second, some 60 MB of messages; then new ones get 503

Key = tuple[str, ...]


def server_key(request: Request, method: str = "") -> Key:
    """The key of a request's server transaction (§17.2.3). ACK has the key of its INVITE; `method` overrides."""
    name = method or request.method
    if name == "ACK":
        name = "INVITE"
    via = request.via
    if via.branch.startswith(MAGIC_COOKIE) and len(via.branch) > len(MAGIC_COOKIE):
        return (via.branch, via.sent_by, name)
    return ("", request.uri, request.from_.tag, request.call_id, str(request.cseq.number), str(via), name)


def response_address(request: Request, source: Address) -> Address:
    """Where responses to `request` go: the source, or the source's host and the port in Via without rport."""
    via = request.via
    if parameter(via.parameters, "rport") is not None:
        return source
    return source[0], via.port or DEFAULT_PORT


def mark_received(request: Request, source: Address) -> None:
    """Write received and rport into the top Via (RFC 3261 §18.2.1, RFC 3581 §4)."""
    via = request.via
    marked = via
    if parameter(via.parameters, "rport") is not None:
        marked = marked.with_parameter("rport", str(source[1])).with_parameter("received", source[0])
    elif via.host != source[0]:
        marked = marked.with_parameter("received", source[0])
    if marked is via:
        return
    listed = request.headers.listed("Via")
    request.headers.set("Via", ", ".join([str(marked), *listed[1:]]))


class TransactionLayer:
    """All live transactions of one agent, its timers, its outgoing datagrams and its events."""

    def __init__(self, *, rng: random.Random, intervals: Intervals) -> None:
        self.rng = rng
        self.intervals = intervals
        self.timers = TimerQueue()
        self.outbox: list[tuple[bytes, Address]] = []
        self.events: deque[Event] = deque()
        self._clients: dict[tuple[str, str], ClientInvite | ClientNonInvite] = {}
        self._servers: dict[Key, ServerInvite | ServerNonInvite] = {}
        self._requests: dict[tuple[str, str, int, str], Key] = {}

    @property
    def live(self) -> int:
        """Number of live transactions."""
        return len(self._clients) + len(self._servers)

    @property
    def full(self) -> bool:
        return self.live >= MAX_TRANSACTIONS

    def token(self, bits: int = 64) -> str:
        """A random token for tags, branches and ids."""
        return f"{self.rng.getrandbits(bits):0{bits // 4}x}"

    def branch(self) -> str:
        return MAGIC_COOKIE + self.token(80)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def transmit(
        self,
        message: Request | Response,
        address: Address,
        *,
        leg: str | None = None,
        data: bytes = b"",
        retransmission: bool = False,
    ) -> None:
        """Queue a datagram and report it. `data`: the bytes, when they are known already."""
        data = data or message.to_bytes()
        self.outbox.append((data, address))
        try:
            summary = message.summary
        except GrammarError:  # the refusal of a request whose CSeq is unreadable
            summary = message.start_line()[8:]
        self.emit(Traced("out", data, address, leg, summary, retransmission))

    # client side

    def start_invite(
        self,
        request: Request,
        destination: Address,
        leg: str,
        *,
        on_response: Callable[[Response, float], None],
        on_failure: Callable[[int, float], None],
        now: float,
        resume: bool = False,
    ) -> ClientInvite:
        """Send an INVITE; `resume`: it was sent in a former life, only wait for its responses."""
        machine = ClientInvite(
            request,
            destination,
            state="initial",
            intervals=self.intervals,
            timers=self.timers,
            transmit=self._machine_transmits,
            on_end=self._client_ended,
            leg=leg,
        )
        machine.on_response, machine.on_failure = on_response, on_failure
        self._clients[(request.via.branch, "INVITE")] = machine
        machine.feed("resume" if resume else "start", now)
        return machine

    def start_request(
        self,
        request: Request,
        destination: Address,
        leg: str | None,
        *,
        on_response: Callable[[Response, float], None],
        on_failure: Callable[[int, float], None],
        now: float,
    ) -> None:
        """Send any other request but ACK."""
        machine = ClientNonInvite(
            request,
            destination,
            state="initial",
            intervals=self.intervals,
            timers=self.timers,
            transmit=self._machine_transmits,
            on_end=self._client_ended,
            leg=leg,
        )
        machine.on_response, machine.on_failure = on_response, on_failure
        self._clients[(request.via.branch, request.method)] = machine
        machine.feed("start", now)

    def transport_failed(self, destination: Address, now: float) -> None:
        """Fail what is being sent to `destination` and has had no final response."""
        for machine in list(self._clients.values()):
            if machine.destination == destination:
                machine.feed("transport_error", now)

    def client_of(self, response: Response) -> ClientInvite | ClientNonInvite | None:
        """The transaction that a response belongs to: branch and CSeq method (§17.1.3)."""
        return self._clients.get((response.via.branch, response.cseq.method))

    # server side

    def server_of(self, request: Request, method: str = "") -> ServerInvite | ServerNonInvite | None:
        return self._servers.get(server_key(request, method))

    def is_merged(self, request: Request) -> bool:
        """Whether the same request came before on another path (§8.2.2.2). Its own transaction must not exist yet."""
        return self._identity(request) in self._requests

    def open_invite(self, request: Request, source: Address) -> ServerInvite:
        """Begin an INVITE server transaction; nothing is sent yet."""
        machine = ServerInvite(
            request,
            response_address(request, source),
            state="proceeding",
            intervals=self.intervals,
            timers=self.timers,
            transmit=self._machine_transmits,
            on_end=self._server_ended,
        )
        self._register(request, machine)
        return machine

    def open_request(self, request: Request, source: Address) -> ServerNonInvite:
        """Begin a non-INVITE server transaction; nothing is sent yet."""
        machine = ServerNonInvite(
            request,
            response_address(request, source),
            state="trying",
            intervals=self.intervals,
            timers=self.timers,
            transmit=self._machine_transmits,
            on_end=self._server_ended,
        )
        self._register(request, machine)
        return machine

    def answer_without_state(self, request: Request, source: Address, code: int, to_tag: str, reason: str = "") -> None:
        """Answer once and forget (§8.2.7)."""
        self.transmit(make_response(request, code, reason, to_tag=to_tag), response_address(request, source))

    def _register(self, request: Request, machine: ServerInvite | ServerNonInvite) -> None:
        key = server_key(request)
        self._servers[key] = machine
        if not request.to.tag:
            self._requests.setdefault(self._identity(request), key)

    @staticmethod
    def _identity(request: Request) -> tuple[str, str, int, str]:
        cseq = request.cseq
        return request.call_id, request.from_.tag, cseq.number, cseq.method

    def _machine_transmits(self, machine: Machine, message: Request | Response, data: bytes, again: bool) -> None:
        self.transmit(message, machine.destination, leg=machine.leg, data=data, retransmission=again)

    def _client_ended(self, machine: Machine) -> None:
        self._clients.pop((machine.request.via.branch, machine.request.method), None)

    def _server_ended(self, machine: Machine) -> None:
        key = server_key(machine.request)
        self._servers.pop(key, None)
        identity = self._identity(machine.request)
        if self._requests.get(identity) == key:
            del self._requests[identity]
