"""The objects of a test: a leg is a phone and its call, an agent is the service's side of its socket."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from cordboard.simulator.agent_service import SimulatedAgent
from cordboard.simulator.edge import PUBLIC_URL, SimulatedSession
from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation
from cordboard.simulator.voices import seconds_of

from .errors import NoAnswer, NoSuchCall

PROBE = 0.3
"""Seconds of the tone by which `hears` finds out: above two frames of jitter and a filter's tails."""

LISTEN = 0.5
"""Seconds that `hears` listens, beyond what is queued before its tone."""

KEY = 0.22
"""Seconds of one key press with its pause."""

REPLY_LIMIT = 6.0
"""Virtual seconds until a control request must be answered; the edge says 202 after five."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a control request."""

    status: int
    """HTTP status."""
    text: str
    """Body."""

    def json(self) -> Any:
        """The body as JSON. ValueError where it is none."""
        return json.loads(self.text)


class SessionView:
    """A session as its test sees it."""

    def __init__(self, session: SimulatedSession) -> None:
        self._session = session

    @property
    def id(self) -> str:
        """`s_…`."""
        return self._session.id

    @property
    def state(self) -> Any:
        """session.state after the last event: its fields as attributes."""
        return SimpleNamespace(**self._session.state)

    @property
    def cause(self) -> str | None:
        """Why it ended; None while it lives."""
        return self._session.ended[0].cause if self._session.ended else None

    @property
    def commands(self) -> Sequence[str]:
        """Types of all commands that were executed, in order: `call.answer`, …"""
        return [entry.what for entry in self._session.timeline if entry.kind == "command"]

    @property
    def log(self) -> Sequence[str]:
        """What its handlers logged, and the events that are only logged."""
        return [entry.what for entry in self._session.timeline if entry.kind == "log"]

    def __repr__(self) -> str:
        return f"<SessionView {self.id} {self.cause or 'live'}>"


class FakeAgent:
    """The agent's service at the other end of a socket."""

    def __init__(self, sim: Simulation, agent: SimulatedAgent) -> None:
        self._sim = sim
        self._agent = agent

    @property
    def started(self) -> Mapping[str, Any]:
        """The `start` message: metadata, config. Empty before it came."""
        return self._agent.started

    @property
    def connected(self) -> bool:
        """The socket is open."""
        return self._agent.connected

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """Everything the agent received but audio, in order."""
        return self._agent.messages

    def say(self, text: str, *, seconds: float = 1.0) -> None:
        """Speak a turn; the service delivers it at once, the caller hears it as time goes on."""
        self._agent.say(text, seconds)
        self._sim.world.settle()

    def clear(self) -> None:
        """The caller barged in: what is not heard yet is void."""
        self._agent.clear()
        self._sim.world.settle()

    def tool(self, name: str, **arguments: Any) -> Any:
        """Call a tool as an agent does: POST to the control URL it was given, `/name`. JSON, or the text where it is
        none. NoSuchCall where its metadata holds no control URL."""
        url = next(
            (url for url in _texts(self.started.get("metadata")) if url.startswith(f"{PUBLIC_URL}/control/")), ""
        )
        if not url:
            raise NoSuchCall("the agent was given no control URL in its metadata")
        reply = post(self._sim, url, arguments, name)
        try:
            return reply.json()
        except ValueError:
            return reply.text

    def drop(self, code: int = 1006, reason: str = "") -> None:
        """Close the socket; 1006 breaks the connection without a close frame."""
        self._agent.drop(code, reason)
        self._sim.world.settle()

    def __repr__(self) -> str:
        return f"<FakeAgent {self._agent.name} {'connected' if self.connected else 'closed'}>"


class Leg:
    """A phone and its call."""

    def __init__(self, sim: Simulation, phone: Phone) -> None:
        self._sim = sim
        self._phone = phone

    @property
    def name(self) -> str:
        """The name that handlers know it by; "" where it belongs to no session."""
        return self._sim.edge.legs.get(self._phone.call_id, ("", ""))[1]

    @property
    def number(self) -> str:
        """The phone's own number."""
        return self._phone.number

    @property
    def state(self) -> str:
        """calling, ringing, answered, ended."""
        return self._phone.state

    @property
    def code(self) -> int | None:
        """Final SIP status."""
        return self._phone.code

    @property
    def digits(self) -> str:
        """Keys that it was sent."""
        return self._phone.pressed

    @property
    def heard(self) -> Sequence[str]:
        """Texts that it heard, at least in part, in order."""
        said = (self._sim.voices.of(hz) for hz, _ in self._phone.heard())
        return [each.text for each in said if each is not None and each.text]

    @property
    def agent(self) -> FakeAgent:
        """The newest agent of its session. NoSuchCall before there is one."""
        session = self._sim.session_of(self._phone)
        found = self._sim.service.of_session(session.id)
        if not found:
            raise NoSuchCall(f"session {session.id} has no agent; its log: {self.session.log}")
        return FakeAgent(self._sim, found[-1])

    @property
    def session(self) -> SessionView:
        """Its session. NoSuchCall where the edge made none."""
        try:
            return SessionView(self._sim.session_of(self._phone))
        except LookupError as error:
            raise NoSuchCall(f"{error}; the edge's log: {[line.message for line in self._sim.edge.log]}") from None

    def ring(self, *, early: bool = False) -> None:
        """Ring once more, or with `early` let early media be heard."""
        self._phone.ring(early=early)
        self._sim.world.settle()

    def answer(self) -> None:
        """Pick up."""
        self._phone.answer()
        self._sim.world.settle()

    def refuse(self, code: int = 486) -> None:
        """Do not pick up."""
        self._phone.refuse(code)
        self._sim.world.settle()

    def press(self, digits: str) -> None:
        """Press keys; time goes on while they sound."""
        self._phone.press(digits)
        self._sim.world.advance(KEY * len(digits) + 0.1)
        self._sim.world.settle()

    def say(self, text: str, *, seconds: float = 1.0) -> None:
        """Speak; it is heard as time goes on. RuntimeError before the call carries sound and after its end."""
        self._phone.say(text, seconds)

    def hangup(self) -> None:
        """Hang up."""
        self._phone.hangup()
        self._sim.world.settle()

    def hears(self, other: "Leg | FakeAgent | str") -> bool:
        """Whether a tone that the other side sends now arrives at this phone's ear; of a text, a URL or a path: whether
        a player of it is heard now. Half a second goes by."""
        world = self._sim.world
        if self.state == "ended":
            return False
        if isinstance(other, str):
            began = world.now
            world.advance(LISTEN)
            world.settle()
            said = (self._sim.voices.of(hz) for hz, _ in self._phone.heard(began))
            return any(each is not None and each.text == other for each in said)
        if isinstance(other, Leg):
            if not other._phone.can_speak:
                return False
            hz, wait = other._phone.say("", PROBE).hz, 0.0
        else:
            if not other.connected or not other.started:
                return False
            wait = max(0.0, other._agent.sound_until - world.now)
            hz = other._agent.say("", PROBE, turn=False).hz
        began = world.now
        world.advance(wait + LISTEN)
        world.settle()
        return seconds_of(hz, self._phone.heard(began)) >= PROBE / 2

    def control(self, body: Mapping[str, Any], *, verb: str = "") -> Reply:
        """POST to the session's control URL. NoAnswer where none comes."""
        return post(self._sim, self._sim.session_of(self._phone).control_url, body, verb)

    def __repr__(self) -> str:
        return f"<Leg {self.name or '?'} {self.number} {self.state}>"


def post(sim: Simulation, url: str, body: Mapping[str, Any], verb: str = "") -> Reply:
    """A control request, to its answer. Raises NoAnswer."""
    path = url.removeprefix(f"{PUBLIC_URL}/control/") + (f"/{verb}" if verb else "")
    data = json.dumps(dict(body)).encode()
    name = sim.edge.request("POST", path, {"content-type": "application/json"}, data)
    sim.world.settle()
    limit = sim.world.now + REPLY_LIMIT
    while name not in sim.edge.replies:
        if sim.world.now >= limit:
            raise NoAnswer(f"a control request was not answered within {REPLY_LIMIT:g} s")
        sim.world.advance(0.1)
    sim.world.settle()
    found = sim.edge.replies[name]
    return Reply(found.status, found.body.decode())


def _texts(value: object) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []
