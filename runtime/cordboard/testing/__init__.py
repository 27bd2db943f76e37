"""What a scenario's tests import: whole calls in virtual time, with phones, an agent and the scenario's functions.

    def test_greets(edge: Edge) -> None:
        edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a")
        caller = edge.call("+15551234567", to="+18005550100")
        caller.agent.say("Hello!", seconds=2)
        edge.advance(3)
        assert caller.heard == ["Hello!"]

Everything is synchronous. Each line returns when nothing is left to do now; `edge.advance(s)` moves time.
"""

from .edge import Edge
from .errors import NoAnswer, NoSuchCall, NotInSimulator
from .objects import FakeAgent, Leg, Reply, SessionView

__all__ = ["Edge", "FakeAgent", "Leg", "NoAnswer", "NoSuchCall", "NotInSimulator", "Reply", "SessionView"]
