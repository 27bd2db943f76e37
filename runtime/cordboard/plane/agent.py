"""An agent on this plane: its socket's protocol object, the audio it says, and what it is fed.

It gets no caller audio before its ack (at most 200 ms are held), silence on hold and when the caller's RTP pauses,
so that its idle timer and its voice detection see an unbroken stream (cartesia-protocols §1.7).
"""

import random
from typing import Literal

from cordboard.agents.connection import AgentConnection, connect
from cordboard.agents.state import State
from cordboard.contract.link import AgentOpen
from cordboard.media.chain import L16_16000, L16_24000, L16_44100, PCMU_8000, Format

from .cord import WAIT_FOR_ROUTE, Cord
from .ledger import Reason
from .spoken import Spoken

FORMS: dict[str, Format] = {
    "mulaw_8000": PCMU_8000,
    "pcm_16000": L16_16000,
    "pcm_24000": L16_24000,
    "pcm_44100": L16_44100,
}

HOLD_BACK = 0.2
"""Seconds of caller audio kept before the ack, the newest (DESIGN §1)."""

STEP = 1e-6
"""Seconds between the moments of two events that came together: far above the resolution of the clock's float."""

SILENCE_AFTER = 0.1
"""Seconds without caller audio after which silence is fed instead; one upkeep round."""

TURN_OVER = 0.4
"""Seconds without audio, the queue being dry, after which a turn counts as over without `turn_ended` (DESIGN §1)."""

MESSAGE_RATE = 50.0
"""Messages a second that control is told, audio and text deltas apart: ten times what a lively agent sends."""

MESSAGE_BURST = 100.0
"""Messages at once."""

MAX_TURN_ID = 64
"""Characters kept of a turn's id: it stands in the ledger; those seen are numbers and UUIDs."""

MEDIA_ENDED = 1.0
"""Seconds of silence after which media.ended is told (seed: "after the end of the audio stream (1 second)")."""


class Agent:
    """One agent of a session."""

    def __init__(self, message: AgentOpen, rng: random.Random, now: float, connect_timeout: float) -> None:
        self.unit = message.agent
        self.session, _, self.name = message.agent.partition("/")
        self.line: AgentConnection = connect(
            message.version,
            base_url=message.base_url,
            agent_id=message.agent_id,
            api_key=message.api_key,
            input_format=message.input_format,
            rng=rng,
            now=now,
            connect_timeout=connect_timeout,
        )
        self.opening = message.confirm
        self.starting: str | None = None
        self.cord: Cord | None = None
        """What it says, on its way to a leg, or waiting for its first route."""
        self._past: list[Cord] = []
        self._unbridged = False
        self.ear: Cord | None = None
        """What it is fed: the cord from a leg."""
        self.turn = ""
        self.spoken = Spoken()
        """The open turn's text and where it stands in its audio."""
        self.turn_over = True
        self.speaking = False
        self.last_audio = 0.0
        self.closed = False
        self.flooded = False
        """Audio was dropped as overflow."""
        self.untold = 0
        """Messages that control was not told."""
        self._allowance = MESSAGE_BURST
        self._allowed_at = now
        self._turn_began = 0.0
        self._sounding = 0.0
        """When its queue was last seen not empty."""
        self._fed_at = now
        self._stamp = now

    @property
    def form(self) -> Format:
        """Format of both directions."""
        return FORMS[self.line.input_format]

    def cords(self) -> list[Cord]:
        """Every cord it ever spoke into."""
        return [*self._past, *([self.cord] if self.cord is not None else [])]

    def stamp(self, now: float) -> float:
        """A moment of its own for each event, so that a position falls between those of one segment of TCP."""
        self._stamp = max(now, self._stamp + STEP)
        return self._stamp

    def said(self, audio: bytes, now: float) -> bool:
        """Audio came; True when it is the first after a pause."""
        self.spoken.audio(len(audio) // self.form.bytes_per_sample, self.form.rate, now)
        if self.cord is None:
            self.cord = Cord(self.unit, "", self.form)
        if not self.cord.sink:
            room = 0 if self._unbridged else round(WAIT_FOR_ROUTE * self.form.rate) - self.cord.waiting
            kept = max(0, room) * self.form.bytes_per_sample
            if len(audio) > kept:
                self.cord.refuse(audio[kept:], self.turn, "unbridged")
                audio = audio[:kept]
        if audio and self.cord.push(audio, now, self.turn):
            self.flooded = True
        self.last_audio = now
        self.turn_over = False
        first = not self.speaking
        self.speaking = True
        return first

    def detach(self, reason: Reason) -> None:
        """Its route is gone: what is queued is discarded, what comes goes nowhere until there is a new one."""
        if self.cord is not None:
            self.cord.discard(reason)
            self._past.append(self.cord)
        self.cord = None
        self._unbridged = True

    def attach(self, sink: str, form: Format) -> Cord:
        """Give it a listener; what waited for its first route comes along."""
        if self.cord is not None and (self.cord.sink or self._unbridged):
            self.detach("replaced" if self.cord.sink else "unbridged")
        if self.cord is None:
            self.cord = Cord(self.unit, "", self.form)
        self.cord.connect(sink, form)
        return self.cord

    def turn_event(self, kind: Literal["started", "ended"], turn: str, now: float) -> None:
        """A turn of the assistant began or is over."""
        self.spoken.begin(is_open=kind == "started")
        if kind == "started":
            self.turn = turn[:MAX_TURN_ID]
            self._turn_began = now
        self.turn_over = kind == "ended"

    def may_tell(self, at: float) -> bool:
        """Whether control is told another message; False is counted."""
        self._allowance = min(MESSAGE_BURST, self._allowance + (at - self._allowed_at) * MESSAGE_RATE)
        self._allowed_at = at
        if self._allowance < 1:
            self.untold += 1
            return False
        self._allowance -= 1
        return True

    def over(self, now: float, since: float) -> bool:
        """Its turn is over and heard; without `turn_ended`: nothing came for a while, `since` included."""
        if self.cord is not None and not self.cord.empty:
            return False
        return self.turn_over or self.closed or now - max(self.last_audio, self._turn_began, since) >= TURN_OVER

    def fell_silent(self, now: float) -> bool:
        """Once for each stretch of audio: it is heard, and no more came for a second."""
        if self.cord is not None and not self.cord.empty:
            self._sounding = now
            return False
        if not self.speaking or not (self.closed or now - max(self.last_audio, self._sounding) >= MEDIA_ENDED):
            return False
        self.speaking = False
        return True

    def hear(self, frame: bytes, now: float) -> None:
        """Caller audio, in the format of the leg that feeds it."""
        ear = self.ear
        if ear is None:
            return
        if self.line.state is State.LIVE:
            self.line.send_audio(ear.pass_through(frame, now), now)
            self._fed_at = now
        elif self.line.state in (State.CLOSING, State.CLOSED):
            ear.refuse(frame, "", "ended")
        else:
            ear.push(frame, now)
            while ear.seconds > HOLD_BACK:
                ear.drop_due("overflow")

    def release_held(self, now: float) -> None:
        """The ack came."""
        if self.ear is not None and not self.ear.empty:
            self.line.send_audio(self.ear.take_all(), now)
        self._fed_at = now

    def feed_silence(self, now: float) -> None:
        """Fill a pause of the caller's audio, whole frames at a time."""
        if self.line.state is not State.LIVE or now - self._fed_at < SILENCE_AFTER:
            return
        frames = min(int((now - self._fed_at) / 0.02), 50)
        self.line.send_audio(self.form.silence * frames, now)
        self._fed_at += frames * 0.02
        if now - self._fed_at > 1.0:
            self._fed_at = now
