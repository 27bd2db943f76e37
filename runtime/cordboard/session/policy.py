"""What happens when an event's handler fails, by event (DESIGN §4, "Policy when an event fails")."""

from typing import Literal

Policy = Literal["refuse", "reply", "terminate", "ignore"]

_DEFAULT: dict[str, Policy] = {
    "call.alerting": "refuse",
    "http.request": "reply",
    "websocket.close": "terminate",
    "call.failed": "terminate",
    "call.disconnected": "terminate",
}


def policy_for(type_: str, chosen: str | None, *, without_call: bool = False) -> Policy:
    """The policy of an event; `chosen` is the scenario's, `terminate | ignore | fallback`. `without_call`: the session
    has no leg yet, so that a failed session.started leaves nothing that could go on.

    An http.request never ends a call. Static fallbacks are not built: `fallback` hangs up, as `terminate` does.
    """
    if type_ == "http.request":
        return "reply"
    if type_ == "call.alerting":
        return "refuse"
    if chosen == "ignore":
        return "ignore"
    if chosen in ("terminate", "fallback"):
        return "terminate"
    if type_ == "session.started" and without_call:
        return "terminate"
    return _DEFAULT.get(type_, "ignore")
