"""The agent's service at the other end of a socket, scripted by the test. The same words serve both wires."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cordboard.simulator.agent_service import SimulatedAgent
from cordboard.simulator.edge import PUBLIC_URL
from cordboard.simulator.simulation import Simulation

from .control import LIMIT, post
from .errors import NoAnswer, NoSuchCall, ToolRefused


class FakeAgent:
    """The agent's service at the other end of a socket.

    What it says after a fault of the test dropped it is not said: `connected` tells. After any other end its verbs
    raise ConnectionError."""

    def __init__(self, sim: Simulation, agent: SimulatedAgent) -> None:
        self._sim = sim
        self._agent = agent

    @property
    def wire(self) -> str:
        """`line` or `managed`: what it was opened as."""
        return self._agent.wire.name

    @property
    def started(self) -> Mapping[str, Any]:
        """`metadata` and `config` as it was started with, on both wires. Empty before it was."""
        return self._agent.started

    @property
    def connected(self) -> bool:
        """The socket is open."""
        return self._agent.connected

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """Everything the agent received but audio, in order, as its wire has it."""
        return self._agent.messages

    @property
    def heard(self) -> Sequence[str]:
        """Texts that reached it, at least in part, in order."""
        said = (self._sim.voices.of(hz) for hz, _ in self._agent.heard())
        return [each.text for each in said if each is not None and each.text]

    @property
    def digits(self) -> str:
        """Keys that it was sent."""
        read = (self._agent.wire.read(dict(message)) for message in self._agent.messages)
        return "".join(message["dtmf"] for message in read if message.get("event") == "dtmf")

    def says(self, text: str, *, seconds: float = 1.0) -> None:
        """Speak a turn; the service delivers it at once, the caller hears it as time goes on."""
        self._agent.say(text, seconds)
        self._sim.world.settle()

    def clears(self) -> None:
        """The caller barged in: what is not heard yet is void."""
        self._agent.clear()
        self._sim.world.settle()

    def understands(self, text: str) -> None:
        """The service says what it understood of the caller: a turn of the user, for the transcript."""
        self._agent.begin_turn("user")
        self._agent.end_turn(text, role="user")
        self._sim.world.settle()

    def presses(self, digits: str) -> None:
        """Press keys towards the caller."""
        for digit in digits:
            self._agent.dtmf(digit)
        self._sim.world.settle()

    def custom(self, metadata: Mapping[str, Any]) -> None:
        """Send a custom event. ValueError on the Managed wire, which has none."""
        self._agent.custom(metadata)
        self._sim.world.settle()

    def calls_tool(self, name: str, **arguments: Any) -> Any:
        """Call a tool as an agent of its wire does, to its result: JSON, or the text where it is none.

        Managed: a client tool call. Line: POST to the control URL that it was given in its metadata, `/name`.
        Raises ToolRefused for an error as result, NoAnswer for none, NoSuchCall where there is no control URL."""
        if self._agent.dropped_by_fault:
            return None
        return self._client_tool(name, arguments) if self.wire == "managed" else self._control_url(name, arguments)

    def hangs_up(self, reason: str = "") -> None:
        """End the call as a service does when its agent has said good-bye."""
        self.drops(1000, f"call ended by agent, reason: {reason}" if reason else "call ended by agent")

    def drops(self, code: int = 1006, reason: str = "") -> None:
        """Close the socket; 1006 breaks the connection without a close frame."""
        self._agent.drop(code, reason)
        self._sim.world.settle()

    def _client_tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        agent, world = self._agent, self._sim.world
        id_ = agent.call_tool(name, arguments)
        world.settle()
        limit = world.now + LIMIT
        while id_ not in agent.tool_results:
            if agent.dropped_by_fault:
                return None
            if world.now >= limit:
                raise NoAnswer(f"the tool {name} had no result within {LIMIT:g} s")
            world.advance(0.1)
        world.settle()
        result = agent.tool_results[id_]
        if result.get("is_error"):
            raise ToolRefused(name, str(result["result"]), str(result.get("error_type") or ""))
        return _json(str(result["result"]))

    def _control_url(self, name: str, arguments: Mapping[str, Any]) -> Any:
        url = next(
            (url for url in _texts(self.started.get("metadata")) if url.startswith(f"{PUBLIC_URL}/control/")), ""
        )
        if not url:
            raise NoSuchCall("the agent was given no control URL in its metadata")
        reply = post(self._sim, url, arguments, name)
        result = _json(reply.text)
        if reply.status >= 400:
            told = result if isinstance(result, dict) else {}
            message = told.get("error") or told.get("detail") or reply.text
            raise ToolRefused(name, str(message), str(told.get("error_type") or told.get("code") or reply.status))
        return result

    def __repr__(self) -> str:
        return f"<FakeAgent {self._agent.name} {'connected' if self.connected else 'closed'}>"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _texts(value: object) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []
