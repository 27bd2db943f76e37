"""What is needed to give calls to an agent program: where it answers, who hears its callers, and how digits come."""

from __future__ import annotations

from dataclasses import dataclass

from cordboard.line.ears.ear import Ears
from cordboard.line.ears.turns import Turns, energy
from cordboard.line.harness.program import AgentHost


@dataclass(frozen=True, slots=True)
class Harness:
    """Of one program."""

    host: AgentHost
    """Where the program answers."""
    ears: Ears | None = None
    """Who understands the caller; without, turns carry no text."""
    turns: Turns = energy
    """Who finds the caller's turns when the ear does not do so itself."""
    dtmf_turns: bool = True
    """Whether digits outside a turn make one; false for programs whose run filter names `UserDtmfSent`."""
