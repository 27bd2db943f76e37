"""Tools with which an agent drives the phone call it speaks on: end it, transfer it, send digits.

Each POSTs `{"action": …}` to the call's control URL, which the call's scenario puts into the metadata of the agent's
`start` (`vox_session_control_url`); the scenario's handler of `AppEvents.HttpRequest` decides what becomes of it. One
file, the standard library alone: install it beside `cartesia-line`, or copy it beside your `main.py`.

With an `LlmAgent`, whose model calls the tools:

    LlmAgent(model=…, api_key=…, tools=call_tools(call_request))

With an agent that thinks for itself:

    await call_transfer(control_url(call_request), to="sales")

Where the edge asks for signed requests ([http.public].request_key), put its key into CORDBOARD_REQUEST_KEY.

The control URL is a secret: whoever has it steers the call. No error, result or log line of this module holds it.
Leaves out redirects, which would hand the URL to somebody else, and proxies.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

__all__ = [
    "CONTROL_URL",
    "BadControlUrl",
    "BadDigits",
    "CallRequest",
    "ControlAnswer",
    "ControlError",
    "ControlRefused",
    "ControlTimeout",
    "ControlUnreachable",
    "NoControlUrl",
    "Tool",
    "call_tools",
    "call_transfer",
    "call_transfer_tool",
    "control_url",
    "end_call",
    "end_call_tool",
    "post_action",
    "send_dtmf",
    "send_dtmf_tool",
]

CONTROL_URL = "vox_session_control_url"
"""Key of the call's metadata under which its scenario hands over the control URL."""

REQUEST_KEY = "CORDBOARD_REQUEST_KEY"
"""Variable of the environment that holds the key of signed requests."""

TIMEOUT = 5.0
"""Seconds for the whole request, a second attempt included: a handler's round has as long."""

RETRY_PAUSE = 0.2
"""Seconds before the second attempt to connect: an edge that starts again is back in seconds, a lost SYN at once."""

MAX_ANSWER = 65_536
"""Bytes of an answer that are read: the largest reply that a handler may give."""

MAX_COMPLAINT = 200
"""Characters of a refusal that an error tells."""

MAX_DIGITS = 64
"""Digits of one request: a card number with its confirmation; a longer row is a mistake of the model."""

_DIGITS = re.compile(rf"[0-9*#]{{1,{MAX_DIGITS}}}")


class ControlError(Exception):
    """The call was not driven. The text says why, never where; a model may read it."""


class NoControlUrl(ControlError):
    """The call's metadata has no control URL: its scenario gives none, or it is no phone call."""


class BadControlUrl(ControlError):
    """What the metadata has for a control URL is not an http:// or https:// URL."""


class BadDigits(ControlError):
    """The digits are not of 0-9, * and #, none, or too many."""


class ControlUnreachable(ControlError):
    """There was no connection, in two attempts, or it broke before there was an answer."""


class ControlTimeout(ControlError):
    """There was no whole answer in time; what was asked may have happened."""


class ControlRefused(ControlError):
    """The call's scenario, or the edge, said no."""

    def __init__(self, status: int, complaint: str) -> None:
        super().__init__(f"refused with {status}: {complaint}" if complaint else f"refused with {status}")
        self.status = status
        """HTTP status, 300 to 599: 404 or 410 when the call is over, 422 for an action that the scenario has not."""


@dataclass(frozen=True)
class ControlAnswer:
    """The call's scenario did what was asked, or took it up."""

    status: int
    """HTTP status, 200 to 299."""
    body: str
    """Its body as text, such as `{"ok": true}`; at most 64 KiB."""


class CallRequest(Protocol):
    """What is read of `line.CallRequest`."""

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """Of the call, from the client's `start` and the `pre_call_handler`."""


Tool = Callable[..., Awaitable[str]]
"""What `LlmAgent(tools=[…])`, `@loopback_tool` and `@passthrough_tool` take."""


def control_url(call_request: CallRequest, key: str = CONTROL_URL) -> str:
    """Return the control URL of a call; raise `NoControlUrl`."""
    value = (call_request.metadata or {}).get(key)
    if not isinstance(value, str) or not value:
        raise NoControlUrl(f"the call's metadata has no {key}")
    return value


# Calls


async def end_call(url: str, *, timeout: float = TIMEOUT, **fields: Any) -> ControlAnswer:
    """End the phone call; the scenario lets the caller hear out what was said. See `post_action`."""
    return await post_action(url, "end_call", timeout=timeout, **fields)


async def call_transfer(url: str, *, to: str | None = None, timeout: float = TIMEOUT, **fields: Any) -> ControlAnswer:
    """Transfer the caller, `to` a name that the scenario knows. See `post_action`.

    A scenario should map names to numbers and dial nothing that it is given: a caller may talk a model into a number.
    """
    return await post_action(url, "call_transfer", timeout=timeout, **({} if to is None else {"to": to}), **fields)


async def send_dtmf(url: str, digits: str, *, timeout: float = TIMEOUT, **fields: Any) -> ControlAnswer:
    """Send `digits`, of 0-9, * and #, on the phone call; raise `BadDigits`. See `post_action`."""
    return await post_action(url, "send_dtmf", timeout=timeout, digits=_checked(digits), **fields)


async def post_action(url: str, action: str, *, timeout: float = TIMEOUT, **fields: Any) -> ControlAnswer:
    """POST `{"action": action, **fields}` to the control URL and return the answer, or raise a `ControlError`.

    Nothing is sent twice: a second attempt is made only when there was no connection. A request that is under way when
    the caller interrupts, which cancels the agent's task, is finished all the same.
    """
    content = json.dumps({"action": action, **fields}).encode()
    exchange = _Exchange(url, content, time.monotonic() + timeout)
    running = asyncio.get_running_loop().run_in_executor(None, exchange.run)
    limit = asyncio.get_running_loop().call_later(timeout, exchange.abort)
    running.add_done_callback(lambda _: limit.cancel())
    done, _ = await asyncio.wait({running}, timeout=timeout)
    result = running.result() if done else ControlTimeout(f"no answer within {timeout:g} s")
    if isinstance(result, ControlError):
        raise result
    return result


# Tools for a model


def end_call_tool(call_request: CallRequest) -> Tool:
    """Return a tool `end_call()`; raise `NoControlUrl`."""
    url = control_url(call_request)

    async def end_call(ctx: Any) -> str:
        """End the phone call. Say goodbye first; the caller hears it to its end."""
        return (await post_action(url, "end_call")).body

    return end_call


def call_transfer_tool(call_request: CallRequest) -> Tool:
    """Return a tool `call_transfer(to)`; raise `NoControlUrl`."""
    url = control_url(call_request)

    async def call_transfer(
        ctx: Any, to: Annotated[str, "name of a desk or person, never a number; empty for the usual one"] = ""
    ) -> str:
        """Transfer the caller to a person. Say so first; you are off the line as soon as it is done."""
        fields: dict[str, Any] = {"to": to} if to else {}
        return (await post_action(url, "call_transfer", **fields)).body

    return call_transfer


def send_dtmf_tool(call_request: CallRequest) -> Tool:
    """Return a tool `send_dtmf(digits)`; raise `NoControlUrl`."""
    url = control_url(call_request)

    async def send_dtmf(ctx: Any, digits: Annotated[str, "of 0-9, * and #"]) -> str:
        """Press keys on the phone call, for a menu at the other end."""
        return (await post_action(url, "send_dtmf", digits=_checked(digits))).body

    return send_dtmf


def call_tools(call_request: CallRequest) -> list[Tool]:
    """Return all three tools of a call; none without a control URL, so that a model is offered nothing in vain."""
    try:
        control_url(call_request)
    except NoControlUrl:
        return []
    return [end_call_tool(call_request), call_transfer_tool(call_request), send_dtmf_tool(call_request)]


# The request


def _checked(digits: str) -> str:
    if not _DIGITS.fullmatch(digits):
        raise BadDigits(f"digits must be 1 to {MAX_DIGITS} of 0-9, * and #")
    return digits


def _signature(method: str, target: str, content: bytes) -> dict[str, str]:
    """The header that signs a request; none without a key in the environment."""
    key = os.environ.get(REQUEST_KEY, "")
    if not key:
        return {}
    at, nonce, path = int(time.time()), secrets.token_hex(16), target.partition("/control/")[2].partition("?")[0]
    signed = f"{at}.{nonce}.{method}.{path}.".encode() + content
    return {"X-Control-Signature": f"t={at},n={nonce},v1={hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()}"}


class _Exchange:
    """One POST, in a thread of its own: `http.client` blocks."""

    def __init__(self, url: str, content: bytes, deadline: float) -> None:
        """`deadline` in seconds of the monotonic clock. Raises `BadControlUrl`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise BadControlUrl("the control URL is not a URL") from None
        printable = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in ("http", "https") or not host or not printable:
            raise BadControlUrl("the control URL is not an http:// or https:// URL")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(host, port)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._content = content
        self._deadline = deadline
        self._aborted = False

    def run(self) -> ControlAnswer | ControlError:
        """Send and receive; blocks. Returns errors, which may come when nobody waits any more."""
        try:
            self._connect()
            headers = {"Content-Type": "application/json", **_signature("POST", self._target, self._content)}
            self._connection.request("POST", self._target, self._content, headers)
            with self._connection.getresponse() as response:
                content = response.read(MAX_ANSWER)
                if response.length and len(content) < MAX_ANSWER:  # a read with a size takes an early end for the end
                    raise http.client.IncompleteRead(b"", response.length)
        except ControlError as error:
            return error
        except (OSError, http.client.HTTPException) as error:
            if self._aborted or isinstance(error, TimeoutError):
                return ControlTimeout("no answer in time")
            return ControlUnreachable(f"no answer: {type(error).__name__}")  # not its text, which may name the host
        finally:
            self._connection.close()
        body = content.decode("utf-8", "replace").replace(self._target, "…")
        if 200 <= response.status < 300:
            return ControlAnswer(response.status, body)
        return ControlRefused(response.status, " ".join(body.split())[:MAX_COMPLAINT])

    def abort(self) -> None:
        """Make `run` return soon; from any thread."""
        self._aborted = True
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> None:
        for last in (False, True):
            self._connection.timeout = max(0.01, self._deadline - time.monotonic())
            try:
                self._connection.connect()
                break
            except ssl.SSLError:
                raise ControlUnreachable("no connection: TLS failed") from None
            except OSError as error:
                if last or time.monotonic() + RETRY_PAUSE > self._deadline:
                    raise ControlUnreachable(f"no connection: {type(error).__name__}") from None
            time.sleep(RETRY_PAUSE)
