"""A Managed agent whose tools are functions: it may look for a table, and end the call.

One function answers all of the call's events. The agent at the provider is given client tools named `find_table` and
`end_call`; `cordboard functions list --json` prints the JSON Schema of their parameters.
"""

from typing import Literal

from cordboard.scenario import (
    JSON,
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Cartesia,
    CommandFailed,
    KeyNotFound,
    Logger,
    Scenario,
    Session,
    ToolError,
    VoxEngine,
    WebSocketEvents,
    events,
)

scenario = Scenario("managed-agent")


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    try:
        agent = await Cartesia.create_agents_client(
            api_key=session.secret("CARTESIA_API_KEY"),
            agent_id=await ApplicationStorage.require("CARTESIA_AGENT_ID"),
            cartesia_version="2026-08-14",
        )
    except (CommandFailed, KeyNotFound) as error:
        Logger.write("NO_AGENT", error=str(error))
        VoxEngine.terminate()
        return
    VoxEngine.send_media_between(event.call, agent)
    agent.start(metadata={"from": event.callerid})


async def crm_slots(day: str, seats: int) -> list[str]:
    """Stands for a reservation system."""
    return ["19:30"]


@scenario.tool()  # name, parameters and their check come from the signature
async def find_table(session: Session[None], day: str, seats: int, room: Literal["in", "out"] = "in") -> JSON:
    if seats > 12:
        raise ToolError("large parties: offer a call back")  # the agent reads it and goes on
    return {"slots": await session.once("slots", lambda: crm_slots(day, seats))}


@scenario.tool("end_call")
async def end_call(session: Session[None]) -> JSON:
    session.calls["caller"].hangup(after="playout")
    return "ok"


@scenario.on(WebSocketEvents.CLOSE, target="agent")
async def agent_gone(session: Session[None], event: events.WebSocketClose) -> None:
    if caller := session.calls.get("caller"):
        caller.hangup(after="playout")


@scenario.on(CallEvents.Disconnected, CallEvents.Failed, target="caller")
async def caller_gone(session: Session[None], event: events.CallEvent) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
