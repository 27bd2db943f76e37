"""The session itself: timers, its end, control URLs; and what is not built."""

from dataclasses import dataclass

from ..codec import DecodeError
from .wire import command


@command("timer.set")
@dataclass(frozen=True, slots=True)
class TimerSet:
    """Start or restart a named timer."""

    seconds: float
    """0.02 s to 4 h."""

    def __post_init__(self) -> None:
        if not 0.02 <= self.seconds <= 14_400:
            raise DecodeError("seconds", f"{self.seconds:g} is not between 0.02 and 14400")


@command("timer.clear")
@dataclass(frozen=True, slots=True)
class TimerClear:
    """Forget a named timer. Idempotent."""


@command("session.terminate")
@dataclass(frozen=True, slots=True)
class SessionTerminate:
    """End the session; waits for hang-ups after playout."""


@command("control_url.mint")
@dataclass(frozen=True, slots=True)
class ControlUrlMint:
    """Mint a narrower control URL; its result is `{"url": …}`, a secret."""

    verbs: tuple[str, ...] | None = None
    """What may be asked for: the path's first segment, else `action` or `tool` of the body; None: everything."""
    to: tuple[str, ...] | None = None
    """Patterns of the destinations that `to` or `number` of a body may name; None: any."""
    uses: int | None = None
    """Requests it is good for, 1 to 1,000; None: no limit but the rate."""
    expires_in: float | None = None
    """Seconds it lives, 1 to 14,400; None: as long as the session."""

    def __post_init__(self) -> None:
        for name, found in (("verbs", self.verbs), ("to", self.to)):
            if found is not None and (not 1 <= len(found) <= 32 or not all(1 <= len(each) <= 128 for each in found)):
                raise DecodeError(name, "is not 1 to 32 texts of 1 to 128 characters")
        if self.uses is not None and not 1 <= self.uses <= 1_000:
            raise DecodeError("uses", f"{self.uses} is not between 1 and 1000")
        if self.expires_in is not None and not 1 <= self.expires_in <= 14_400:
            raise DecodeError("expires_in", f"{self.expires_in:g} s is not between 1 and 14400")


@command(
    "call.transfer", "call.hold", "call.unhold", "call.send_message", "call.send_info", "conference.create"
)  # fmt: skip
@dataclass(frozen=True, slots=True)
class NotYet:
    """A word that is reserved and not built: the edge answers `not_supported`."""
