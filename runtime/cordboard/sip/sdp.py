"""Session descriptions: parse and write (RFC 8866, formerly 4566), as tolerant as trunks need (reference §4.56).

Line feeds alone, trailing spaces, missing s= and t= lines and unknown lines pass; what is read is bounded. Leaves out
bandwidth, keys and repeat times: they are skipped when parsed and never written.
"""

import ipaddress
import re
from dataclasses import dataclass

MAX_SDP = 16_384  # bytes; a browser's offer with video is about 6,000
MAX_LINES = 512  # lines; the same offer has about 150
MAX_MEDIA = 16  # m= lines; our answer repeats each one

Attributes = tuple[tuple[str, str | None], ...]


class SdpError(ValueError):
    """No session description; answered with 400. The text names the line."""


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section."""

    kind: str
    """"audio", "video", "image"…, in lower case."""
    port: int
    """0 means refused or removed."""
    protocol: str
    """"RTP/AVP", "RTP/SAVP", "udptl"…, as written."""
    formats: tuple[str, ...]
    host: str | None = None
    """From its own c= line; None: the session's counts."""
    attributes: Attributes = ()

    def attribute(self, name: str) -> str | None:
        """The first attribute of that name ("" for a flag), None when absent."""
        return next((value or "" for key, value in self.attributes if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    session_id: int
    version: int
    origin_host: str
    host: str | None
    """From the session's c= line."""
    media: tuple[Media, ...]
    attributes: Attributes = ()

    def host_of(self, media: Media) -> str | None:
        return media.host if media.host is not None else self.host

    def to_bytes(self) -> bytes:
        lines = ["v=0", f"o=- {self.session_id} {self.version} IN {_net(self.origin_host)}", "s=-"]
        if self.host is not None:
            lines.append(f"c=IN {_net(self.host)}")
        lines.append("t=0 0")
        lines += [_attribute_line(item) for item in self.attributes]
        for media in self.media:
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.host is not None:
                lines.append(f"c=IN {_net(media.host)}")
            lines += [_attribute_line(item) for item in media.attributes]
        return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")


def _attribute_line(item: tuple[str, str | None]) -> str:
    name, value = item
    return f"a={name}" if value is None else f"a={name}:{value}"


def _net(host: str) -> str:
    return f"IP6 {host}" if ":" in host else f"IP4 {host}"


def parse_sdp(data: bytes) -> SessionDescription:
    """Parse a description. Raises SdpError."""
    if len(data) > MAX_SDP:
        raise SdpError(f"the description is longer than {MAX_SDP} bytes")
    lines = [line.rstrip() for line in re.split("\r\n|\n|\r", data.decode("utf-8", "surrogateescape"))]
    lines = [line for line in lines if line]
    if len(lines) > MAX_LINES:
        raise SdpError(f"the description has more than {MAX_LINES} lines")
    if not lines or lines[0].replace(" ", "") != "v=0":
        raise SdpError("the description does not begin with v=0")
    session_id = version = 0
    origin = ""
    host: str | None = None
    attributes: list[tuple[str, str | None]] = []
    media: list[Media] = []
    for line in lines[1:]:
        kind, equals, value = line.partition("=")
        if not equals or len(kind.strip()) != 1:
            raise SdpError(f"not a line of a description: {line[:40]!r}")
        kind, value = kind.strip(), value.strip()
        if kind == "m":
            if len(media) == MAX_MEDIA:
                raise SdpError(f"more than {MAX_MEDIA} m= lines")
            media.append(_parse_media(value))
        elif kind == "a":
            name, colon, text = value.partition(":")
            item = (name.strip().lower(), text.strip() if colon else None)
            if media:
                last = media[-1]
                media[-1] = _with(last, attributes=(*last.attributes, item))
            else:
                attributes.append(item)
        elif kind == "c":
            if media:
                media[-1] = _with(media[-1], host=_parse_connection(value))
            else:
                host = _parse_connection(value)
        elif kind == "o":
            session_id, version, origin = _parse_origin(value)
    if not origin:
        raise SdpError("o= is missing")
    return SessionDescription(session_id, version, origin, host, tuple(media), tuple(attributes))


def _with(media: Media, *, host: str | None = None, attributes: Attributes | None = None) -> Media:
    return Media(
        media.kind,
        media.port,
        media.protocol,
        media.formats,
        host if host is not None else media.host,
        media.attributes if attributes is None else attributes,
    )


def _parse_media(value: str) -> Media:
    words = value.split()
    if len(words) < 4:
        raise SdpError(f"m= has too few fields: {value[:40]!r}")
    port, _, count = words[1].partition("/")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535 or (count and not re.fullmatch("[0-9]{1,5}", count)):
        raise SdpError(f"m= has no port: {value[:40]!r}")
    return Media(words[0].lower(), int(port), words[2], tuple(words[3:]))


def _parse_connection(value: str) -> str:
    words = value.split()
    if len(words) < 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
        raise SdpError(f"c= is not IN IP4 or IN IP6: {value[:40]!r}")
    return words[2].partition("/")[0]


def _parse_origin(value: str) -> tuple[int, int, str]:
    """Old gateways write names where numbers belong: those count as 0, the line is only kept for its version."""
    words = value.split()
    if len(words) < 6:
        raise SdpError(f"o= has too few fields: {value[:40]!r}")
    numbers = [int(word) if re.fullmatch("[0-9]{1,20}", word) else 0 for word in words[-5:-3]]
    return numbers[0], numbers[1], words[-1]


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
