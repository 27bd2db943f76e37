"""What stands between a webhook's sender and its handler, on the edge and on Lambda alike: secret, form, once.

The secret comes in clear and signs nothing (reference cartesia-protocols §4.7), so take HTTPS only. What is promised of
"once": of the deliveries of one event one at a time is handed over, and none after a handler returned, for KEEP. A
handler that raises, or whose process dies, has its event handed over again when the sender tries again.
"""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from cordboard.contract.codec import JSON, DecodeError
from cordboard.contract.webhooks import WebhookEvent, read_webhook, webhook_key
from cordboard.storage.claims import Claim, Claims
from cordboard.storage.interface import StorageUnavailable

SECRET_HEADER: Final = "x-webhook-secret"  # noqa: S105 (a name)
MAX_SECRETS: Final = 2  # the one in use and, during a rotation, the next
MAX_BODY: Final = 512 * 1024  # bytes; an invocation has 256 KB, and the deprecated `body` repeats the transcript
LEASE_MARGIN: Final = 10.0  # seconds beyond a handler's time-out until its claim is free, should its process have died
KEEP: Final = 7 * 86_400.0  # seconds a handled event is known; senders give up within three days
RETRY_AFTER: Final = 2  # seconds; for a delivery that meets its first one still in the handler's hands

Outcome: TypeAlias = Literal["handled", "duplicate", "busy", "failed", "unavailable"]

log = logging.getLogger("cordboard.webhooks")


class NoWebhookSecret(RuntimeError):
    """There is no usable secret to check deliveries with; the message says where it belongs."""


class Rejected(Exception):
    """A delivery that is not taken."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        """HTTP status."""
        self.code = code
        """unauthorized, unsupported_media_type, too_large, invalid."""
        self.detail = detail
        """What is wrong, naming the field."""


class WebhookGate:
    """Checks deliveries against one secret, or two during a rotation. Its repr shows none."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Raises NoWebhookSecret."""
        if not secrets:
            raise NoWebhookSecret("no webhook secret is configured")
        if len(secrets) > MAX_SECRETS:
            raise NoWebhookSecret(f"{len(secrets)} webhook secrets; there are at most {MAX_SECRETS}")
        for secret in secrets:
            if not secret or not secret.isascii() or not secret.isprintable() or secret != secret.strip():
                raise NoWebhookSecret("a webhook secret is printable ASCII without spaces at its ends")
        self._digests = [_digest(secret.encode()) for secret in secrets]

    def check(self, given: bytes | None) -> None:
        """Compare what the header says, in a time that tells nothing. Raises Rejected."""
        digest = _digest(given or b"")
        if not any([hmac.compare_digest(digest, own) for own in self._digests]):  # noqa: C419 (always all of them)
            raise Rejected(401, "unauthorized", f"{SECRET_HEADER} is missing or wrong")


def check_content_type(value: str | None) -> None:
    """Raises Rejected for what is no JSON."""
    media_type = (value or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Rejected(415, "unsupported_media_type", "Content-Type: application/json is needed")


def too_large() -> Rejected:
    """For a body over MAX_BODY."""
    return Rejected(413, "too_large", f"the limit is {MAX_BODY} bytes")


def read_body(body: bytes) -> WebhookEvent:
    """The event in a delivery's body. Raises Rejected that names the field."""
    if len(body) > MAX_BODY:
        raise too_large()
    try:
        event = read_webhook(json.loads(body))
        _check_characters(event.raw, "")
        return event
    except DecodeError as error:
        raise Rejected(400, "invalid", str(error)) from None
    except (ValueError, RecursionError) as error:
        raise Rejected(400, "invalid", f"the body is no JSON: {error}") from None


async def hand_over_once(
    event: WebhookEvent, claims: Claims, timeout: float, handle: Callable[[], Awaitable[bool]]
) -> Outcome:
    """Call `handle` unless the event is done or in another's hands. `timeout`: seconds that `handle` takes at most;
    True: done, and no delivery of this event is handed over again; False or an error: the next one is."""
    try:
        claim = await asyncio.to_thread(claims.take, webhook_key(event), timeout + LEASE_MARGIN)
    except StorageUnavailable as error:
        log.error("webhook %s of call %s cannot be claimed: %s", event.type, event.call_id, error)
        return "unavailable"
    if not isinstance(claim, Claim):
        return "duplicate" if claim == "done" else "busy"
    done = False
    try:
        done = await handle()
    finally:
        settled = asyncio.ensure_future(asyncio.to_thread(_settle, claims, claim, done))
        await asyncio.shield(settled)
    return "handled" if done else "failed"


def _settle(claims: Claims, claim: Claim, done: bool) -> None:
    try:
        if not (claims.finish(claim, KEEP) if done else claims.release(claim)):
            log.error("a webhook's handler took longer than its claim: the event may be handed over twice")
    except StorageUnavailable as error:  # the claim ends with its lease; only then could a duplicate come through
        log.error("a webhook's claim cannot be settled: %s", error)


def _check_characters(value: JSON, path: str) -> None:
    """Refuse half of a surrogate pair, which JSON can escape and nothing can write out. Raises DecodeError."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DecodeError(path, "holds half a surrogate pair") from None
    elif isinstance(value, Mapping):
        for name, item in value.items():
            inner = f"{path}.{name}" if path else name
            _check_characters(name, inner)
            _check_characters(item, inner)
    elif isinstance(value, Sequence):
        for at, item in enumerate(value):
            _check_characters(item, f"{path}[{at}]")


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()  # equal lengths, so that the comparison's time tells not even the length
