"""The agent's socket closed: expected during a transfer, else the end of the call."""

from cordboard.scenario import Logger, Session, VoxEngine, WebSocketEvents, events
from line_agent import State, scenario


@scenario.on(WebSocketEvents.CLOSE, target="agent")
async def websocket_close(session: Session[State], event: events.WebSocketClose) -> None:
    Logger.write("ON_WEB_SOCKET_CLOSE", code=event.code, reason=event.reason, by=event.by)
    if session.state.transfer_in_progress or session.state.transferred or event.expected:
        return  # `expected`, not `code == 1000`: Line closes with 1000 when the agent hangs up, too
    if caller := session.calls.get("caller"):
        caller.hangup(after="playout")  # what the agent said last is heard out; nothing queued: at once
    VoxEngine.terminate()


handler = scenario.lambda_handler()
