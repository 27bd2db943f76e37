"""An agent's tools: what became of each, and the HTTP POST by which one reaches the outside, such as a control URL.

HTTP/1.0 on purpose: the answer ends with the connection, so neither chunks nor keep-alive have to be read. Leaves out
redirects, proxies and every method but POST.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TOOL_TIMEOUT = 5.0
"""Seconds for the whole request: the usual limit of such a tool in agent code, and of one round of a handler."""

MAX_ANSWER = 65536
"""Bytes of an answer that are read: the largest reply a handler may give."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What became of a tool's request."""

    status: int
    """HTTP status; 0 when there was no answer."""
    body: str
    """The answer's body."""
    error: str
    """Why there was no answer; empty otherwise."""


@dataclass(frozen=True, slots=True)
class ClientToolResult:
    """What became of a client tool, which the client of the socket runs."""

    id: str
    """Our id of this call of the tool."""
    name: str
    """The tool."""
    arguments: Mapping[str, Any]
    """What it was called with."""
    result: str
    """What the client answered, or why there was no answer."""
    is_error: bool
    """The tool failed, or did not answer."""
    error_type: str
    """How; `timeout` when nobody answered; empty when not given."""


async def post_json(url: str, body: Mapping[str, Any], timeout: float = TOOL_TIMEOUT) -> ToolResult:
    """POST `body` as JSON; never raises for what the other side does, and never shows the URL, which is a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ToolResult(0, "", "not a URL")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or not (url.isascii() and url.isprintable() and " " not in url)
    ):
        return ToolResult(0, "", "not an http:// or https:// URL")
    context = ssl.create_default_context() if parts.scheme == "https" else None
    content = json.dumps(body).encode()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = f"[{host}]" if ":" in host else host
    head = (
        f"POST {target} HTTP/1.0\r\nHost: {authority}{f':{port}' if port else ''}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port or (443 if context else 80), ssl=context)
            try:
                writer.write(head.encode() + content)
                await writer.drain()
                answer = await _read(reader)
            finally:
                writer.close()
                with contextlib.suppress(OSError, ssl.SSLError):
                    await writer.wait_closed()
    except TimeoutError:
        return ToolResult(0, "", f"no answer within {timeout:g} s")
    except OSError as exc:
        return ToolResult(0, "", exc.strerror or type(exc).__name__)
    return _parse(answer)


async def _read(reader: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    while len(answer) < MAX_ANSWER and (data := await reader.read(MAX_ANSWER - len(answer))):
        answer += data
    return bytes(answer)


def _parse(answer: bytes) -> ToolResult:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
        return ToolResult(0, "", "the answer is not HTTP")
    return ToolResult(int(words[1]), body.decode("utf-8", "replace"), "")
