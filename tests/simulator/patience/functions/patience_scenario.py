"""Works for seconds before an agent speaks: `late-3` is called, answers, and works for three; `bye-3` works for three
when its agent has gone."""

import asyncio

from cordboard.scenario import (
    AppEvents,
    CallEvents,
    Cartesia,
    Fallback,
    HttpResponse,
    Patience,
    Scenario,
    Session,
    VoxEngine,
    WebSocketEvents,
    events,
)

scenario = Scenario(
    "patience",
    patience=Patience(tone_after=0.7, prompt="One moment please.", prompt_after=2.0, fallback_after=5.0),
    fallback=Fallback(to="+15550100", callerid="+15550199", timeout=10, prompt="Please call again."),
    on_error="fallback",
)


async def work(seconds: float) -> None:
    """What a slow database does."""
    await asyncio.sleep(seconds)


@scenario.on(AppEvents.CallAlerting, timeout=20)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    call, (how, _, seconds) = event.call, event.destination.partition("-")
    if how == "ring":
        await session.once("work", lambda: work(float(seconds)))
        call.answer()
    elif how == "ready":
        call.answer(when="agent_ready")
        call.record()
    else:
        await call.answer()
        await session.once("work", lambda: work(float(seconds) if how != "bye" else 0.0))
    if how == "say":
        call.say("Here you are.")
        return
    agent = await Cartesia.create_agents_client(
        api_key=session.secret("CARTESIA_API_KEY"), agent_id="a", cartesia_version="2025-04-16"
    )
    VoxEngine.send_media_between(call, agent)
    await agent.start()


@scenario.on(AppEvents.HttpRequest, timeout=20)
async def http_request(session: Session[None], event: events.HttpRequest) -> HttpResponse:
    asked = event.json()
    if asked.get("say"):
        session.calls["caller"].say(asked["say"])
    if asked.get("alone"):
        await VoxEngine.stop_media_between(session.calls["caller"], session.agents["agent"])
    if asked.get("close"):
        await session.agents["agent"].close()
    await session.once("work", lambda: work(float(asked["seconds"])))
    if asked.get("alone"):
        VoxEngine.send_media_between(session.calls["caller"], session.agents["agent"])
    return HttpResponse({"ok": True})


@scenario.on(WebSocketEvents.CLOSE, timeout=20)
async def websocket_close(session: Session[None], event: events.WebSocketClose) -> None:
    how, _, seconds = session.calls["caller"].number().partition("-")
    if how == "bye":
        await session.once("work", lambda: work(float(seconds)))
    else:
        session.calls["caller"].hangup()


@scenario.on(CallEvents.Disconnected)
async def disconnected(session: Session[None], event: events.CallDisconnected) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
