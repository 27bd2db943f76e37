"""The scenario that the three functions share: its name, its state, what it only logs."""

from dataclasses import dataclass
from typing import Final

from cordboard.scenario import Cartesia, Scenario

CARTESIA_VERSION: Final = "2025-04-16"  # or "2026-08-14": Managed Agents, same handlers
CALL_TRANSFER_NUMBER: Final = "+18339906144"  # never taken from the request: the caller must not choose whom we dial


@dataclass
class State:  # VoxEngine's top-level `let`s; lives in the edge
    transfer_in_progress: bool = False
    transferred: bool = False


scenario = Scenario("line-agent", state=State)

Agents = Cartesia.AgentsEvents
scenario.log_only(
    Agents.ACK, Agents.Clear, Agents.ConnectorInformation, Agents.DTMF, Agents.Unknown, Agents.WebSocketError
)
