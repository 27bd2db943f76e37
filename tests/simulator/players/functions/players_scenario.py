"""Plays by the number called."""

from dataclasses import dataclass, field

from cordboard.scenario import (
    AppEvents,
    CallEvents,
    Cartesia,
    PlayerEvents,
    RealtimeTTSPlayer,
    Scenario,
    Session,
    VoxEngine,
    events,
)


@dataclass
class State:
    steps: list[str] = field(default_factory=list)


scenario = Scenario("players", state=State)


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    call = event.call
    call.answer()
    match event.destination:
        case "goodbye":
            call.say("Thank you for calling. Goodbye.")
            call.hangup(after="playout")
        case "agent":
            agent = await Cartesia.create_agents_client(
                api_key=session.secret("CARTESIA_API_KEY"), agent_id="a", cartesia_version="2025-04-16"
            )
            VoxEngine.send_media_between(call, agent)
            agent.start()
        case "hold":
            music = VoxEngine.create_url_player("prompts/hold.wav", name="music", loop=True)
            music.send_media_to(call)
        case "patience":
            VoxEngine.create_url_player("prompts/hold.wav", name="music", loop=True).send_media_to(call)
            call.say("One moment, please.")
        case "markers":
            player = VoxEngine.create_tts_player("a text of three seconds, as long as it lasts", name="text")
            player.add_marker(1.0)
            player.add_marker(-0.5)
            VoxEngine.send_media_between(call, player)
        case "paused":
            VoxEngine.create_tts_player("wait for it", name="text", on_pause=True).send_media_to(call)
        case "newest":
            call.say("never heard")
            VoxEngine.create_tts_player("the newest", name="newest").send_media_to(call)
        case "missing":
            call.start_playback("nowhere.wav")
        case "remote":
            call.start_playback("https://sounds.test/a.wav")
        case "many":
            for number in range(11):
                VoxEngine.create_tts_player("x", name=f"p{number}")
        case "tones":
            call.play_progress_tone("RU")
        case "sonic":
            player = Cartesia.create_realtime_tts_player(
                "hello from sonic", generation_request_parameters={"voice": {"mode": "id", "id": "v1"}}, privacy=True
            )
            player.send_media_to(call)
        case "voiceless":
            Cartesia.create_realtime_tts_player("no voice is named").send_media_to(call)
        case "twice":
            call.say("first things first, and at length")
            VoxEngine.set_timeout("again", seconds=1.0)


@scenario.on(AppEvents.HttpRequest)
async def control(session: Session[State], event: events.HttpRequest) -> None:
    body = event.json()
    call = session.calls["caller"]
    match body["do"]:
        case "say":
            call.say(body["text"])
        case "stop":
            session.players[body["name"]].stop()
        case "pause":
            session.players[body["name"]].pause()
        case "resume":
            session.players[body["name"]].resume()
        case "generate":
            tts = session.players["tts"]
            assert isinstance(tts, RealtimeTTSPlayer)
            context = await tts.generation_request({"transcript": body["text"]})
            session.state.steps.append(f"asked {bool(context)}")
            if body.get("cancel"):
                tts.cancel_context_request(context)
            if body.get("clear"):
                tts.clear_buffer()
        case "speak":
            tts = Cartesia.create_realtime_tts_player(
                body.get("text", ""), generation_request_parameters={"voice": {"mode": "id", "id": "v1"}}
            )
            tts.send_media_to(call)
        case "go on":
            tts = session.players["tts"]
            assert isinstance(tts, RealtimeTTSPlayer)
            context = ""
            for number, piece in enumerate(body["pieces"]):
                more = number + 1 < len(body["pieces"])
                named = {"context_id": context} if context else {}
                context = await tts.generation_request({**named, "transcript": piece, "continue": more})
        case "clear":
            tts = session.players["tts"]
            assert isinstance(tts, RealtimeTTSPlayer)
            tts.clear_buffer()
        case "mark":
            session.players[body["name"]].add_marker(0.5)
        case "bridge":
            VoxEngine.send_media_between(call, session.agents["agent"])
        case "unroute":
            session.players[body["name"]].stop_media_to(call)


@scenario.on(AppEvents.Timer, target="again")
async def again(session: Session[State], event: events.Timer) -> None:
    session.calls["caller"].say("second")


@scenario.on(CallEvents.PlaybackFinished)
async def playback_finished(session: Session[State], event: events.PlaybackFinished) -> None:
    session.state.steps.append(f"playback {event.player} on {event.call.name} {event.error}".rstrip())


@scenario.on(PlayerEvents.PlaybackReady, PlayerEvents.Started, PlayerEvents.PlaybackFinished, PlayerEvents.Stopped)
async def player_event(session: Session[State], event: events.PlayerEvent) -> None:
    where = event.call.name if event.call is not None else "-"
    session.state.steps.append(f"{event.name} {event.player.name} {where} {event.reason}".rstrip())


@scenario.on(PlayerEvents.Error)
async def player_failed(session: Session[State], event: events.PlayerEvent) -> None:
    session.state.steps.append(f"{event.name} {event.reason}")


@scenario.on(PlayerEvents.PlaybackMarkerReached)
async def marker(session: Session[State], event: events.PlayerMarker) -> None:
    session.state.steps.append(f"marker {event.offset:g}")


@scenario.on(PlayerEvents.AudioChunksPlaybackFinished)
async def chunks(session: Session[State], event: events.PlayerChunks) -> None:
    session.state.steps.append(f"chunks {event.time_to_first_byte:.1f} {event.error}".rstrip())


@scenario.on(AppEvents.CommandFailed)
async def command_failed(session: Session[State], event: events.CommandFailed) -> None:
    session.state.steps.append(f"{event.command} {event.code}")


handler = scenario.lambda_handler()
