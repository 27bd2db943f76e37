"""Bodies: where the SDP of a message is, also inside multipart (RFC 3261 §7.4, §8.2.3; RFC 5621).

Leaves out: transfer encodings and nested multiparts, which SIP peers do not use for SDP.
"""

import re

from cordboard.sip.grammar import GrammarError, parameter, parse_parameters
from cordboard.sip.message import Message

SDP = "application/sdp"
MAX_PARTS = 16  # parts of one multipart body; SDP + ISUP + location is three


class UnsupportedBody(ValueError):
    """A body that must be understood and is not; answered with 415."""


def media_type(value: str) -> tuple[str, str]:
    """`type/subtype` in lower case, and the boundary parameter ("" when absent)."""
    kind, semicolon, tail = value.partition(";")
    try:
        boundary = parameter(parse_parameters(semicolon + tail), "boundary") or ""
    except GrammarError:
        boundary = ""
    return re.sub(r"\s", "", kind).lower(), boundary


def sdp_of(message: Message) -> bytes | None:
    """The session description, None when the message has no body. Raises UnsupportedBody."""
    if not message.body:
        return None
    value = message.headers.get("Content-Type")
    if message.headers.get("Content-Encoding") not in (None, "", "identity"):
        raise UnsupportedBody("a Content-Encoding is used")
    if value is None:
        if message.body.startswith(b"v="):
            return message.body  # seen from old gateways: SDP without its type
        raise UnsupportedBody("the body has no Content-Type")
    kind, boundary = media_type(value)
    if kind == SDP:
        return message.body
    if kind.startswith("multipart/") and boundary:
        for part_kind, content in _parts(message.body, boundary):
            if part_kind == SDP:
                return content
        raise UnsupportedBody("no part of the body is SDP")
    if "handling=optional" in (message.headers.get("Content-Disposition") or "").replace(" ", "").lower():
        return None
    raise UnsupportedBody(f"a body of type {kind[:60]} is not understood")


def _parts(body: bytes, boundary: str) -> list[tuple[str, bytes]]:
    delimiter = b"--" + boundary.encode("utf-8", "surrogateescape")
    found: list[tuple[str, bytes]] = []
    for chunk in (b"\r\n" + body).split(b"\n" + delimiter, MAX_PARTS + 1)[1:]:
        if chunk.startswith(b"--"):
            break
        chunk = chunk.partition(b"\n")[2].removesuffix(b"\r")
        head, blank, content = chunk.partition(b"\r\n\r\n")
        if not blank:
            head, blank, content = chunk.partition(b"\n\n")
        if not blank:
            continue  # a part without an end of its headers has no content
        match = re.search(rb"(?im)^(?:content-type|c)[ \t]*:[ \t]*([^;\r\n]+)", head)
        found.append((match[1].strip().lower().decode("ascii", "replace") if match else "text/plain", content))
    return found
