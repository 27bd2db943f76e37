"""Rounds of functions in the simulated world: from the engine's `Invoke` to its answer, or to what went wrong with it.

A lost answer's function ran; a crashed one's did not; a late answer arrives after its limit, when nobody waits for it;
a function that is invoked twice does everything outside of the call twice, as AWS Lambda may (at least once).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cordboard.hosts.errors import FunctionError, FunctionTimeout
from cordboard.session import effects

from .faults import LATE_ANSWER

if TYPE_CHECKING:
    from .edge import SimulatedEdge

FUNCTION = 0.002
"""Seconds that a function takes beyond what its handler sleeps: a warm worker on the same machine."""


class Rounds:
    """Runs what control asks for."""

    def __init__(self, edge: "SimulatedEdge") -> None:
        self._edge = edge
        self.invocations: list[effects.Invoke] = []
        """Every invocation."""
        self._awaited: dict[str, str] = {}
        """Session → the attempt whose answer counts."""

    def invoke(self, effect: effects.Invoke) -> None:
        """Control asks for a round."""
        self._awaited[str(effect.payload["session"]["id"])] = effect.token
        self._edge.world.after(FUNCTION / 2, lambda: self._run(effect))

    def _run(self, effect: effects.Invoke) -> None:
        edge, payload = self._edge, effect.payload
        self.invocations.append(effect)
        id_ = str(payload["session"]["id"])
        session = edge.sessions[id_]
        session.control_url = str(payload["session"]["control_url"])
        event, happens = label(payload), edge.faults.happens
        if happens("plane died", event, id_):
            edge.kill_plane(session.plane)
        if happens("function crashed", event, id_):
            self._fail(effect, "crashed", "the worker's process ended", 0.0)
            return
        found = self._call(effect)
        if happens("invoked twice", event, id_):
            self._deliver(effect, found)
            found = self._call(effect)
        if happens("answer lost", event, id_):
            self._fail(effect, "lost", "the connection to the worker broke", 0.0)
        elif happens("answer late", event, id_):
            self._fail(effect, "timeout", f"no answer within {effect.timeout:g} s", effect.timeout)
            self._deliver(effect, found, effect.timeout + LATE_ANSWER)
        else:
            self._deliver(effect, found)

    def _call(self, effect: effects.Invoke) -> tuple[Mapping[str, Any], float] | FunctionError:
        functions = self._edge.functions
        try:
            return functions.invoke(effect.function, effect.payload, effect.timeout, self._edge.world.now)
        except FunctionError as error:
            return error

    def _deliver(
        self, effect: effects.Invoke, found: tuple[Mapping[str, Any], float] | FunctionError, late: float = 0.0
    ) -> None:
        if isinstance(found, FunctionError):
            kind = "timeout" if isinstance(found, FunctionTimeout) else "raised"
            self._fail(effect, kind, str(found), self._edge.functions.took)
            return
        answer, took = found
        life, seconds = self._edge.life, took + late
        self._edge.world.after(seconds + FUNCTION / 2, lambda: self._answer(life, effect, answer), transit=not seconds)

    def _answer(self, life: int, effect: effects.Invoke, answer: Mapping[str, Any]) -> None:
        edge = self._edge
        if edge.control is None or life != edge.life:
            return
        session = edge.sessions[str(effect.payload["session"]["id"])]
        change = answer.get("state")
        if self._is_awaited(effect) and answer.get("status") == "done" and isinstance(change, Mapping):
            session.state = dict(change["data"])
        edge.tell(lambda control: control.turn_answered(effect.token, answer, edge.world.now))

    def _is_awaited(self, effect: effects.Invoke) -> bool:
        """Whether control waits for this attempt; asked once for each, for its first word counts."""
        session = str(effect.payload["session"]["id"])
        if self._awaited.get(session) != effect.token:
            return False
        del self._awaited[session]
        return True

    def _fail(self, effect: effects.Invoke, kind: str, message: str, took: float) -> None:
        edge, life = self._edge, self._edge.life

        def tell() -> None:
            if life == edge.life:
                self._is_awaited(effect)
                edge.tell(lambda control: control.turn_failed(effect.token, kind, message, edge.world.now))

        edge.world.after(took + FUNCTION / 2, tell, transit=not took)


def label(payload: Mapping[str, Any]) -> str:
    """What an invocation is for: `call.connected:consult`."""
    event = payload["event"]
    return f"{event['type']}:{event['target']}" if event.get("target") else str(event["type"])
