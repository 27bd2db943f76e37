"""A peer that writes its requests by hand, so that each rule of the callee's side can be broken one at a time."""

import random
from dataclasses import dataclass, field

from cordboard.sip.events import Event
from cordboard.sip.message import Headers, Request, Response
from cordboard.sip.parser import parse
from cordboard.sip.ua import UserAgent
from cordboard.sip.uri import Address

from .sip_wire import ALICE, ANSWER, BOB, OFFER


@dataclass
class Peer:
    """One agent under test (BOB) and the requests of ALICE."""

    agent: UserAgent = field(default_factory=lambda: UserAgent(address=BOB, rng=random.Random(3)))
    now: float = 0.0
    sent: list[tuple[Request | Response, Address]] = field(default_factory=list)
    branches: int = 0
    to: str = "<sip:bob@192.0.2.2>"

    def request(
        self, method: str, cseq: int = 1, *headers: tuple[str, str], body: bytes = b"", branch: str = "", **changed: str
    ) -> Request:
        """A request; `changed` replaces From, To, Call-ID (call_id), Via or the URI, "" leaves the header out."""
        self.branches += not branch
        via = f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch or f'z9hG4bKp{self.branches}'};rport"
        lines = [
            ("Via", changed.get("via", via)),
            ("From", changed.get("from_", "<sip:alice@192.0.2.1>;tag=al")),
            ("To", changed.get("to", self.to)),
            ("Call-ID", changed.get("call_id", "one")),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", changed.get("contact", "<sip:alice@192.0.2.1:5060>")),
            *headers,
        ]
        if body and not any(name == "Content-Type" for name, _ in headers):
            lines.append(("Content-Type", "application/sdp"))
        return Request(
            Headers(line for line in lines if line[1]), body, method, changed.get("uri", "sip:bob@192.0.2.2")
        )

    def give(self, message: Request | Response, source: Address = ALICE) -> list[Response]:
        """Deliver a message; the responses that come back at once."""
        self.agent.receive_datagram(message.to_bytes(), source, self.now)
        return self.take()

    def take(self) -> list[Response]:
        found = [(parse(data), address) for data, address in self.agent.data_to_send(self.now)]
        self.sent += found
        return [message for message, _ in found if isinstance(message, Response)]

    def requests(self) -> list[Request]:
        """Requests that the agent sent since the last look."""
        self.take()
        found = [message for message, _ in self.sent if isinstance(message, Request)]
        self.sent.clear()
        return found

    def events(self, *kinds: type[Event]) -> list[Event]:
        found: list[Event] = []
        while (event := self.agent.next_event()) is not None:
            if isinstance(event, kinds):
                found.append(event)
        return found

    def answered(self, *headers: tuple[str, str], **changed: str) -> str:
        """Call, be answered, send ACK; returns the leg."""
        self.give(self.request("INVITE", 1, *headers, body=OFFER, **changed))
        leg = self.agent.legs[-1]
        self.agent.respond(leg, 200, sdp=ANSWER, now=self.now)
        response = self.take()[-1]
        self.to = response.headers.get("To") or ""
        self.give(self.request("ACK", 1))
        return leg

    def at(self, now: float) -> None:
        """Let time pass, timer by timer."""
        while (due := self.agent.next_timer()) is not None and due <= now:
            self.now = due
            self.agent.on_timer(due)
        self.now = now


def codes(responses: list[Response]) -> list[int]:
    return [response.code for response in responses]
