"""Signed control requests: `X-Control-Signature: t=<unix seconds>,v1=<hex>` (serverless.md §8).

v1 is HMAC-SHA256 over `t`, a point, and the body, keyed with [http.public].request_key, which the agent's tools hold
beside the URL: whoever only sees a URL in a log can do nothing with it. Each signature passes once, within a window.
"""

import hashlib
import hmac
import re
from collections import OrderedDict

HEADER = "x-control-signature"

WINDOW = 300.0
"""Seconds by which a request's time may differ from ours: clocks that are never set, and a slow network."""

MAX_SEEN = 10_000
"""Signatures remembered: more in a window are refused, since a forgotten one could be replayed."""

_FORM = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class RequestSignatures:
    """Checks the signatures of all control requests."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the key of control requests must have at least 32 bytes")
        self._key = key
        self._seen: OrderedDict[str, float] = OrderedDict()
        """Signature → Unix time at which it may be forgotten, in the order of arrival."""

    def __repr__(self) -> str:
        return "<RequestSignatures>"

    def sign(self, body: bytes, at: float) -> str:
        """The header's value for a request at the Unix time `at`."""
        return f"t={int(at)},v1={self._mac(str(int(at)), body)}"

    def refuse(self, header: str | None, body: bytes, wall: float) -> str | None:
        """Why a request may not pass at the Unix time `wall`; None: it may, once."""
        found = _FORM.fullmatch(header or "")
        if found is None:
            return "sign the request: X-Control-Signature: t=<unix>,v1=<hmac-sha256 of t.body in hex>"
        at, signature = found.groups()
        if not hmac.compare_digest(signature.encode(), self._mac(at, body).encode()):
            return "the signature does not fit time and body"
        if abs(wall - int(at)) > WINDOW:
            return f"the signature's time is more than {WINDOW:g} s away"
        while self._seen and next(iter(self._seen.values())) < wall:
            self._seen.popitem(last=False)
        if signature in self._seen:
            return "the signature was used before"
        if len(self._seen) >= MAX_SEEN:
            return "too many signed requests in a short time"
        self._seen[signature] = wall + 2 * WINDOW
        return None

    def _mac(self, at: str, body: bytes) -> str:
        return hmac.new(self._key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
