"""One scenario for VoxEngine's must rows: headers both ways, dialling, replies, storage, replaced sources, the end."""

from dataclasses import dataclass

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    HttpReply,
    HttpResponse,
    Logger,
    Scenario,
    Session,
    StorageItem,
    VoxEngine,
    events,
)


@dataclass
class State:
    asked: int = 0


scenario = Scenario("rows", state=State)


@scenario.on(AppEvents.CallAlerting)
async def alerting(session: Session[State], event: events.CallAlerting) -> None:
    Logger.write("caller's headers", **event.headers)
    event.call.ring(headers={"X-Stage": "ringing"})
    event.call.start_early_media(headers={"X-Stage": "early"})
    event.call.answer(headers={"X-Stage": "up", "User-to-User": "616263;encoding=hex"})
    VoxEngine.create_tone_script_player("700@-16;30(*/0/1)", name="first").send_media_to(event.call)


@scenario.on(AppEvents.HttpRequest)
async def request(session: Session[State], event: events.HttpRequest) -> HttpReply:
    session.state.asked += 1
    if event.method == "GET":
        found: StorageItem | None = await ApplicationStorage.get("nowhere")
        return {"missing": found is None, "asked": session.state.asked}
    body = event.json()
    if number := body.get("dial"):
        VoxEngine.call_pstn(
            number, "+15550001111", name="callee", headers={"X-Order": "42", "User-to-User": "order-42"}
        )
    if body.get("replace"):
        VoxEngine.create_tone_script_player("900@-16;30(*/0/1)", name="second").send_media_to(session.calls["caller"])
    return HttpResponse({"headers": dict(event.headers)}, status=207, headers={"X-Made-By": "rows"})


@scenario.on(AppEvents.MediaReplaced)
async def replaced(session: Session[State], event: events.MediaReplaced) -> None:
    Logger.write("replaced", source=event.source, sink=event.sink, by=event.by)


@scenario.on(CallEvents.Connected, target="callee")
async def connected(session: Session[State], event: events.CallEvent) -> None:
    Logger.write("callee's headers", **event.headers)
    event.call.record(name="callee-side")
    event.call.hangup(headers={"X-Why": "done"})


@scenario.on(CallEvents.RecordStopped)
async def recorded(session: Session[State], event: events.RecordStopped) -> None:
    Logger.write("recorded", call=event.call.name)


@scenario.on(AppEvents.Terminating)
async def terminating(session: Session[State], event: events.Terminating) -> None:
    await ApplicationStorage.put(f"outcome:{session.id}", event.cause, 3600)


handler = scenario.lambda_handler()
