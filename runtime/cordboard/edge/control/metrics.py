"""What `/metrics` tells (HANDLERS §2.3), gathered in control's shell from effects and from the planes' messages.

Labels are of a bounded set: no number, id or name of a person, of a leg or of an agent is ever one. A leg that a
handler named is `leg` in a cause; a route is its place in `cordboard.toml`, from 1.
Leaves out what nobody measures live yet: caller's stop to agent's word, clear to silence, processor and memory.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from cordboard.config.model import Route
from cordboard.contract.call_record import CallEnded, TimelineEntry
from cordboard.contract.webhooks import WEBHOOKS
from cordboard.session.effects import Invoke

OWN_OBJECTS: Final = frozenset({"caller", "agent", "edge", "plane", "control", "limit", "handler", "media",
                                     "operator", "fallback"})  # fmt: skip
"""Objects of a cause (DESIGN §6) that the edge names itself; every other is a leg that a handler named."""
DIAL_REASONS: Final[Mapping[object, str]] = {
    400: "invalid",
    403: "not_allowed",
    404: "no_trunk",
    484: "unreadable",
    503: "no_capacity",
}
"""Code of a refused dialling → label."""
STATUSES: Final = frozenset({"done", "suspended", "failed"})
"""What an answer may say of itself."""
FALLBACKS: Final = frozenset({"late", "alone", "breaker_open", "timeout", "crashed", "lost", "throttled", "parked",
                              "refused", "too_large"})  # fmt: skip
"""Why a fallback took a call over; anything else is an exception of a handler."""
_WORD: Final = re.compile(r"[a-z_]{1,32}")
_TURN: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds; a round has 5
_ANSWER: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds; T1 of SIP is 0.5
_LATE: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    1.0,
)  # seconds; a tick is 0.005, a frame 0.02

disable_created_metrics()  # type: ignore[no-untyped-call]  # twice as many series that nobody asks for


class Metrics:
    """Counts. One for each control; all times are monotonic seconds."""

    def __init__(self, routes: Sequence[Route], live: Callable[[], float]) -> None:
        """`live`: how many sessions have not ended, asked whenever somebody collects."""
        self._routes = [route.to for route in routes]
        self._ringing: set[str] = set()
        self._invoked: dict[str, tuple[str, str, float]] = {}
        self._opening: dict[str, int] = {}
        self._registry = registry = CollectorRegistry()
        Gauge("cordboard_calls_live", "Sessions that have not ended.", registry=registry).set_function(live)
        self._calls = Counter("cordboard_calls_total", "Sessions that ended.", ("route", "cause"), registry=registry)
        self._turn = Histogram(
            "cordboard_turn_seconds",
            "One round of a handler, from the invocation to its outcome.",
            ("function", "event", "outcome"),
            buckets=_TURN,
            registry=registry,
        )
        self._answer = Histogram(
            "cordboard_invite_to_answer_seconds",
            "From a caller's INVITE to our 200.",
            buckets=_ANSWER,
            registry=registry,
        )
        self._late = Histogram(
            "cordboard_tick_lateness_seconds",
            "The latest tick of each second of a media plane.",
            ("plane",),
            buckets=_LATE,
            registry=registry,
        )
        self._lost = Counter(
            "cordboard_rtp_lost_total", "RTP packets that ended legs should have received.", registry=registry
        )
        self._agents = Counter(
            "cordboard_agent_connect_total", "Attempts to open an agent's socket.", ("result",), registry=registry
        )
        self._refused = Counter(
            "cordboard_dial_refused_total", "Diallings that were not begun.", ("reason",), registry=registry
        )
        self._fallbacks = Counter(
            "cordboard_fallbacks_total", "Calls that their scenario's fallback took over.", ("why",), registry=registry
        )
        self._opened = Counter(
            "cordboard_breaker_opened_total",
            "Times a function was given up for a while.",
            ("function",),
            registry=registry,
        )
        self._unasked = Counter(
            "cordboard_breaker_refused_total",
            "Events of a function that was given up.",
            ("function",),
            registry=registry,
        )
        self._webhooks = Counter(
            "cordboard_webhooks_total", "Deliveries of Cartesia's webhooks.", ("type", "outcome"), registry=registry
        )
        Info("cordboard_build", "This program.", registry=registry).info({"version": version("cordboard")})

    def exposition(self) -> tuple[bytes, str]:
        """All of it in Prometheus's text format, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def webhook(self, type_: str, outcome: str) -> None:
        """A delivery; of one that was not taken, `unread` is the type and the reason the outcome."""
        self._webhooks.labels(type_ if type_ in WEBHOOKS or type_ == "unread" else "other", outcome).inc()

    # --- sessions

    def began(self, session: str) -> None:
        """An INVITE made a session."""
        self._ringing.add(session)

    def ended(self, record: CallEnded) -> None:
        """A session is over."""
        self._ringing.discard(record.session)
        for confirm in [each for each in self._opening if each.startswith(f"{record.session}#")]:
            del self._opening[confirm]
            self._agents.labels("ended").inc()
        self._calls.labels(self._route(record.figures.get("route")), cause_label(record.cause)).inc()
        legs = record.figures.get("legs")
        for leg in legs.values() if isinstance(legs, Mapping) else ():
            self._lost.inc(max(0, int(leg.get("packets_lost", 0))))  # duplicates make it negative (RFC 3550 6.4.1)

    def timeline(self, session: str, entry: TimelineEntry) -> None:
        """An entry of a session's timeline."""
        if entry.kind == "cause" and entry.what == "fallback":
            why = entry.data.get("why")
            self._fallbacks.labels(why if why in FALLBACKS else "raised").inc()
        elif entry.kind == "round" and entry.what == "breaker opens":
            self._opened.labels(str(entry.data.get("function"))).inc()
        elif entry.kind == "round" and entry.data.get("error") == "breaker_open":
            self._unasked.labels(str(entry.data.get("function"))).inc()
        if entry.kind != "sip":
            return
        what = entry.what
        if session in self._ringing and what.startswith("→ 200 ") and what.endswith(" (INVITE)"):
            if entry.data.get("leg") == "caller":
                self._ringing.discard(session)
                self._answer.observe(entry.at)
        elif what.startswith("not dialled: "):
            self._refused.labels(DIAL_REASONS.get(entry.data.get("code"), "other")).inc()

    # --- rounds

    def invoked(self, invoke: Invoke, now: float) -> None:
        """A round begins."""
        event = str(invoke.payload.get("event", {}).get("type", ""))
        self._invoked[invoke.token] = (invoke.function, event, now)

    def round_over(self, token: str, outcome: str, now: float) -> None:
        """`outcome`: an answer's status, or the kind of its loss."""
        found = self._invoked.pop(token, None)
        if found is not None:
            function, event, began = found
            self._turn.labels(function, event, outcome).observe(now - began)

    def answered(self, token: str, answer: Mapping[str, Any], now: float) -> None:
        """A function answered."""
        status = answer.get("status")
        self.round_over(token, status if isinstance(status, str) and status in STATUSES else "refused", now)

    # --- planes

    def to_plane(self, plane: int, line: bytes) -> None:
        """A message to a plane: of interest is the opening of an agent's socket."""
        if line.startswith(b'{"m":"AgentOpen"'):
            confirm = json.loads(line).get("confirm")
            if isinstance(confirm, str):
                self._opening[confirm] = plane

    def of_plane(self, plane: int, line: bytes) -> None:
        """A message of a plane; the engine judges those that cannot be read."""
        if not line.startswith((b'{"m":"Pong"', b'{"m":"Done"')):
            return
        try:
            body = json.loads(line)
        except ValueError:
            return
        if body["m"] == "Pong":
            late = body.get("late_ms", 0.0)
            if isinstance(late, (int, float)):
                self._late.labels(str(plane)).observe(late / 1000)
        elif self._opening.pop(str(body.get("confirm")), None) is not None:
            self._agents.labels("open" if body.get("ok", True) else _word(body.get("code"))).inc()

    def plane_lost(self, plane: int) -> None:
        """What it had begun, nobody will hear of."""
        for confirm in [each for each, where in self._opening.items() if where == plane]:
            del self._opening[confirm]
            self._agents.labels("plane_lost").inc()

    def _route(self, to: object) -> str:
        return str(self._routes.index(to) + 1) if isinstance(to, str) and to in self._routes else "none"


def cause_label(cause: str) -> str:
    """A cause without the name of a leg: `<object>.<what>` of bounded sets."""
    name, _, what = cause.partition(".")
    return f"{name if name in OWN_OBJECTS else 'leg'}.{_word(what)}"


def _word(text: object) -> str:
    return text if isinstance(text, str) and _WORD.fullmatch(text) else "other"
