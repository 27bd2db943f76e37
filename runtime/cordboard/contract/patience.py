"""What a scenario says of the time in which its function is late or fails (DESIGN §4, §7.8). The edge keeps it: when it
is needed, nothing else of the scenario is there."""

from dataclasses import dataclass

from .codec import DecodeError
from .commands import Sound

SHORTEST = 0.2
"""Seconds of the shortest patience: below, an ordinary turn would be heard."""
LONGEST = 60.0
"""Seconds of the longest: no round, parked or not, lasts longer."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """What becomes of a call without its function: it is dialled on to `to`; where there is no `to`, or it is not
    reached, the caller hears `prompt`; then the call ends."""

    to: str = ""
    """Number or sip: URI, within [dial] allow; empty: nobody is dialled."""
    callerid: str = ""
    """Number to show there."""
    trunk: str | None = None
    """Name of a trunk; else the first [[outbound]] match."""
    timeout: float = 30.0
    """Seconds that it may ring."""
    prompt: str = ""
    """Text, or file or URL of a WAV file (`Sound.of`); empty: none."""
    code: int = 480
    """What a call is refused with that is not answered yet, 400 to 699."""

    def __post_init__(self) -> None:
        if not self.to and (self.callerid or self.trunk):
            raise DecodeError("to", "is empty, and callerid or trunk is not")
        if not 1 <= self.timeout <= 600:
            raise DecodeError("timeout", f"{self.timeout:g} s is not between 1 and 600")
        _check_prompt(self.prompt)
        if not 400 <= self.code <= 699:
            raise DecodeError("code", f"{self.code} is not between 400 and 699")


@dataclass(frozen=True, slots=True)
class Patience:
    """What an answered call that hears nobody is given while a function is at work for it, by seconds of silence."""

    tone_after: float | None = None
    """A comfort tone (ITU-T E.182) from then on; None: none."""
    prompt: str = ""
    """Text, or file or URL of a WAV file (`Sound.of`), heard once; empty: none."""
    prompt_after: float = 2.0
    """When the prompt begins."""
    fallback_after: float | None = None
    """The fallback, also for a call that rings still; None: never for being late."""

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        for name in ("tone_after", "prompt_after", "fallback_after"):
            seconds = getattr(self, name)
            if seconds is not None and not SHORTEST <= seconds <= LONGEST:
                raise DecodeError(name, f"{seconds:g} s is not between {SHORTEST:g} and {LONGEST:g}")


def _check_prompt(prompt: str) -> None:
    if prompt:
        try:
            Sound.of(prompt)
        except DecodeError as error:
            raise DecodeError("prompt", error.problem) from None
