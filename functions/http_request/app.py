"""The agent's tools steer the call through the control URL. Owns the consult leg."""

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    HttpReply,
    HttpResponse,
    Logger,
    Session,
    VoxEngine,
    events,
)
from line_agent import CALL_TRANSFER_NUMBER, State, scenario


@scenario.on(AppEvents.HttpRequest)
async def http_request(session: Session[State], event: events.HttpRequest) -> HttpReply:
    match event.json().get("action"):  # not a JSON object: 400 to the sender, the call goes on
        case "end_call":
            session.calls["caller"].hangup(after="playout")
            if agent := session.agents.get("agent"):
                agent.close()
            VoxEngine.terminate()
        case "call_transfer":
            await call_transfer(session)
        case unknown:
            Logger.write("CONTROL_COMMAND_UNKNOWN", action=str(unknown))
            return HttpResponse({"ok": False, "error": "unknown action"}, status=422)
    return {"ok": True}


async def call_transfer(session: Session[State]) -> None:
    caller = session.calls.get("caller")
    if caller is None or session.state.transfer_in_progress or session.state.transferred:
        return
    callerid = await ApplicationStorage.require("PSTN_CALLER_ID")  # read first: nothing is undone if it is missing
    session.state.transfer_in_progress = True
    if agent := session.agents.get("agent"):
        VoxEngine.stop_media_between(caller, agent)
        agent.close()
    VoxEngine.call_pstn(CALL_TRANSFER_NUMBER, callerid, name="consult", follow_diversion=True)


@scenario.on(CallEvents.Connected, target="consult")
async def consult_connected(session: Session[State], event: events.CallEvent) -> None:
    session.state.transfer_in_progress = False
    session.state.transferred = True
    VoxEngine.send_media_between(session.calls["caller"], event.call)


@scenario.on(CallEvents.Failed, target="consult")
async def consult_failed(session: Session[State], event: events.CallFailed) -> None:
    session.state.transfer_in_progress = False
    Logger.write("CONSULT_CALL_FAILED", code=event.code, reason=event.reason)
    session.calls["caller"].hangup()


@scenario.on(CallEvents.Disconnected, target="consult")
async def consult_disconnected(session: Session[State], event: events.CallDisconnected) -> None:
    Logger.write("CONSULT_CALL_DISCONNECTED", reason=event.reason)
    session.calls["caller"].hangup()  # the JavaScript only logs, and leaves the caller on a dead line


handler = scenario.lambda_handler()
