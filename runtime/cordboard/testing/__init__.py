"""What a scenario's tests import: whole calls in virtual time, with phones, an agent and the scenario's functions.

    def test_greets(edge: Edge) -> None:
        edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a")
        caller = edge.call("+15551234567", to="+18005550100")
        caller.agent.says("Hello!", seconds=2)
        edge.advance(3)
        assert caller.heard == ["Hello!"]

Everything is synchronous. Each line returns when nothing is left to do now; `edge.advance(s)` moves time.
Names are loaded when they are used: the pytest plugin lives here, and most tests of a project need no simulator.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cordboard.simulator.faults import Fault

    from .agents import FakeAgent
    from .control import Reply
    from .edge import Edge
    from .errors import NeverHappened, NoAnswer, NoSuchCall, ToolRefused
    from .legs import Leg
    from .sessions import RecordingView, SessionView

__all__ = [
    "Edge",
    "FakeAgent",
    "Fault",
    "Leg",
    "NeverHappened",
    "NoAnswer",
    "NoSuchCall",
    "RecordingView",
    "Reply",
    "SessionView",
    "ToolRefused",
]

_HOMES: Final = {
    "Edge": ".edge",
    "FakeAgent": ".agents",
    "Fault": "cordboard.simulator.faults",
    "Leg": ".legs",
    "RecordingView": ".sessions",
    "Reply": ".control",
    "SessionView": ".sessions",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, ".errors"), __name__), name)
