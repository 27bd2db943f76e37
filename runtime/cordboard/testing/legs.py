"""A leg of a test: a phone and its call."""

import re
from collections.abc import Mapping, Sequence

from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation
from cordboard.simulator.voices import seconds_of

from .agents import FakeAgent
from .control import Reply, post
from .errors import NoSuchCall
from .sessions import SessionView

PROBE = 0.3
"""Seconds of the tone by which `hears` finds out: above two frames of jitter and a filter's tails."""

LISTEN = 0.5
"""Seconds that `hears` listens, beyond what is queued before its tone."""

KEY = 0.22
"""Seconds of one key press with its pause."""


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

    def heard_text(self) -> str:
        """The words that it heard so far, in order: a word counts when its sound had begun. Of a text that is cut
        short the words stand in proportion to its letters, as in a transcript."""
        words = []
        for hz, seconds in self._phone.heard():
            said = self._sim.voices.of(hz)
            if said is not None and said.text:
                words += _begun(said.text, seconds / said.seconds if said.seconds else 1.0)
        return " ".join(words)

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
            return SessionView(self._sim, self._sim.session_of(self._phone))
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

    def press(self, digits: str, *, gap: float = 0.0) -> None:
        """Press keys, `gap` seconds between two beyond their own pause; time goes on while they sound."""
        if gap:
            for digit in digits:
                self._phone.press(digit)
                self._sim.world.advance(KEY + gap)
        else:
            self._phone.press(digits)
            self._sim.world.advance(KEY * len(digits) + 0.1)
        self._sim.world.settle()

    def hold(self) -> None:
        """Put the edge on hold."""
        self._phone.hold()
        self._sim.world.settle()

    def unhold(self) -> None:
        """Take the call back."""
        self._phone.hold("sendrecv")
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

    def control(self, body: Mapping[str, object], *, verb: str = "", url: str | None = None) -> Reply:
        """POST to the session's control URL, or to a narrower one that a handler minted. NoAnswer where none comes."""
        return post(self._sim, url or self._sim.session_of(self._phone).control_url, body, verb)

    def __repr__(self) -> str:
        return f"<Leg {self.name or '?'} {self.number} {self.state}>"


WHOLE = 0.97
"""Share of a text that is all of it: its last frame may be cut."""


def _begun(text: str, share: float) -> list[str]:
    words = list(re.finditer(r"\S+", text))
    return [word.group() for word in words if share >= WHOLE or word.start() / len(text) < share]
