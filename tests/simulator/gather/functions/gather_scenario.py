"""A recorded call with an agent that gathers and pauses as its control URL says, and logs what it should not."""

from dataclasses import dataclass, field

from cordboard.scenario import (
    AppEvents,
    CallEvents,
    Cartesia,
    HttpReply,
    Logger,
    Scenario,
    Session,
    VoxEngine,
    events,
)


@dataclass
class State:
    gathered: list[list[str]] = field(default_factory=list)
    tones: str = ""
    failed: str = ""


scenario = Scenario("gather", state=State)


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    event.call.answer()
    event.call.record(stereo=True, name="all")
    agent = await Cartesia.create_agents_client(
        api_key=session.secret("CARTESIA_API_KEY"), agent_id="a", cartesia_version="2025-04-16"
    )
    VoxEngine.send_media_between(event.call, agent)
    agent.start()


@scenario.on(AppEvents.HttpRequest)
async def http_request(session: Session[State], event: events.HttpRequest) -> HttpReply:
    asked = event.json()
    match asked.pop("do"):
        case "gather":
            await session.calls["caller"].gather(**asked)
        case "pause":
            session.recordings["all"].pause(**asked)
        case "resume":
            session.recordings["all"].resume()
    return {"ok": True}


@scenario.on(CallEvents.Gathered)
async def gathered(session: Session[State], event: events.Gathered) -> None:
    Logger.write(f"got {event.digits}", event=repr(event))
    session.state.gathered.append([event.digits, event.reason])


@scenario.on(CallEvents.ToneReceived)
async def tone(session: Session[State], event: events.ToneReceived) -> None:
    session.state.tones += event.tone


handler = scenario.lambda_handler()
