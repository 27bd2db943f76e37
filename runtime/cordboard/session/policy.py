"""What happens when an event's handler fails, by event (DESIGN §4, "Policy when an event fails")."""

from typing import Literal

Policy = Literal["refuse", "reply", "terminate", "ignore", "fallback"]

Chosen = Literal["terminate", "ignore", "fallback"]

_DEFAULT: dict[str, Policy] = {
    "call.alerting": "refuse",
    "http.request": "reply",
    "websocket.close": "terminate",
    "call.failed": "terminate",
    "call.disconnected": "terminate",
}


def policy_for(
    type_: str,
    chosen: Chosen | None,
    *,
    without_call: bool = False,
    ringing: bool = True,
    fallback: bool = False,
    expected: bool = False,
) -> Policy:
    """The policy of an event; `chosen` is the scenario's, `terminate | ignore | fallback`. `without_call`: the session
    has no leg yet, so that a failed session.started leaves nothing that could go on; `ringing`: its call is not
    answered; `fallback`: the scenario has one; `expected`: of a websocket.close, we closed the socket: the scenario did
    so for a transfer or an end of its own, which does not fail with it.

    An http.request never ends a call.
    """
    if type_ == "http.request":
        return "reply"
    if type_ == "call.alerting":
        return "fallback" if chosen == "fallback" or (fallback and not ringing) else "refuse"
    if chosen is not None:
        return chosen
    if type_ == "session.started" and without_call:
        return "terminate"
    if type_ == "websocket.close" and expected:
        return "ignore"
    return _DEFAULT.get(type_, "ignore")
