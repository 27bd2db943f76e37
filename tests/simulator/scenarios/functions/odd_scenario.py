"""Does by the number called what the seed's scenario does not do."""

import asyncio
from dataclasses import dataclass

from cordboard.scenario import (
    AppEvents,
    CallEvents,
    Cartesia,
    Logger,
    Scenario,
    Session,
    VoxEngine,
    events,
)


@dataclass
class State:
    tones: str = ""
    timers: int = 0


scenario = Scenario("odd", state=State)


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    call = event.call
    match event.destination:
        case "silence":
            call.answer()
        case "tones":
            call.answer()
            call.handle_tones()
            VoxEngine.set_timeout("late", seconds=8.0)
        case "slow":
            await asyncio.sleep(3.0)
            call.answer()
            VoxEngine.set_timeout("bye", seconds=1.0)
        case "stuck":
            await asyncio.sleep(60.0)
        case "broken":
            raise RuntimeError("broken on purpose")
        case "wide":
            call.answer()
            agent = await Cartesia.create_agents_client(
                api_key=session.secret("CARTESIA_API_KEY"), agent_id="a", cartesia_version="2025-04-16"
            )
            agent.start(config={"input_format": "pcm_16000"})
            VoxEngine.send_media_between(call, agent)
        case "ringing":
            call.ring()
        case "refused":
            call.reject(486)


@scenario.on(CallEvents.ToneReceived)
async def tone(session: Session[State], event: events.ToneReceived) -> None:
    session.state.tones += event.tone


@scenario.on(AppEvents.Timer)
async def timer(session: Session[State], event: events.Timer) -> None:
    session.state.timers += 1
    Logger.write("timer", timer=event.timer)
    session.calls["caller"].hangup()


handler = scenario.lambda_handler()
