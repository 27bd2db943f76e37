"""A telephone survey without an agent: a menu, a rating, or a person.

Prompts are spoken by the edge ([speech]); give `gather` and `say` the path of a WAV file below [media] prompts for a
recorded voice. The rating stands in ApplicationStorage for thirty days, as `score:` and the session's id.
"""

from dataclasses import dataclass
from typing import Final

from cordboard.scenario import AppEvents, ApplicationStorage, CallEvents, Scenario, Session, VoxEngine, events

DESK: Final = "+18339906144"  # never taken from what the caller presses: the caller must not choose whom we dial
MONTH: Final = 86_400 * 30  # seconds


@dataclass
class State:
    score: int | None = None


scenario = Scenario("survey", state=State)


@scenario.on(AppEvents.CallAlerting)
async def menu(session: Session[State], event: events.CallAlerting) -> None:
    event.call.answer()
    event.call.gather("menu", prompt="Press 1 to leave a rating, 2 to talk to a person.", repeat=2)


@scenario.on(CallEvents.Gathered, target="menu")
async def chosen(session: Session[State], event: events.Gathered) -> None:
    if event.reason == "interrupted":  # the caller has hung up
        return
    match event.digits:
        case "1":
            event.call.gather("score", prompt="From 1 to 5, how was our service?")
        case "2":
            callerid = await ApplicationStorage.require("PSTN_CALLER_ID")
            VoxEngine.call_pstn(DESK, callerid, name="desk", timeout=25)
        case _:  # nothing after two repeats, or another key
            event.call.say("Goodbye.")
            event.call.hangup(after="playout")


@scenario.on(CallEvents.Gathered, target="score")
async def scored(session: Session[State], event: events.Gathered) -> None:
    if event.digits in {"1", "2", "3", "4", "5"}:
        session.state.score = int(event.digits)
        await ApplicationStorage.put(f"score:{session.id}", event.digits, ttl=MONTH)
    if event.reason != "interrupted":
        event.call.say("Thank you. Goodbye.")
        event.call.hangup(after="playout")


@scenario.on(CallEvents.Connected, target="desk")
async def desk_answered(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.send_media_between(session.calls["caller"], event.call)


@scenario.on(CallEvents.Failed, target="desk")
async def desk_busy(session: Session[State], event: events.CallFailed) -> None:
    if caller := session.calls.get("caller"):
        caller.say("Nobody is free now. Goodbye.")
        caller.hangup(after="playout")


@scenario.on(CallEvents.Disconnected, target="desk")
async def desk_gone(session: Session[State], event: events.CallDisconnected) -> None:
    if caller := session.calls.get("caller"):
        caller.hangup()


@scenario.on(CallEvents.Disconnected, CallEvents.Failed, target="caller")
async def caller_gone(session: Session[State], event: events.CallEvent) -> None:
    VoxEngine.terminate()


handler = scenario.lambda_handler()
