"""A circuit breaker for each function of a release: a function that gives no answer is not waited for by every call.

    closed ──FAILURES in a row──▶ open ──PAUSE──▶ one event is let through ──answer──▶ closed
                                   ▲                       └──no answer──┘

Only rounds without an answer count: timed out, crashed, lost, throttled. A handler that raises does so at once and
costs no caller any time; its answer shows that the function lives. Shared by all sessions; kept in memory alone.
"""

from dataclasses import dataclass

FAILURES = 5
"""Rounds in a row without an answer that open it: two events with their second attempts, and a third."""

PAUSE = 10.0
"""Seconds until an open one lets an event through: the time that the event would have kept its caller waiting."""

COUNTED = frozenset({"timeout", "crashed", "lost", "throttled"})
"""Kinds of rounds without an answer."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    next_probe: float = 0.0


class Breakers:
    """All of them; functions that answer are not in it, so that it grows with what is broken alone."""

    def __init__(self) -> None:
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def open(self, release: str, function: str) -> bool:
        """Events of a function are not waited for."""
        circuit = self._circuits.get((release, function))
        return circuit is not None and circuit.failures >= FAILURES

    def admits(self, release: str, function: str, now: float) -> bool:
        """Whether a round may be tried; where it is open, one a pause is."""
        circuit = self._circuits.get((release, function))
        if circuit is None or circuit.failures < FAILURES:
            return True
        if now < circuit.next_probe:
            return False
        circuit.next_probe = now + PAUSE  # an outcome that never comes must not keep it open
        return True

    def answered(self, release: str, function: str) -> bool:
        """It lives. True where that closes the breaker."""
        circuit = self._circuits.pop((release, function), None)
        return circuit is not None and circuit.failures >= FAILURES

    def failed(self, release: str, function: str, now: float) -> bool:
        """A round brought no answer. True where that opens the breaker."""
        circuit = self._circuits.setdefault((release, function), _Circuit())
        circuit.failures += 1
        circuit.next_probe = now + PAUSE
        return circuit.failures == FAILURES
