"""SIP messages as values: headers in order, requests, responses, their bytes (RFC 3261 §7, §20).

Header text is UTF-8 with `surrogateescape`, so any byte survives the way in and out. Content-Length belongs to framing:
it is checked when parsed, not kept among the headers, and written last when serialised. `parser.parse` reads messages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from cordboard.sip.grammar import (
    GrammarError,
    Parameters,
    format_parameters,
    is_token,
    parameter,
    parse_parameters,
    split_outside,
)
from cordboard.sip.uri import NameAddr, format_host_port, parse_host_port, parse_name_addr

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 §8.1.1.7: the branch identifies the transaction
MAX_CSEQ = 2**31 - 1  # RFC 3261 §8.1.1.5

COMPACT = {  # RFC 3261 §20, RFC 3515, 3841, 3892, 4028, 4538, 6665
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}


@lru_cache(maxsize=512)
def canonical(name: str) -> str:
    """The name by which headers are compared: long form, lower case."""
    lower = name.lower()
    return COMPACT.get(lower, lower)


class Headers:
    """Header lines in order, names as written. Look-ups know compact forms and ignore case."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._lines: list[tuple[str, str]] = list(lines)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._lines == other._lines

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"

    def get(self, name: str) -> str | None:
        """The first line's value, or None."""
        wanted = canonical(name)
        for key, value in self._lines:
            if canonical(key) == wanted:
                return value
        return None

    def all(self, name: str) -> list[str]:
        """The values of all lines of that name, as written."""
        wanted = canonical(name)
        return [value for key, value in self._lines if canonical(key) == wanted]

    def listed(self, name: str) -> list[str]:
        """All values of a comma-list header, over all its lines (RFC 3261 §7.3.1). Raises GrammarError."""
        return [part for value in self.all(name) for part in split_outside(value, ",") if part]

    def add(self, name: str, value: str) -> None:
        self._lines.append((name, value))

    def set(self, name: str, value: str) -> None:
        """Replace the first line of that name in its place and drop the others; append when there is none."""
        wanted = canonical(name)
        places = [index for index, (key, _) in enumerate(self._lines) if canonical(key) == wanted]
        if not places:
            self._lines.append((name, value))
            return
        self._lines[places[0]] = (self._lines[places[0]][0], value)
        for index in reversed(places[1:]):
            del self._lines[index]


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value (RFC 3261 §20.42)."""

    transport: str
    host: str
    port: int | None
    parameters: Parameters

    @property
    def branch(self) -> str:
        return parameter(self.parameters, "branch") or ""

    @property
    def sent_by(self) -> str:
        return format_host_port(self.host.lower(), self.port)

    def with_parameter(self, name: str, value: str) -> "Via":
        others = tuple(item for item in self.parameters if item[0].lower() != name)
        return Via(self.transport, self.host, self.port, (*others, (name, value)))

    def __str__(self) -> str:
        place = format_host_port(self.host, self.port)
        return f"SIP/2.0/{self.transport} {place}{format_parameters(self.parameters)}"


def parse_via(value: str) -> Via:
    """Parse one Via value. Raises GrammarError."""
    protocol, semicolon, tail = value.partition(";")
    words = protocol.replace("/", " / ").split()
    if len(words) < 6 or words[1] != "/" or words[3] != "/" or words[0].upper() != "SIP" or words[2] != "2.0":
        raise GrammarError(f"not a Via: {value[:60]!r}")
    host, port = parse_host_port(" ".join(words[5:]))
    if not is_token(words[4]):
        raise GrammarError("a Via names no transport")
    return Via(words[4].upper(), host, port, parse_parameters(semicolon + tail))


@dataclass(frozen=True, slots=True)
class CSeq:
    """CSeq: a number below 2**31 and a method."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_cseq(value: str) -> CSeq:
    """Parse a CSeq. Raises GrammarError."""
    words = value.split()
    if len(words) != 2 or not words[0].isdigit() or not words[0].isascii() or not is_token(words[1]):
        raise GrammarError(f"not a CSeq: {value[:60]!r}")
    if len(words[0]) > 20 or int(words[0]) > MAX_CSEQ:
        raise GrammarError("CSeq is 2**31 or more")
    return CSeq(int(words[0]), words[1])


@dataclass(slots=True)
class Message:
    """What requests and responses share. The accessors raise GrammarError on values that `parse` would refuse."""

    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def call_id(self) -> str:
        return self._one("Call-ID")

    @property
    def cseq(self) -> CSeq:
        return parse_cseq(self._one("CSeq"))

    @property
    def from_(self) -> NameAddr:
        return parse_name_addr(self._one("From"))

    @property
    def to(self) -> NameAddr:
        return parse_name_addr(self._one("To"))

    @property
    def via(self) -> Via:
        """The top Via."""
        listed = self.headers.listed("Via")
        if not listed:
            raise GrammarError("Via is missing")
        return parse_via(listed[0])

    @property
    def contact(self) -> str | None:
        """The URI of the first Contact; None when absent or unreadable."""
        try:
            listed = self.headers.listed("Contact")
            return parse_name_addr(listed[0]).uri if listed else None
        except GrammarError:
            return None

    def _one(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise GrammarError(f"{name} is missing")
        return value

    def start_line(self) -> str:
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        lines = [self.start_line(), *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


@dataclass(slots=True)
class Request(Message):
    """A request; `uri` is the Request-URI as written."""

    method: str = ""
    uri: str = ""

    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    @property
    def summary(self) -> str:
        return f"{self.method} {self.uri}"


@dataclass(slots=True)
class Response(Message):
    """A response."""

    code: int = 0
    reason: str = ""

    def start_line(self) -> str:
        return f"SIP/2.0 {self.code} {self.reason}"

    @property
    def summary(self) -> str:
        return f"{self.code} {self.reason} ({self.cseq.method})"


REASONS = {  # RFC 3261 §21 and RFC 6665 §8.3.2; only codes that are written without a reason of the caller's
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    302: "Moved Temporarily",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
}


def make_response(request: Request, code: int, reason: str = "", *, to_tag: str = "") -> Response:
    """A response as §8.2.6 asks: all Via lines, From, To, Call-ID and CSeq of the request; `to_tag` if To has none.

    A header that the request lacks (a refused one may) is left out.
    """
    headers = Headers()
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        for value in request.headers.all(name):
            headers.add(name, value)
            if name in ("Call-ID", "CSeq", "From", "To"):
                break
    if to_tag and code > 100:
        try:
            to = request.to
            if not to.tag:
                headers.set("To", str(to.with_tag(to_tag)))
        except GrammarError:
            pass  # an unreadable To is echoed as it came; the refusal says what is wrong
    return Response(headers, b"", code, reason or REASONS.get(code, "Unknown"))
