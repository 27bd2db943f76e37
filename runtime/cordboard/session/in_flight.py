"""An event in the mailbox, and the one that is being handled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.contract.events import Event
from cordboard.contract.records import EventRoute

from .steps import Journal
from .timers import Timer

PARKED_LIMIT = 30.0
"""Seconds an event may be parked, over all its rounds (DESIGN §4)."""


@dataclass(slots=True)
class Posted:
    """An event in the mailbox."""

    event: Event
    at: float
    """Monotonic seconds at which it happened."""
    cause: str
    """What an end that its handler commands would be put down to."""
    request: str = ""
    """Token of the HTTP request that waits for its reply."""
    noted: Mapping[str, Any] | None = None
    """What may be written in place of the event's data."""


@dataclass(slots=True)
class Turn:
    """The event in flight."""

    posted: Posted
    function: str
    route: EventRoute
    now_text: str
    objects: tuple[Any, ...]
    journal: Journal
    round: int = 0
    logged: int = 0
    """Log lines that earlier rounds brought; a replay logs them again and drops them."""
    attempt: int = 1
    token: str = ""
    state: Literal["invoked", "parked", "done"] = "invoked"
    waiting: tuple[str, ...] = ()
    awaited: set[str] = field(default_factory=set)
    """Every id it ever waited for: their failures were told to the handler."""
    may_park: float = PARKED_LIMIT
    """Seconds it may yet be parked."""
    parked_at: float = 0.0
    timer: Timer | None = None
    """Ends the wait for an answer, or for what it is parked on."""
    invoked_at: float = 0.0

    @property
    def event(self) -> Event:
        """The event."""
        return self.posted.event
