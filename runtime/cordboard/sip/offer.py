"""Offer and answer for one audio stream: PCMU, PCMA, telephone-event (RFC 3264, 3551, 4733 §2.4, 6337, 3605).

One RTP/AVP audio stream is taken, every other m= line is refused with port 0. Leaves out: SRTP (RTP/SAVP is refused
with NotAcceptable, a=crypto beside RTP/AVP is passed over), ICE, rtcp-mux, other codecs. SRTP would begin at
`_PROFILES` and `Negotiated`.
"""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from cordboard.sip.sdp import Attributes, Media, SdpError, SessionDescription, is_address, parse_sdp
from cordboard.sip.uri import Address

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_PROFILES = ("RTP/AVP",)
_REVERSED: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_STATIC = {0: "PCMU", 8: "PCMA"}  # RFC 3551 table 4
_DYNAMIC_DTMF = 101  # the number that most trunks use
DEFAULT_PTIME = 20  # ms, RFC 3551 §4.2
MIN_PTIME, MAX_PTIME = 10, 60  # ms: what gateways ask for; anything else is a mistake, and 20 is sent


class NotAcceptable(ValueError):
    """A sound description with which no call can be made; answered with 488. The text says why."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One format of a stream."""

    name: str
    payload_type: int
    clock_rate: int = 8000


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What we offer or answer with."""

    host: str
    """IP address to write in c=."""
    port: int
    """RTP port."""
    session_id: int
    """The same for the life of a dialog."""
    version: int
    """One more for each description that differs from the last."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """In order of preference; "PCMU" and "PCMA" are known."""
    dtmf: bool = True
    """Whether telephone-event is offered and accepted."""
    ptime: int = DEFAULT_PTIME
    """Milliseconds that we ask for."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a stream has become."""

    codec: str
    """"PCMU" or "PCMA"."""
    send_payload_type: int
    receive_payload_type: int
    dtmf_send: int | None
    """Payload type of telephone-event, None when the other side cannot."""
    dtmf_receive: int | None
    remote: Address
    """Where RTP goes. The host may be 0.0.0.0 (old form of hold): nothing is sent then."""
    remote_rtcp: Address
    direction: Direction
    """Ours."""
    ptime: int
    """Milliseconds per packet that the other side wants from us."""
    on_hold: bool
    """Whether the other side wants nothing from us: direction is recvonly or inactive."""


def offer(local: LocalMedia, direction: Direction = "sendrecv") -> bytes:
    """An offer of one audio stream."""
    return _describe(local, (_audio(local, _offered(local), direction),))


def answer(offer: bytes, local: LocalMedia) -> tuple[bytes, Negotiated]:
    """Answer an offer with the first codec of its order that we know. Raises SdpError (400) or NotAcceptable (488)."""
    theirs = parse_sdp(offer)
    chosen = _audio_of(theirs)
    formats = _formats(chosen)
    codec = next((item for item in formats if item.name in local.codecs), None)
    if codec is None:
        raise NotAcceptable(f"no common codec: {', '.join(item.name for item in formats) or 'none'} was offered")
    dtmf = _dtmf(formats) if local.dtmf else None
    direction = _our_direction(theirs, chosen)
    taken = (codec,) if dtmf is None else (codec, dtmf)
    sections = tuple(
        _audio(local, taken, direction) if media is chosen else Media(media.kind, 0, media.protocol, media.formats)
        for media in theirs.media
    )
    dtmf_type = None if dtmf is None else dtmf.payload_type
    return _describe(local, sections), Negotiated(
        codec.name,
        codec.payload_type,
        codec.payload_type,
        dtmf_type,
        dtmf_type,
        *_remote(theirs, chosen, local),
        direction,
        _ptime(chosen),
        direction in ("recvonly", "inactive"),
    )


def accept_answer(answer: bytes, local: LocalMedia) -> Negotiated:
    """Read the answer to `offer(local)`. Raises SdpError or NotAcceptable: then the call must be ended."""
    theirs = parse_sdp(answer)
    if len(theirs.media) != 1:
        raise NotAcceptable(f"the answer has {len(theirs.media)} m= lines, the offer had one")
    chosen = _audio_of(theirs)
    formats = _formats(chosen)
    codec = next((item for item in formats if item.name in local.codecs), None)
    if codec is None:
        raise NotAcceptable(f"the answer holds no codec of the offer: {' '.join(chosen.formats)}")
    ours = {item.name: item.payload_type for item in _offered(local)}
    dtmf = _dtmf(formats) if local.dtmf else None
    direction = _our_direction(theirs, chosen)
    return Negotiated(
        codec.name,
        codec.payload_type,
        ours[codec.name],
        None if dtmf is None else dtmf.payload_type,
        None if dtmf is None else ours["telephone-event"],
        *_remote(theirs, chosen, local),
        direction,
        _ptime(chosen),
        direction in ("recvonly", "inactive"),
    )


def _offered(local: LocalMedia) -> tuple[Codec, ...]:
    numbers = {name: number for number, name in _STATIC.items()}
    unknown = [name for name in local.codecs if name not in numbers]
    if unknown or not local.codecs:
        raise ValueError(f"codecs: {', '.join(unknown) or 'none'} cannot be offered")
    found = tuple(Codec(name, numbers[name]) for name in local.codecs)
    return (*found, Codec("telephone-event", _DYNAMIC_DTMF)) if local.dtmf else found


def _audio(local: LocalMedia, codecs: tuple[Codec, ...], direction: Direction) -> Media:
    attributes: list[tuple[str, str | None]] = []
    for codec in codecs:
        attributes.append(("rtpmap", f"{codec.payload_type} {codec.name}/{codec.clock_rate}"))
        if codec.name == "telephone-event":
            attributes.append(("fmtp", f"{codec.payload_type} 0-15"))
    attributes += [("ptime", str(local.ptime)), (direction, None)]
    formats = tuple(str(codec.payload_type) for codec in codecs)
    return Media("audio", local.port, "RTP/AVP", formats, None, tuple(attributes))


def _describe(local: LocalMedia, sections: tuple[Media, ...]) -> bytes:
    return SessionDescription(local.session_id, local.version, local.host, local.host, sections).to_bytes()


def _audio_of(theirs: SessionDescription) -> Media:
    """The stream to take: the first audio that is neither refused nor secured."""
    audio = [media for media in theirs.media if media.kind == "audio"]
    open_audio = [media for media in audio if media.port != 0]
    for media in open_audio:
        if media.protocol.upper() in _PROFILES:
            return media
    if open_audio:
        raise NotAcceptable(f"the audio profile {open_audio[0].protocol} is not supported")
    if audio:
        raise NotAcceptable("the audio stream is refused (port 0)")
    kinds = ", ".join(media.kind for media in theirs.media) or "none"
    raise NotAcceptable(f"no audio stream, but {kinds}")


def _formats(media: Media) -> list[Codec]:
    """Formats in order, by rtpmap or the static table; what cannot be read is passed over."""
    maps: dict[str, str] = {}
    for value in media.all("rtpmap"):
        number, _, encoding = value.partition(" ")
        maps.setdefault(number, encoding.strip())
    found: list[Codec] = []
    for text in media.formats:
        if not text.isdigit() or not text.isascii() or len(text) > 3 or int(text) > 127:
            continue
        name, _, rest = maps.get(text, f"{_STATIC.get(int(text), '?')}/8000").partition("/")
        rate, _, channels = rest.partition("/")
        if rate.strip() != "8000" or channels.strip() not in ("", "1"):
            continue  # telephone-event at 16000 or 48000 belongs to a codec that we do not take
        upper = name.strip().upper()
        found.append(Codec("telephone-event" if upper == "TELEPHONE-EVENT" else upper, int(text)))
    return found


def _dtmf(formats: list[Codec]) -> Codec | None:
    return next((item for item in formats if item.name == "telephone-event"), None)


def _direction(attributes: Attributes) -> Direction | None:
    for name, _ in attributes:
        for direction in _REVERSED:
            if name == direction:
                return direction
    return None


def _our_direction(theirs: SessionDescription, media: Media) -> Direction:
    """Their direction seen from here; media level beats session level, absent is sendrecv, 0.0.0.0 takes nothing."""
    said = _direction(media.attributes) or _direction(theirs.attributes) or "sendrecv"
    ours = _REVERSED[said]
    if theirs.host_of(media) in ("0.0.0.0", "::"):  # hold as before RFC 3264 (§8.4)
        return "recvonly" if ours in ("sendrecv", "recvonly") else "inactive"
    return ours


def _remote(theirs: SessionDescription, media: Media, local: LocalMedia) -> tuple[Address, Address]:
    host = theirs.host_of(media)
    if host is None:
        raise SdpError("c= is missing")
    _check_host(host, local)
    rtcp = (host, min(media.port + 1, 65535))
    words = (media.attribute("rtcp") or "").split()  # RFC 3605: port [IN IP4 host]
    if words and words[0].isdigit() and words[0].isascii() and len(words[0]) < 6 and 0 < int(words[0]) < 65536:
        other = words[3] if len(words) == 4 and is_address(words[3]) else host
        rtcp = (other, int(words[0]))
    return (host, media.port), rtcp


def _check_host(host: str, local: LocalMedia) -> None:
    if not is_address(host):
        raise NotAcceptable(f"c= names {host[:60]!r}, which is no IP address")
    address = ipaddress.ip_address(host)
    if address.version != ipaddress.ip_address(local.host).version:
        raise NotAcceptable(f"c= is IPv{address.version}, we are not")
    if address.is_multicast:
        raise NotAcceptable("c= is a multicast address")


def _ptime(media: Media) -> int:
    """Their a=ptime where it is a multiple of 10 from 10 to 60, not above a=maxptime."""
    asked = _milliseconds(media.attribute("ptime")) or DEFAULT_PTIME
    longest = _milliseconds(media.attribute("maxptime")) or MAX_PTIME
    if not MIN_PTIME <= asked <= MAX_PTIME or asked % 10:
        asked = DEFAULT_PTIME
    return max(MIN_PTIME, min(asked, longest // 10 * 10))


def _milliseconds(text: str | None) -> int | None:
    text = (text or "").partition(".")[0]
    return int(text) if text.isdigit() and text.isascii() and len(text) < 6 else None
