"""What a scenario's tests import: whole calls in virtual time, with phones, an agent and the scenario's functions.

    def test_greets(edge: Edge) -> None:
        edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a")
        caller = edge.call("+15551234567", to="+18005550100")
        caller.agent.say("Hello!", seconds=2)
        edge.advance(3)
        assert caller.heard == ["Hello!"]

Everything is synchronous. Each line returns when nothing is left to do now; `edge.advance(s)` moves time.
Names are loaded when they are used: the pytest plugin lives here, and most tests of a project need no simulator.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .edge import Edge
    from .errors import NoAnswer, NoSuchCall, NotInSimulator
    from .objects import FakeAgent, Leg, Reply, SessionView

__all__ = ["Edge", "FakeAgent", "Leg", "NoAnswer", "NoSuchCall", "NotInSimulator", "Reply", "SessionView"]

_HOMES = {"Edge": "edge", "NoAnswer": "errors", "NoSuchCall": "errors", "NotInSimulator": "errors"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'objects')}", __name__), name)
