"""A call that nobody made: an agent reminds somebody of something.

    cordboard calls start reminder --data to=+15551230000 --data name=Mina
    POST /v1/sessions {"scenario": "reminder", "custom_data": {"to": "+15551230000", "name": "Mina"}}

The agent's socket opens while it rings, so that nobody says hello to silence. Who is busy or does not pick up is not
called again: the record's cause is `callee.failed`, its leg has the SIP status.
"""

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Cartesia,
    CommandFailed,
    Logger,
    Scenario,
    Session,
    VoxEngine,
    WebSocketEvents,
    events,
)

scenario = Scenario("reminder")


@scenario.on(AppEvents.Started)
async def started(session: Session[None], event: events.Started) -> None:
    callerid = await ApplicationStorage.require("PSTN_CALLER_ID")  # read first: a missing key dials nobody
    agent_id = await ApplicationStorage.require("CARTESIA_AGENT_ID")
    VoxEngine.call_pstn(event.custom_data["to"], callerid, name="callee", timeout=30)  # [dial].allow has the last word
    try:
        await Cartesia.create_agents_client(
            api_key=session.secret("CARTESIA_API_KEY"), agent_id=agent_id, cartesia_version="2025-04-16"
        )
    except CommandFailed as error:  # the callee may have been faster: busy ends the wait, and the session
        Logger.write("NO_AGENT", error=str(error))
        VoxEngine.terminate()


@scenario.on(CallEvents.Connected, target="callee")
async def connected(session: Session[None], event: events.CallEvent) -> None:
    agent = session.agents["agent"]
    VoxEngine.send_media_between(event.call, agent)
    agent.start(metadata={"to": event.call.number(), "name": session.custom_data.get("name", "")})


@scenario.on(CallEvents.Failed, CallEvents.Disconnected, target="callee")
async def callee_gone(session: Session[None], event: events.CallEvent) -> None:
    VoxEngine.terminate()


@scenario.on(WebSocketEvents.CLOSE, target="agent")
async def agent_gone(session: Session[None], event: events.WebSocketClose) -> None:
    if callee := session.calls.get("callee"):
        callee.hangup(after="playout")
    VoxEngine.terminate()


handler = scenario.lambda_handler()
