"""From a datagram to a message: framing, folding, mandatory headers, bounds (RFC 3261 §7, §8.1.1, §18.3).

A refusal is a MessageError with the code to answer with and, when the message is a request with a readable Via, that
request. One datagram is one message; what follows Content-Length is cut off. Stream framing (TCP, TLS) would call
`parse` for each message that it has cut out: that is the seam, nothing here depends on UDP but `body_of_datagram`.
"""

import re

from cordboard.sip.grammar import GrammarError, is_token
from cordboard.sip.message import Headers, Request, Response, canonical, parse_cseq, parse_via
from cordboard.sip.uri import parse_name_addr

MAX_MESSAGE = 65_535  # bytes: what a UDP datagram can hold; also the cap for a stream (reference §4.60)
MAX_HEADER_LINES = 256  # lines: a call through ten proxies has about 60
MAX_HEADER_LINE = 8_192  # bytes of one unfolded line: the longest in RFC 4475 (longreq) has under 1,000

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r){2}")  # atomic: a CRLF is never taken for two line ends
_LINE_END = re.compile(r"\r\n|\n|\r")
_SINGLE = ("call-id", "cseq", "from", "to", "max-forwards", "content-type")
_MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq")


class MessageError(ValueError):
    """A message that cannot be taken. `code` is what a request deserves; `request` is None when it has no answer."""

    def __init__(self, code: int, why: str, request: Request | None = None) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.request = request


def parse(data: bytes) -> Request | Response:
    """Parse one datagram. Raises MessageError, nothing else."""
    if len(data) > MAX_MESSAGE:
        raise MessageError(400, "the message is too large")
    data = data.lstrip(b"\r\n")
    end = _BLANK_LINE.search(data)
    head = data[: end.start()] if end else data.rstrip(b"\r\n")
    rest = data[end.end() :] if end else b""
    text = head.decode("utf-8", "surrogateescape")
    lines = _LINE_END.split(text)
    if lines[0].upper().startswith("SIP/"):
        return _parse_response(lines, rest)
    return _parse_request(lines, rest)


def _parse_request(lines: list[str], rest: bytes) -> Request:
    method, _, tail = lines[0].partition(" ")
    uri, _, version = tail.rpartition(" ")
    request = Request(Headers(), b"", method, uri)
    try:
        request.headers, length = _parse_headers(lines[1:])
        _ = request.via
    except GrammarError as error:
        raise MessageError(400, str(error)) from None
    try:
        if not is_token(method) or not re.fullmatch(r"(?i)SIP/[0-9]{1,3}\.[0-9]{1,3}", version):
            raise GrammarError("not a request line")
        if version.upper() != "SIP/2.0":
            raise MessageError(505, f"version {version} is not spoken here", request)
        if not uri or any(char.isspace() or char in '<>"' for char in uri):
            raise GrammarError("not a Request-URI")
        _check(request.headers)
        if request.cseq.method != method:
            raise GrammarError("CSeq names another method")
        hops = request.headers.get("Max-Forwards")
        if hops is not None and not (re.fullmatch(r"[0-9]{1,6}", hops) and int(hops) <= 255):
            raise GrammarError("Max-Forwards is not a number from 0 to 255")
        request.body = body_of_datagram(rest, length)
    except GrammarError as error:
        raise MessageError(400, str(error), request) from None
    return request


def _parse_response(lines: list[str], rest: bytes) -> Response:
    try:
        match = re.fullmatch(r"(?i)SIP/2\.0 ([1-6][0-9][0-9])(?: (.*))?", lines[0], flags=re.DOTALL)
        if match is None:
            raise GrammarError("not a status line")
        headers, length = _parse_headers(lines[1:])
        _check(headers)
        return Response(headers, body_of_datagram(rest, length), int(match[1]), (match[2] or "").strip())
    except GrammarError as error:
        raise MessageError(400, str(error)) from None


def _parse_headers(lines: list[str]) -> tuple[Headers, int | None]:
    """Unfold and split; returns the headers and Content-Length. A line without a colon raises GrammarError."""
    unfolded: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t"):
            if not unfolded:
                raise GrammarError("a folded line follows the start line")
            unfolded[-1].append(line.strip(" \t"))
        else:
            unfolded.append([line])
        if len(unfolded) > MAX_HEADER_LINES:
            raise GrammarError(f"more than {MAX_HEADER_LINES} header lines")
    headers = Headers()
    length: int | None = None
    for pieces in unfolded:
        line = " ".join(pieces)
        if len(line) > MAX_HEADER_LINE:
            raise GrammarError(f"a header line is longer than {MAX_HEADER_LINE}")
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not is_token(name):
            raise GrammarError(f"not a header line: {line[:40]!r}")
        value = value.strip(" \t")
        if canonical(name) == "content-length":
            one = re.fullmatch(r"[0-9]{1,9}", value) is not None and length in (None, int(value))
            length = int(value) if one else -1  # body_of_datagram reports it: the request can still be answered
            continue
        headers.add(name, value)
    return headers, length


def _check(headers: Headers) -> None:
    for name in _MANDATORY:
        if not headers.get(name):
            raise GrammarError(f"{name} is missing")
    for name in _SINGLE:
        if len(headers.all(name)) > 1:
            raise GrammarError(f"{name} stands there more than once")
    vias = headers.listed("Via")
    if not vias:
        raise GrammarError("Via is empty")
    parse_via(vias[0])
    for value in headers.listed("Record-Route"):
        parse_name_addr(value)
    parse_cseq(headers.get("CSeq") or "")
    parse_name_addr(headers.get("From") or "")
    parse_name_addr(headers.get("To") or "")
    if any(char.isspace() for char in headers.get("Call-ID") or ""):
        raise GrammarError("Call-ID holds white space")


def body_of_datagram(rest: bytes, length: int | None) -> bytes:
    """The body by Content-Length (§18.3): longer is cut, shorter is an error, absent means to the end."""
    if length is None:
        return rest
    if length < 0:
        raise GrammarError("Content-Length is no number, or two that differ")
    if length > len(rest):
        raise GrammarError("the body is shorter than Content-Length")
    return rest[:length]
