"""URIs and addresses: sip:, sips:, tel: and name-addr (RFC 3261 §19.1, §20.10, §25.1; RFC 3966).

Unknown parameters are kept. Leaves out: comparison of URIs (§19.1.4), which nothing here needs.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from cordboard.sip.grammar import (
    GrammarError,
    Parameters,
    check_line,
    format_parameters,
    is_token,
    parameter,
    parse_parameters,
    quote,
    unquote,
)

Address = tuple[str, int]

DEFAULT_PORT = 5060  # UDP and TCP, RFC 3261 §19.1.2

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?:\s*:\s*([0-9]{1,5}))?")
_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")


class UnsupportedScheme(GrammarError):
    """A URI whose scheme we do not speak; answered with 416."""


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Split `host[:port]`; an IPv6 host loses its brackets. Raises GrammarError."""
    match = _HOST_PORT.fullmatch(text.strip())
    if match is None:
        raise GrammarError(f"not a host: {text[:60]!r}")
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65536:
        raise GrammarError(f"not a port: {match[2]}")
    return match[1].strip("[]"), port


def format_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def format_host_port(host: str, port: int | None) -> str:
    return format_host(host) if port is None else f"{format_host(host)}:{port}"


@dataclass(frozen=True, slots=True)
class SipUri:
    """`sip:user:password@host:port;parameters?headers`."""

    scheme: str
    """"sip" or "sips"."""
    user: str
    """As written, percent escapes included; "" when absent."""
    host: str
    """Without brackets."""
    port: int | None = None
    parameters: Parameters = ()
    headers: str = ""
    """What follows "?", as written."""
    password: str | None = None

    @property
    def number(self) -> str:
        """The user part as a caller or callee: escapes decoded, user parameters (`;npdi;rn=`) cut off."""
        return _unescape(self.user.partition(";")[0])

    @property
    def loose(self) -> bool:
        """Whether this is a loose router (`;lr`, RFC 3261 §16.12)."""
        return parameter(self.parameters, "lr") is not None

    def __str__(self) -> str:
        secret = "" if self.password is None else f":{self.password}"
        user = f"{self.user}{secret}@" if self.user else ""
        headers = f"?{self.headers}" if self.headers else ""
        place = format_host_port(self.host, self.port)
        parameters = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in self.parameters)
        return f"{self.scheme}:{user}{place}{parameters}{headers}"


@dataclass(frozen=True, slots=True)
class TelUri:
    """`tel:+1-555-0100;phone-context=…` (RFC 3966)."""

    subscriber: str
    """As written, visual separators included."""
    parameters: Parameters = ()

    @property
    def number(self) -> str:
        """The number without visual separators."""
        return self.subscriber.translate(_VISUAL_SEPARATORS)

    def __str__(self) -> str:
        parameters = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in self.parameters)
        return f"tel:{self.subscriber}{parameters}"


def parse_uri(text: str) -> SipUri | TelUri:
    """Parse a sip:, sips: or tel: URI. Raises UnsupportedScheme or GrammarError."""
    match = _SCHEME.match(text)
    if match is None:
        raise GrammarError(f"not a URI: {text[:60]!r}")
    scheme, rest = match[1].lower(), text[match.end() :]
    if any(char.isspace() or char in '<>"' for char in rest):
        raise GrammarError(f"a URI holds white space or brackets: {text[:60]!r}")
    if scheme == "tel":
        subscriber, _, tail = rest.partition(";")
        if not re.fullmatch(r"\+?[0-9A-Fa-f*#().\-]+", subscriber):
            raise GrammarError(f"not a telephone number: {subscriber[:60]!r}")
        return TelUri(subscriber, parse_parameters(f";{tail}" if tail else ""))
    if scheme not in ("sip", "sips"):
        raise UnsupportedScheme(f"URI scheme {scheme[:20]!r} is not supported")
    # The user part may hold ';' and '?' (RFC 4475 semiuri, intmeth), but no '@': what follows the first is the host.
    user, at, place = rest.partition("@") if "@" in rest else ("", "", rest)
    place, _, headers = place.partition("?")
    place, semicolon, tail = place.partition(";")
    name, colon, password = user.partition(":")
    if at and not name:
        raise GrammarError("a URI has '@' but no user")
    host, port = parse_host_port(place)
    found = parse_parameters(f";{tail}") if semicolon else ()
    return SipUri(scheme, name, host, port, found, headers, password if colon else None)


def number_of(text: str) -> str:
    """The user part or number of a URI, usable as caller or callee; "" when there is none or the scheme is foreign."""
    try:
        return parse_uri(text).number
    except GrammarError:
        return ""


def _unescape(text: str) -> str:
    return readable(unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape"))


def readable(text: str) -> str:
    """Text for people: bytes that were no UTF-8 are taken as Latin-1, as old gateways send it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


@dataclass(frozen=True, slots=True)
class NameAddr:
    """`"Display" <uri>;parameters`, the value of From, To, Contact, Route and Record-Route."""

    uri: str
    """As written; `parse_uri` reads it."""
    display_name: str = ""
    """Without quotes and escapes."""
    parameters: Parameters = ()

    @property
    def tag(self) -> str:
        return parameter(self.parameters, "tag") or ""

    def with_tag(self, tag: str) -> "NameAddr":
        others = tuple(item for item in self.parameters if item[0].lower() != "tag")
        return replace(self, parameters=(*others, ("tag", tag)) if tag else others)

    def __str__(self) -> str:
        plain = self.display_name and all(is_token(word) for word in self.display_name.split(" "))
        name = self.display_name if plain or not self.display_name else quote(self.display_name)
        return f"{name}{' ' if name else ''}<{self.uri}>{format_parameters(self.parameters)}"


def parse_name_addr(value: str) -> NameAddr:
    """Parse one name-addr or addr-spec; in the second form parameters belong to the header (§20). Raises GrammarError.

    An unquoted display name with commas and white space inside the brackets are let pass (RFC 4475 baddn, badaspec).
    """
    value = value.strip()
    opening = _opening_bracket(value)
    if opening < 0:
        uri, semicolon, tail = value.partition(";")
        return NameAddr(_checked_uri(uri.strip()), "", parse_parameters(semicolon + tail))
    closing = value.find(">", opening)
    if closing < 0:
        raise GrammarError("an address has no '>'")
    uri = _checked_uri(value[opening + 1 : closing].strip())
    return NameAddr(uri, unquote(value[:opening].strip()), parse_parameters(value[closing + 1 :]))


def _checked_uri(uri: str) -> str:
    if not _SCHEME.match(uri) or any(char.isspace() or char in '<>"' for char in uri):
        raise GrammarError(f"not an address: {uri[:60]!r}")
    return uri


def _opening_bracket(value: str) -> int:
    """Where '<' stands outside quotes, -1 when nowhere. An open quote before it raises GrammarError."""
    quoted = escaped = False
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "<" and not quoted:
            return index
    if quoted:
        raise GrammarError("a quoted string has no end")
    return -1


def make_name_addr(uri: str, display_name: str = "") -> NameAddr:
    """An address for a request that we write. Raises ValueError on what would break the header line."""
    check_line("display name", display_name)
    check_line("URI", uri)
    parse_uri(uri)
    return NameAddr(uri, display_name)
