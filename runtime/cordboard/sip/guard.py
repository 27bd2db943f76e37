"""Who may cost us state: a token bucket per source address for new requests (reference §4.79)."""

from collections import OrderedDict

NEW_REQUESTS_PER_SECOND = 50.0  # per source IP; a busy trunk places some 10 calls a second, scanners send hundreds
NEW_REQUESTS_BURST = 100.0  # requests at once, so that a trunk's restart with its OPTIONS and calls passes
MAX_SOURCES = 4_096  # addresses remembered; the one unheard of for longest is forgotten, which only refills its bucket


class SourceGuard:
    """Counts new requests by source IP."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refused = 0
        """Requests refused so far, over all sources."""

    def allow(self, host: str, now: float) -> bool:
        """Take a token of that host; False when it has none left."""
        tokens, seen = self._buckets.pop(host, (NEW_REQUESTS_BURST, now))
        tokens = min(NEW_REQUESTS_BURST, tokens + (now - seen) * NEW_REQUESTS_PER_SECOND)
        allowed = tokens >= 1.0
        self._buckets[host] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        self.refused += not allowed
        return allowed
