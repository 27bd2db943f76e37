"""Why a session ended and whose fault it was (DESIGN §6): `<object>.<what>`."""

from typing import Literal

Fault = Literal["caller", "callee", "trunk", "edge", "function", "agent", "none"]

_BY_WHAT: dict[str, Fault] = {
    "hangup": "none",
    "terminate": "none",
    "refused": "none",
    "closed": "none",
    "cancelled": "none",
    "shutdown": "none",
}
_BY_CAUSE: dict[str, Fault] = {
    "agent.error": "agent",
    "agent.lost": "agent",
    "agent.idle": "agent",
    "handler.failed": "function",
    "handler.late": "function",
    "plane.lost": "edge",
    "control.lost": "edge",
    "media.lost": "trunk",
    "caller.failed": "caller",
    "caller.no_ack": "caller",
    "limit.max_duration": "none",
    "limit.no_answer": "function",
    "limit.unbridged": "function",
    "limit.invocations": "function",
    "limit.idle_session": "function",
    "edge.failed": "edge",
}

_CLOSED_BY = {"agent": "agent.closed", "error": "agent.error", "idle": "agent.idle", "network": "agent.lost"}


def fault_of(cause: str) -> Fault:
    """Whose fault a cause is."""
    if cause in _BY_CAUSE:
        return _BY_CAUSE[cause]
    what = cause.partition(".")[2]
    if what in _BY_WHAT:
        return _BY_WHAT[what]
    return "callee" if what == "failed" else "none"


def of_agent_close(by: str) -> str:
    """Cause of an end that an agent's close brought about."""
    return _CLOSED_BY.get(by, "agent.closed")
