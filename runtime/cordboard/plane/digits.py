"""Key presses of a leg's peer, counted once where it tells them by RFC 4733 and by SIP INFO (DESIGN §1)."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

SAME_DIGIT = 1.0
"""Seconds in which a digit by INFO and by RFC 4733 is the same key press."""

MAX_SINGLE = 32
"""Key presses remembered in that time: three times what fingers do, with both methods."""

Method = Literal["rtp", "info"]
"""How a digit came: RFC 4733 or SIP INFO."""


@dataclass(slots=True)
class Digits:
    """Digits heard lately, to count those of two methods once."""

    single: deque[tuple[str, Method, float]] = field(default_factory=deque)
    """Key presses that only one method told so far, the oldest first."""

    def fresh(self, digit: str, method: Method, now: float) -> bool:
        """Whether this is another key press than those that the other method told."""
        while self.single and now - self.single[0][2] >= SAME_DIGIT:
            self.single.popleft()
        for place, (known, by, _) in enumerate(self.single):
            if known == digit and by != method:
                del self.single[place]
                return False
        if len(self.single) < MAX_SINGLE:
            self.single.append((digit, method, now))
        return True
