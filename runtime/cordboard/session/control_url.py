"""Control URLs: a signed capability for one session (DESIGN §6, serverless.md §8).

`{public url}/control/{token}`, token = base64url(`kid.session.expiry.nonce`) + `.` + base64url(HMAC-SHA256 of the
former). The nonce tells the session's full URL from narrower ones. Bad, expired and unknown tokens are told apart by
nobody: all are 404. Keys rotate by kid: the first mints, all verify.
"""

import base64
import binascii
import hashlib
import hmac
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class Grant(NamedTuple):
    """What a token of ours says."""

    session: str
    """Session id."""
    nonce: str
    """32 hex digits; the session knows what they allow."""


class ControlKey:
    """A key that signs control URLs; its kid is a prefix of its hash."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the control key must have at least 32 bytes")
        self._key = key
        self.kid = hashlib.sha256(key).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"<ControlKey {self.kid}>"

    def sign(self, body: str) -> str:
        """base64url of the HMAC-SHA256."""
        digest = hmac.new(self._key, body.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class ControlKeys:
    """The key that mints, and those before it, whose URLs are still about."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The minting key first. Raises ValueError for none, or a short one."""
        if not keys:
            raise ValueError("there is no control key")
        self._keys = {key.kid: key for key in reversed([ControlKey(each) for each in keys])}
        self._first = ControlKey(keys[0])

    def mint(self, session: str, nonce: str, expires: float) -> str:
        """A token for `session`, good until the Unix time `expires`."""
        text = f"{self._first.kid}.{session}.{int(expires)}.{nonce}"
        body = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        return f"{body}.{self._first.sign(body)}"

    def verify(self, token: str, wall: float) -> Grant | None:
        """What a token of ours says that has not expired, else None. Constant time in the signature."""
        if not token.isascii():
            return None
        body, dot, signature = token[:MAX_TOKEN].partition(".")
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        key = self._keys.get(text.partition(".")[0], self._first)  # an unknown kid costs the same time
        if not dot or not hmac.compare_digest(signature.encode(), key.sign(body).encode()):
            return None
        kid, session, expires, nonce = text.split(".")
        return Grant(session, nonce) if kid == key.kid and wall < int(expires) else None


def make_nonce(rng: random.Random) -> str:
    """128 bits as 32 hex digits."""
    return rng.randbytes(16).hex()


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
