"""What a UserAgent reports. Every leg ends in exactly one of Failed, Ended or HungUp; only Traced may follow it."""

from dataclasses import dataclass
from typing import Literal

from cordboard.sip.message import Request, Response
from cordboard.sip.uri import Address


@dataclass(frozen=True, slots=True)
class IncomingInvite:
    """A new call. 100 has been sent; `respond` does the rest."""

    leg: str
    """Opaque, unique id of the leg."""
    request: Request
    """The INVITE as it came, all headers in order."""
    source: Address
    """Where it came from."""
    sdp: bytes | None
    """The offer; None for a late offer: then the 200 carries ours and Acked the answer."""
    from_uri: str
    """URI of From."""
    to_uri: str
    """URI of To."""
    request_uri: str
    """Request-URI as written."""
    caller: str
    """User part of From, unescaped; "" when there is none. Asserted identities are the reader's business."""
    callee: str
    """User part of the Request-URI, unescaped."""
    display_name: str
    """Display name of From."""


@dataclass(frozen=True, slots=True)
class Provisional:
    """101 to 199 to our INVITE (100 is not reported)."""

    leg: str
    code: int
    reason: str
    sdp: bytes | None
    """Early media, if any."""
    to_tag: str
    """Which fork says so; "" when the response has none."""
    response: Response


@dataclass(frozen=True, slots=True)
class Answered:
    """The first 2xx to our INVITE; ACK has been sent."""

    leg: str
    sdp: bytes | None
    """The answer; None when the 2xx has none (it may have come in a Provisional)."""
    response: Response


@dataclass(frozen=True, slots=True)
class Failed:
    """Our INVITE came to nothing; the leg is over."""

    leg: str
    code: int
    """Final response; 408 when none came, 503 when the transport failed."""
    reason: str
    response: Response | None
    """None when nobody answered."""


@dataclass(frozen=True, slots=True)
class Acked:
    """The ACK for our 2xx came (to an INVITE or a re-INVITE)."""

    leg: str
    sdp: bytes | None
    """The answer to our offer, when ours was in the 2xx."""


@dataclass(frozen=True, slots=True)
class AckMissing:
    """No ACK within 64*T1. BYE has been sent; HungUp follows."""

    leg: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The other side hung up; its request has been answered, the leg is over."""

    leg: str
    by: Literal["bye", "cancel"]
    """Which request ended it."""
    reason: str
    """Reason header (RFC 3326) as written, or ""."""
    request: Request


@dataclass(frozen=True, slots=True)
class HungUp:
    """We ended the leg (BYE, CANCEL or a final response of ours) and that is finished."""

    leg: str
    code: int
    """Final response to our BYE, or to the cancelled INVITE; 408 when none came; our own code when we refused;
    487 when the other side's BYE came while our hangup still waited for an ACK or a final response."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A re-INVITE or an UPDATE with an offer; `answer_offer` answers it."""

    leg: str
    sdp: bytes | None
    """None for a re-INVITE without SDP: the answer is then our offer, and Acked brings theirs."""
    method: Literal["INVITE", "UPDATE"]


@dataclass(frozen=True, slots=True)
class OfferWithdrawn:
    """The open re-INVITE was cancelled; 487 has been sent, the session stays as it was."""

    leg: str


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """INFO in the dialog; 200 has been sent. `info.parse_info_digit` reads digits."""

    leg: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The end of a `ping`."""

    leg: str
    code: int
    """Final response; 408 when none came. After 408 and 481 the agent ends the leg by itself (§12.2.1.2)."""


@dataclass(frozen=True, slots=True)
class Traced:
    """One SIP message on the wire."""

    direction: Literal["in", "out"]
    data: bytes
    address: Address
    """The other side."""
    leg: str | None
    """None when it belongs to no leg."""
    summary: str
    """`INVITE sip:…` or `200 OK (INVITE)`."""
    retransmission: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """A datagram that was dropped without an answer."""

    reason: str
    """unknown_source, rate, busy, malformed, not_sip, stray_response, stray_ack."""
    source: Address


Event = (
    IncomingInvite
    | Provisional
    | Answered
    | Failed
    | Acked
    | AckMissing
    | Ended
    | HungUp
    | Offered
    | OfferWithdrawn
    | InfoReceived
    | Pong
    | Traced
    | Dropped
)
