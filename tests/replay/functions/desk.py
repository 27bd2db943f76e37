"""All that a journal must hold: reads, outside effects, parked awaits, tools, requests, timers, secrets, chance."""

import random
import uuid
from dataclasses import dataclass, field

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    BadRequest,
    CallEvents,
    Cartesia,
    CommandFailed,
    HttpReply,
    HttpResponse,
    KeyNotFound,
    Scenario,
    Session,
    VoxEngine,
    WebSocketEvents,
    events,
)

SUPPORT = "+18005550111"
SALES = "+18005550222"


@dataclass
class State:
    ticket: str = ""
    dice: list[int] = field(default_factory=list)
    pin: str = ""
    urls: list[str] = field(default_factory=list)
    timers: int = 0


scenario = Scenario("desk", state=State)
outside: list[str] = []
"""What `once` has done in this process."""


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    call = event.call
    call.answer()
    session.state.dice.append(random.randrange(1_000_000))

    async def book(key: str) -> dict[str, str]:
        outside.append(key)
        return {"ticket": f"T-{uuid.uuid4()}", "at": session.now.isoformat()}

    session.state.ticket = (await session.once("book", book))["ticket"]
    session.state.urls.append(session.access_secure_url + "/survey")
    await ApplicationStorage.put(f"call:{session.id}", session.access_secure_url + "/survey", ttl=60)
    try:
        await ApplicationStorage.require("missing")
    except KeyNotFound:
        session.state.dice.append(random.randrange(1_000_000))
    key = await session.secret("CARTESIA_API_KEY").reveal()
    try:
        agent = await Cartesia.create_agents_client(
            api_key=session.secret("CARTESIA_API_KEY"), agent_id="agent-1", cartesia_version="2025-04-16"
        )
        VoxEngine.send_media_between(call, agent)
        await agent.start(metadata={"url": session.access_secure_url, "key": key, "ticket": session.state.ticket})
    except CommandFailed as error:
        session.state.ticket = error.code
        call.hangup()
    VoxEngine.set_timeout("remind", seconds=2.0)


@scenario.on(CallEvents.ToneReceived)
async def tone(session: Session[State], event: events.ToneReceived) -> None:
    raise RuntimeError(f"broken at {event.tone}")


@scenario.on(CallEvents.Gathered)
async def gathered(session: Session[State], event: events.Gathered) -> None:
    session.state.pin = event.digits
    if event.digits.startswith("4"):
        session.agents["agent"].custom({"pin": event.digits})


@scenario.on(AppEvents.HttpRequest)
async def http_request(session: Session[State], event: events.HttpRequest) -> HttpReply:
    asked = event.json()
    match asked.get("action"):
        case "gather":
            await session.calls["caller"].gather("pin", max_digits=asked.get("digits", 4), secret=True)
        case "call_transfer":
            known = await ApplicationStorage.keys("call")
            to = SUPPORT if len(known) % 2 else SALES
            VoxEngine.call_pstn(to, "+15550001111", name="consult")
            return HttpResponse(
                {"to": to, "keys": len(known)}, status=202, headers={"X-Url": session.access_secure_url}
            )
        case "end_call":
            session.calls["caller"].hangup(after="playout")
        case "bad":
            raise BadRequest("no such thing")
        case _:
            await session.calls["caller"].handle_tones()
            if await ApplicationStorage.get("unknown") is None:  # the round that fails has read
                raise LookupError("unknown")
    return {"ok": True}


@scenario.tool()
async def opening_hours(session: Session[State], day: str) -> str:
    """When somebody is there."""
    item = await ApplicationStorage.get(f"hours:{day}")
    return item.value if item else "closed"


@scenario.on(CallEvents.Connected, target="consult")
async def consult_connected(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.send_media_between(session.calls["caller"], event.call)


@scenario.on(CallEvents.Failed, CallEvents.Disconnected, target="consult")
async def consult_gone(session: Session[State], event: events.CallEvent) -> None:
    session.calls["caller"].hangup()


@scenario.on(AppEvents.Timer)
async def timer(session: Session[State], event: events.Timer) -> None:
    session.state.timers += 1
    if session.state.timers < 3:
        VoxEngine.set_timeout(f"again-{session.state.timers}", seconds=1.0)


@scenario.on(WebSocketEvents.CLOSE, target="agent")
async def agent_closed(session: Session[State], event: events.WebSocketClose) -> None:
    if not event.expected and (caller := session.calls.get("caller")):
        caller.hangup(after="playout")


@scenario.on(CallEvents.Disconnected, CallEvents.Failed, target="caller")
async def caller_gone(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
