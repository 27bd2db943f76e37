"""Text that comes in pieces, cut where it may be spoken."""

from __future__ import annotations

import re

MAX_SENTENCE = 400
"""Characters that are spoken in one go when no sentence ends: half a minute, cut between words."""

_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


def split(text: str, limit: int = MAX_SENTENCE) -> tuple[list[str], str]:
    """Return the whole sentences of a text that may go on, and the rest of it. Nothing but spaces is lost."""
    *whole, rest = _SENTENCE.split(text)
    while len(rest) > limit:
        at = rest.rfind(" ", 0, limit) + 1 or limit
        whole.append(rest[:at])
        rest = rest[at:]
    return whole, rest
