"""An inbound call: answer, record, connect the agent. Owns the caller's leg to its end."""

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Cartesia,
    CommandFailed,
    KeyNotFound,
    Logger,
    Session,
    VoxEngine,
    events,
)
from line_agent import CARTESIA_VERSION, State, scenario


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    call = event.call  # named "caller": session.calls["caller"] in later events
    try:
        call.answer()
        call.record(hd_audio=True, stereo=True)
        agent = await Cartesia.create_agents_client(
            api_key=session.secret("CARTESIA_API_KEY"),
            agent_id=await ApplicationStorage.require("CARTESIA_AGENT_ID"),
            cartesia_version=CARTESIA_VERSION,
        )
        VoxEngine.send_media_between(call, agent)
        agent.start(
            metadata={
                "from": call.callerid(),
                "to": call.number(),
                "vox_session_control_url": session.access_secure_url,
            }
        )
    except (CommandFailed, KeyNotFound) as error:
        Logger.write("SOMETHING_WENT_WRONG", error=str(error))
        VoxEngine.terminate()


@scenario.on(CallEvents.Disconnected, CallEvents.Failed, target="caller")
async def caller_gone(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
