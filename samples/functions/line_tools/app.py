"""A Line agent that drives its call with `cordboard-agent-tools`: it may end it, transfer it by name, and press keys.

One function answers all of the call's events. The agent says to whom a caller is transferred by a name, such as
`sales`; the number is in the key `TRANSFER_SALES`, so that no caller can talk the agent into another one.
"""

from dataclasses import dataclass

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Cartesia,
    CommandFailed,
    HttpReply,
    HttpResponse,
    KeyNotFound,
    Logger,
    Scenario,
    Session,
    VoxEngine,
    WebSocketEvents,
    events,
)

DIGITS = frozenset("0123456789*#")
MAX_DIGITS = 64  # as the helper sends at most


@dataclass
class State:
    transferring: bool = False


scenario = Scenario("line-tools", state=State)


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    event.call.answer()
    try:
        agent = await Cartesia.create_agents_client(
            api_key=session.secret("CARTESIA_API_KEY"),
            agent_id=await ApplicationStorage.require("CARTESIA_AGENT_ID"),
            cartesia_version="2025-04-16",
        )
    except (CommandFailed, KeyNotFound) as error:
        Logger.write("NO_AGENT", error=str(error))
        VoxEngine.terminate()
        return
    VoxEngine.send_media_between(event.call, agent)
    agent.start(metadata={"from": event.callerid, "vox_session_control_url": session.access_secure_url})


@scenario.on(AppEvents.HttpRequest)
async def http_request(session: Session[State], event: events.HttpRequest) -> HttpReply:
    request = event.json()
    match request.get("action"):
        case "end_call":
            session.calls["caller"].hangup(after="playout")
        case "call_transfer":
            return await call_transfer(session, request.get("to", "desk"))
        case "send_dtmf":
            digits = request.get("digits")
            if not isinstance(digits, str) or not 0 < len(digits) <= MAX_DIGITS or not DIGITS.issuperset(digits):
                return refused("digits must be 1 to 64 of 0-9, * and #")
            session.calls["caller"].send_digits(digits)
        case unknown:
            return refused(f"unknown action {str(unknown)[:40]!r}")
    return {"ok": True}


async def call_transfer(session: Session[State], to: object) -> HttpReply:
    if session.state.transferring:
        return {"ok": True}
    if not isinstance(to, str) or not to.isidentifier() or not to.isascii() or len(to) > 32:
        return refused("to must be a name, such as sales")
    number = await ApplicationStorage.get(f"TRANSFER_{to.upper()}")
    callerid = await ApplicationStorage.get("PSTN_CALLER_ID")
    if number is None or callerid is None:
        return refused(f"nobody is called {to!r} here")  # the agent reads it and goes on
    session.state.transferring = True
    if agent := session.agents.get("agent"):
        VoxEngine.stop_media_between(session.calls["caller"], agent)
        agent.close()
    VoxEngine.call_pstn(number.value, callerid.value, name="consult")
    return {"ok": True}


def refused(error: str) -> HttpResponse:
    return HttpResponse({"ok": False, "error": error}, status=422)


@scenario.on(CallEvents.Connected, target="consult")
async def consult_connected(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.send_media_between(session.calls["caller"], event.call)


@scenario.on(CallEvents.Failed, CallEvents.Disconnected, target="consult")
async def consult_gone(session: Session[State], event: events.CallEvent) -> None:
    session.calls["caller"].hangup()


@scenario.on(WebSocketEvents.CLOSE, target="agent")
async def agent_gone(session: Session[State], event: events.WebSocketClose) -> None:
    if not event.expected and (caller := session.calls.get("caller")):
        caller.hangup(after="playout")


@scenario.on(CallEvents.Disconnected, CallEvents.Failed, target="caller")
async def caller_gone(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
