"""Key presses of a leg's peer: counted once where it tells them by RFC 4733 and by SIP INFO (DESIGN §1), and kept from
whoever hears the leg while control gathers them (HANDLERS §1.1, gather).

Leaves out: prompts and the time between two keys, which are control's.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from cordboard.contract.link import LegGather

SAME_DIGIT = 1.0
"""Seconds in which a digit by INFO and by RFC 4733 is the same key press."""

MAX_SINGLE = 32
"""Key presses remembered in that time: three times what fingers do, with both methods."""

KEY_TAIL = 0.5
"""Seconds after a secret gather's last digit in which its peer is not heard yet: a digit counts when its key goes down,
and the tone that some phones send beside the event lasts until it goes up (0.1 to 0.3 s)."""

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


class Gathered:
    """Whose the digits of a leg are: a gather's, or of all who hear the leg."""

    def __init__(self) -> None:
        self._gather: LegGather | None = None
        self._left = 0
        """Digits until it is complete."""
        self._withheld_until = 0.0

    def begin(self, gather: LegGather, now: float) -> None:
        """Digits are this gather's from now on; a former one is over."""
        self._over(now)
        self._gather, self._left = gather, gather.max_digits

    def end(self, gather: str, now: float) -> None:
        """Digits are everybody's; nothing happens where that gather is over."""
        if self._gather is not None and self._gather.gather == gather:
            self._over(now)

    def take(self, digit: str, now: float) -> tuple[str, bool]:
        """(the gather that a digit belongs to or "", whether it completed it)."""
        gather = self._gather
        if gather is None:
            return "", False
        self._left -= 1
        last = self._left == 0 or digit in gather.finish_on
        if last:
            self._over(now)
        return gather.gather, last

    def withheld(self, now: float) -> bool:
        """Nobody may hear the peer: a secret gather runs, or its last key may be down still."""
        return (self._gather is not None and self._gather.secret) or now < self._withheld_until

    def _over(self, now: float) -> None:
        if self._gather is not None and self._gather.secret:
            self._withheld_until = now + KEY_TAIL
        self._gather = None
