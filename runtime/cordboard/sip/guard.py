"""Who may cost us state: token buckets, by source for new requests and by leg inside dialogs (reference §4.79)."""

from collections import OrderedDict

NEW_REQUESTS_PER_SECOND = 50.0  # per source IP; a busy trunk places some 10 calls a second, scanners send hundreds
NEW_REQUESTS_BURST = 100.0  # requests at once, so that a trunk's restart with its OPTIONS and calls passes
IN_DIALOG_PER_SECOND = 20.0  # per leg; digits by INFO come at 10 a second at most
IN_DIALOG_BURST = 40.0  # requests at once
MAX_BUCKETS = 4_096  # keys remembered; the one unheard of for longest is forgotten, which only refills its bucket


class RateGuard:
    """Token buckets by key (a host, a leg)."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str, now: float) -> bool:
        """Take a token of that key; False when it has none left."""
        tokens, seen = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - seen) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return allowed
