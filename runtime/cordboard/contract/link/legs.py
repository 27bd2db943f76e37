"""Legs: their media, their digits, and who hears whom."""

from dataclasses import dataclass
from typing import Literal

from .wire import message

# --- control → plane


@message
@dataclass(frozen=True, slots=True)
class LegMedia:
    """Make a leg or change its media; a leg lives on one port to its end."""

    leg: str
    """Unit id."""
    port: int
    """RTP port from the plane's stock."""
    codec: Literal["PCMU", "PCMA"] = "PCMU"
    """What we send."""
    remote: tuple[str | int, ...] = ()
    """(host, port) of the peer's RTP; empty: not known yet."""
    remote_rtcp: tuple[str | int, ...] = ()
    """(host, port) of the peer's RTCP."""
    send_payload_type: int = 0
    """Payload type towards the peer."""
    dtmf_send: int | None = None
    """Payload type of telephone-event towards the peer."""
    dtmf_receive: int | None = None
    """Payload type of telephone-event from the peer."""
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] = "sendrecv"
    """Ours."""
    on_hold: bool = False
    """The peer holds us: silence to its agent, what it would hear is discarded."""
    answered: bool = False
    """The leg is answered: a silent peer is reported."""
    confirm: str | None = None
    """Done when in force."""


@message
@dataclass(frozen=True, slots=True)
class LegClose:
    """The leg is over; its port goes back."""

    leg: str
    """Unit id."""


@message
@dataclass(frozen=True, slots=True)
class LegFallback:
    """What a leg hears while no source is routed to it."""

    leg: str
    """Unit id."""
    source: str = ""
    """`ringback`, the id of a leg whose early media it hears, or empty for nothing; `comfort`: the comfort tone, which
    is heard beneath a source that is silent, too."""


@message
@dataclass(frozen=True, slots=True)
class LegDigits:
    """Send RFC 4733 digits on a leg."""

    leg: str
    """Unit id."""
    digits: str
    """0-9 * # A-D."""
    confirm: str | None = None
    """Done when queued."""


@message
@dataclass(frozen=True, slots=True)
class LegInfoDigit:
    """A digit that came by SIP INFO; counted once with those of RFC 4733."""

    leg: str
    """Unit id."""
    digit: str
    """One digit."""


@message
@dataclass(frozen=True, slots=True)
class LegGather:
    """Keep a leg's digits from the agents and legs that hear it, and count them for a gather, from this moment on.

    It is over within the tick of the digit that completes it, or by `LegGatherEnd`; another one takes its place.
    """

    leg: str
    """Unit id."""
    gather: str
    """Identity of the gather, which its digits carry."""
    max_digits: int
    """So many complete it."""
    finish_on: str = ""
    """Keys that complete it, too."""
    secret: bool = False
    """Nobody hears the leg's peer meanwhile, its recording is silent: phones may send tones beside the events."""
    confirm: str | None = None
    """Done when in force."""


@message
@dataclass(frozen=True, slots=True)
class LegGatherEnd:
    """Digits go their usual ways again; nothing happens where that gather is over."""

    leg: str
    """Unit id."""
    gather: str
    """Identity of the gather."""
    confirm: str | None = None
    """Done after its last digit."""


@message
@dataclass(frozen=True, slots=True)
class LegPlayout:
    """Say when what the leg hears of its agent has been heard out (DESIGN §1, at most 15 s)."""

    leg: str
    """Unit id."""
    confirm: str
    """Done when it is over."""


@message
@dataclass(frozen=True, slots=True)
class Route:
    """`sink` hears `source`; replaces the sink's former source and says so."""

    source: str
    """Unit id."""
    sink: str
    """Unit id."""


@message
@dataclass(frozen=True, slots=True)
class Unroute:
    """Stop `sink` hearing `source`; what is queued is discarded."""

    source: str
    """Unit id."""
    sink: str
    """Unit id."""


# --- plane → control


@message
@dataclass(frozen=True, slots=True)
class LegDigit:
    """A digit from the peer, counted once."""

    leg: str
    """Unit id."""
    digit: str
    """One of 0-9 * # A-D."""
    gather: str = ""
    """The gather that it belongs to; nobody else was told. Empty: agents and legs that hear the leg were."""
    last: bool = False
    """It completed the gather."""


@message
@dataclass(frozen=True, slots=True)
class LegSilent:
    """20 s without RTP and RTCP, not on hold."""

    leg: str
    """Unit id."""


@message
@dataclass(frozen=True, slots=True)
class LegAudible:
    """The first RTP of a leg arrived."""

    leg: str
    """Unit id."""


@message
@dataclass(frozen=True, slots=True)
class MediaNote:
    """Audio of a source started, ended, or was replaced at a sink."""

    type: Literal["media.started", "media.ended", "media.replaced"]
    """Event type."""
    source: str
    """Unit id."""
    sink: str = ""
    """Unit id."""
    by: str = ""
    """Unit id of the source that took the place."""


@message
@dataclass(frozen=True, slots=True)
class Speech:
    """The peer of a leg spoke, by energy."""

    leg: str
    """Unit id."""
    seconds: float
    """Length of the utterance."""
    began: float
    """Monotonic seconds of its begin."""
