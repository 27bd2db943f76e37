"""Signed control requests: `X-Control-Signature: t=<unix seconds>,n=<nonce>,v1=<hex>` (after serverless.md §8).

v1 is HMAC-SHA256 over `t.n.METHOD.path.` and the body, `path` being what follows `/control/` in the URL, keyed with
[http.public].request_key, which the agent's tools hold beside the URL: whoever only sees a URL in a log can do nothing
with it, and what was signed for one call and verb is good for no other. Each signature passes once, within a window;
the nonce tells two requests of one second apart.
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

_FORM = re.compile(r"t=([0-9]{1,12}),n=([A-Za-z0-9_-]{8,64}),v1=([0-9a-f]{64})")


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

    def sign(self, method: str, path: str, body: bytes, at: float, nonce: str) -> str:
        """The header's value for a request at the Unix time `at`; `nonce`: 8 to 64 of A-Z, a-z, 0-9, _ and -."""
        return f"t={int(at)},n={nonce},v1={self._mac(str(int(at)), nonce, method, path, body)}"

    def refuse(self, header: str | None, method: str, path: str, body: bytes, wall: float) -> str | None:
        """Why a request may not pass at the Unix time `wall`; None: it may, once."""
        found = _FORM.fullmatch(header or "")
        if found is None:
            return (
                "sign the request: X-Control-Signature: t=<unix>,n=<nonce>,v1=<hmac-sha256 in hex of "
                "t.n.METHOD.path.body, the path without /control/>"
            )
        at, nonce, signature = found.groups()
        if not hmac.compare_digest(signature.encode(), self._mac(at, nonce, method, path, body).encode()):
            return "the signature does not fit time, nonce, method, path and body"
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

    def _mac(self, at: str, nonce: str, method: str, path: str, body: bytes) -> str:
        signed = f"{at}.{nonce}.{method}.{path}.".encode() + body
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()
