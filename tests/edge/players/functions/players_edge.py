"""Bridges an agent, plays over it, draws a tone, lets Sonic speak, says good-bye and hangs up when that was heard."""

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Cartesia,
    Logger,
    PlayerEvents,
    Scenario,
    Session,
    VoxEngine,
    events,
)

scenario = Scenario("players")


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    event.call.record()
    agent = await Cartesia.create_agents_client(
        api_key=session.secret("CARTESIA_API_KEY"),
        agent_id=await ApplicationStorage.require("CARTESIA_AGENT_ID"),
        cartesia_version="2025-04-16",
    )
    VoxEngine.send_media_between(event.call, agent)
    agent.start()
    VoxEngine.set_timeout("music", seconds=1.0)


@scenario.on(AppEvents.Timer, target="music")
async def music(session: Session[None], event: events.Timer) -> None:
    session.calls["caller"].start_playback("prompts/tone.wav", loop=True)
    VoxEngine.set_timeout("stop", seconds=1.0)


@scenario.on(AppEvents.Timer, target="stop")
async def stop(session: Session[None], event: events.Timer) -> None:
    session.players["playback"].stop()
    VoxEngine.create_tone_script_player("1800@-16;0.6(*/0/1)", name="beep").pause()
    VoxEngine.set_timeout("beep", seconds=0.7)


@scenario.on(AppEvents.Timer, target="beep")
async def beep(session: Session[None], event: events.Timer) -> None:
    player = session.players["beep"]
    player.send_media_to(session.calls["caller"])
    player.resume()


@scenario.on(PlayerEvents.PlaybackFinished, target="beep")
async def beeped(session: Session[None], event: events.PlayerEvent) -> None:
    Logger.write("beeped", duration=event.duration)
    session.calls["caller"].start_playback("missing.wav", name="missing")


@scenario.on(CallEvents.PlaybackFinished, target="missing")
async def missing(session: Session[None], event: events.PlaybackFinished) -> None:
    Logger.write("missing", error=event.error)
    Cartesia.create_realtime_tts_player(
        "nevermore nevermore", generation_request_parameters={"voice": {"mode": "id", "id": "v"}}
    ).send_media_to(event.call)


@scenario.on(PlayerEvents.PlaybackFinished, target="tts")
async def spoken(session: Session[None], event: events.PlayerEvent) -> None:
    Logger.write("spoken", reason=event.reason)
    event.player.stop()
    call = session.calls["caller"]
    call.say("Thank you for calling. Good bye.")
    call.hangup(after="playout")


handler = scenario.lambda_handler()
