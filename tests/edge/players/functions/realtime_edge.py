"""Bridges an agent, lets Sonic say a sentence in three pieces over it, and gives the agent back."""

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    Cartesia,
    Logger,
    PlayerEvents,
    RealtimeTTSPlayer,
    Scenario,
    Session,
    VoxEngine,
    events,
)

scenario = Scenario("realtime")


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    agent = await Cartesia.create_agents_client(
        api_key=session.secret("CARTESIA_API_KEY"),
        agent_id=await ApplicationStorage.require("CARTESIA_AGENT_ID"),
        cartesia_version="2025-04-16",
    )
    VoxEngine.send_media_between(event.call, agent)
    agent.start()
    VoxEngine.set_timeout("speak", seconds=1.0)


@scenario.on(AppEvents.Timer, target="speak")
async def speak(session: Session[None], event: events.Timer) -> None:
    call = session.calls["caller"]
    tts = Cartesia.create_realtime_tts_player(
        api_key=session.secret(call.headers().get("X-Key", "CARTESIA_API_KEY")),
        generation_request_parameters={"voice": {"mode": "id", "id": "v"}, "max_buffer_delay_ms": 0},
    )
    tts.send_media_to(call)
    context = await tts.generation_request({"transcript": "nevermore ", "continue": True})
    tts.generation_request({"context_id": context, "transcript": "tomorrow ", "continue": True})
    tts.generation_request({"context_id": context, "transcript": "yesterday", "continue": False})


@scenario.on(PlayerEvents.AudioChunksPlaybackFinished)
async def heard(session: Session[None], event: events.PlayerChunks) -> None:
    Logger.write("context", first_byte=event.time_to_first_byte, error=event.error)


@scenario.on(PlayerEvents.PlaybackFinished, target="tts")
async def spoken(session: Session[None], event: events.PlayerEvent) -> None:
    tts = session.players["tts"]
    assert isinstance(tts, RealtimeTTSPlayer)
    if event.call is not None and event.call.headers().get("X-More"):
        tts.generation_request({"transcript": "forever " * 40})
        return
    tts.stop()
    VoxEngine.set_timeout("bye", seconds=1.0)


@scenario.on(PlayerEvents.Error, target="tts")
async def failed(session: Session[None], event: events.PlayerEvent) -> None:
    Logger.write("no speech", reason=event.reason)
    VoxEngine.set_timeout("bye", seconds=1.0)


@scenario.on(AppEvents.Timer, target="bye")
async def bye(session: Session[None], event: events.Timer) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
