"""Words that the stories share."""

import json
from typing import Any

from cordboard.contract.call_record import CallEnded
from cordboard.simulator.agent_service import SimulatedAgent
from cordboard.simulator.edge import PUBLIC_URL
from cordboard.simulator.observed import HttpReply
from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation

CALLER, NUMBER, TRANSFER = "+15551234567", "+18005550100", "+18339906144"


def agent_of(sim: Simulation, phone: Phone) -> SimulatedAgent:
    """The newest agent of a phone's session."""
    return sim.service.of_session(sim.session_of(phone).id)[-1]


def control(sim: Simulation, phone: Phone, body: dict[str, Any] | bytes) -> HttpReply:
    """POST to the control URL, as far as an answer comes now."""
    url = sim.session_of(phone).control_url.removeprefix(f"{PUBLIC_URL}/control/")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = sim.edge.request("POST", url, {"content-type": "application/json"}, data)
    sim.world.settle()
    return sim.edge.replies[request]


def record_of(sim: Simulation, phone: Phone) -> CallEnded:
    """The one record of a phone's session."""
    ended = sim.session_of(phone).ended
    assert len(ended) == 1, [entry.what for entry in sim.session_of(phone).timeline[-10:]]
    return ended[0]


def heard(sim: Simulation, phone: Phone, since: float = 0.0) -> dict[str, float]:
    """Text → seconds of it that a phone heard."""
    return _by_text(sim, phone.heard(since))


def heard_by_agent(sim: Simulation, agent: SimulatedAgent) -> dict[str, float]:
    """The same of an agent."""
    return _by_text(sim, agent.heard())


def _by_text(sim: Simulation, tones: list[tuple[int, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for hz, seconds in tones:
        said = sim.voices.of(hz)
        text = said.text if said is not None else f"{hz} Hz"
        found[text] = round(found.get(text, 0.0) + seconds, 3)
    return found


def transfer(sim: Simulation, phone: Phone) -> Phone:
    """Ask for the transfer; the phone that rings."""
    assert control(sim, phone, {"action": "call_transfer"}).status == 200
    [consult] = sim.exchange.dialed(TRANSFER)
    return consult
