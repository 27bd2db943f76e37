"""Answers, works for three seconds, bridges an agent, and is too late the second time."""

import asyncio

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    Cartesia,
    Fallback,
    Patience,
    Scenario,
    Session,
    VoxEngine,
    events,
)

scenario = Scenario(
    "late",
    patience=Patience(tone_after=0.7, prompt="prompts/tone.wav", prompt_after=2.0, fallback_after=3.8),
    fallback=Fallback(prompt="prompts/last.wav"),
)


async def work(seconds: float) -> None:
    """What a slow database does."""
    await asyncio.sleep(seconds)


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    await event.call.answer()
    await session.once("work", lambda: work(3.0))
    agent = await Cartesia.create_agents_client(
        api_key=session.secret("CARTESIA_API_KEY"),
        agent_id=await ApplicationStorage.require("CARTESIA_AGENT_ID"),
        cartesia_version="2025-04-16",
    )
    VoxEngine.send_media_between(event.call, agent)
    agent.start()
    VoxEngine.set_timeout("alone", seconds=0.5)


@scenario.on(AppEvents.Timer, timeout=9.0)
async def alone(session: Session[None], event: events.Timer) -> None:
    await VoxEngine.stop_media_between(session.calls["caller"], session.agents["agent"])
    await session.once("work", lambda: work(8.0))


handler = scenario.lambda_handler()
