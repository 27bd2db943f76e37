"""Claims: who may do a thing that is to be done once. A claim is busy for a lease, then done or free again.

What is promised: of all who `take` a key at once, one gets it; while its lease runs, and after `finish`, nobody else
does. What is not: a holder that dies between its deed and `finish` leaves a key that is free after the lease, and
the deed is done again. Synchronous; every backend may be called from any thread.
"""

import secrets
import threading
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from cordboard.storage.interface import Clock, check_key

MAX_CLAIMS: Final = 100_000  # of MemoryClaims; a key is 64 bytes, the oldest go first


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do it, until the lease ends."""

    key: str
    """What is to be done."""
    token: str
    """Tells this holder from those after it."""


class Claims(Protocol):
    """Claims by key; a key is what ApplicationStorage takes for one."""

    def take(self, key: str, lease: float) -> Claim | Literal["busy", "done"]:
        """The claim for `lease` seconds; busy: another holds it; done: it was finished.

        Raises KeyInvalid, KeyTooLong, StorageUnavailable.
        """

    def finish(self, claim: Claim, keep: float) -> bool:
        """It is done, and known to be for `keep` seconds; False: another has taken it since.

        Raises StorageUnavailable.
        """

    def release(self, claim: Claim) -> bool:
        """It is not done, and another may take it; False: another has already. Raises StorageUnavailable."""


def new_token() -> str:
    """A holder's token: 128 bits, so that no two holders ever share one."""
    return secrets.token_hex(16)


class MemoryClaims:
    """Claims in a dict: for one process, gone with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[str, tuple[str | None, float]] = {}

    def take(self, key: str, lease: float) -> Claim | Literal["busy", "done"]:
        """See Claims.take."""
        check_key(key)
        now = self._clock()
        with self._lock:
            found = self._claims.get(key)
            if found is not None and found[1] > now:
                return "done" if found[0] is None else "busy"
            self._claims.pop(key, None)
            while len(self._claims) >= MAX_CLAIMS:
                del self._claims[next(iter(self._claims))]
            claim = Claim(key, new_token())
            self._claims[key] = (claim.token, now + lease)
        return claim

    def finish(self, claim: Claim, keep: float) -> bool:
        """See Claims.finish."""
        with self._lock:
            if not self._holds(claim):
                return False
            self._claims[claim.key] = (None, self._clock() + keep)
        return True

    def release(self, claim: Claim) -> bool:
        """See Claims.release."""
        with self._lock:
            if not self._holds(claim):
                return False
            del self._claims[claim.key]
        return True

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._claims.clear()

    def _holds(self, claim: Claim) -> bool:
        return self._claims.get(claim.key, (None, 0.0))[0] == claim.token
