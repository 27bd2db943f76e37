"""Takes a card number and a PIN in secret, carelessly logs both, plays a last tone and hangs up when it was heard."""

from dataclasses import dataclass

from cordboard.scenario import AppEvents, CallEvents, Logger, Scenario, Session, VoxEngine, events


@dataclass
class State:
    card: str = ""


scenario = Scenario("payment", state=State)


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[State], event: events.CallAlerting) -> None:
    event.call.answer()
    event.call.record(stereo=True)
    event.call.gather("card", max_digits=16, prompt="prompts/card.wav", timeout=10.0, secret=True)


@scenario.on(CallEvents.Gathered, target="card")
async def card(session: Session[State], event: events.Gathered) -> None:
    Logger.write(f"card {event.digits}", reason=event.reason, whole=int(event.digits or 0))
    session.state.card = event.digits
    event.call.gather("pin", max_digits=10, prompt="prompts/pin.wav", timeout=10.0, secret=True)


@scenario.on(CallEvents.Gathered, target="pin")
async def pin(session: Session[State], event: events.Gathered) -> None:
    Logger.write("paid", card_and_pin=session.state.card + " " + event.digits)
    VoxEngine.set_timeout("after", seconds=1.0)


@scenario.on(AppEvents.Timer, target="after")
async def after(session: Session[State], event: events.Timer) -> None:
    caller = session.calls["caller"]
    caller.start_playback("prompts/end.wav")
    caller.hangup(after="playout")


handler = scenario.lambda_handler()
