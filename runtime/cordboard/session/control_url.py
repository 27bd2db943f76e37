"""Control URLs: a signed capability for one session (DESIGN §6, serverless.md §8).

`{public url}/control/{token}`, token = base64url(`kid.session.expiry.nonce`) + `.` + base64url(HMAC-SHA256 of the
former). Bad, expired and unknown tokens are told apart by nobody: all are 404.
"""

import base64
import binascii
import hashlib
import hmac
import random
from dataclasses import dataclass

SLACK = 60.0
"""Seconds a token outlives the longest call, for the handler's last reply."""

RATE = 5.0
"""Requests a second for one session (serverless.md §8)."""

BURST = 10.0
"""Requests at once."""

MAX_BODY = 16 * 1024
"""Bytes of a request (HANDLERS §2.3)."""

MAX_TOKEN = 512
"""Characters looked at; ours have about 140."""


class ControlKey:
    """The key that signs control URLs; its kid is a prefix of its hash."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the control key must have at least 32 bytes")
        self._key = key
        self.kid = hashlib.sha256(key).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"<ControlKey {self.kid}>"

    def mint(self, session: str, expires: float, rng: random.Random) -> str:
        """A token for `session`, good until the Unix time `expires`."""
        text = f"{self.kid}.{session}.{int(expires)}.{rng.randbytes(16).hex()}"
        body = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        return f"{body}.{self._sign(body)}"

    def verify(self, token: str, wall: float) -> str | None:
        """The session of a token of ours that has not expired, else None. Constant time in the signature."""
        if not token.isascii():
            return None
        body, dot, signature = token[:MAX_TOKEN].partition(".")
        if not dot or not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        kid, session, expires, _ = text.split(".")
        return session if kid == self.kid and wall < int(expires) else None

    def _sign(self, body: str) -> str:
        digest = hmac.new(self._key, body.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(slots=True)
class Bucket:
    """Requests one session may still make."""

    tokens: float = BURST
    at: float = 0.0

    def take(self, now: float) -> bool:
        """One request; False: too many."""
        self.tokens = min(BURST, self.tokens + (now - self.at) * RATE)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
