"""A realtime player on this plane: what Sonic says on its socket, queued for one leg and heard at the pace of speech.

Follows reference voxengine §4.4 (RealtimeTTSPlayer) and cartesia-protocols §5.1; the wire is `agents.sonic`'s. A
context that fails costs itself, the player lives on; the socket's end is the player's.
"""

import random
from dataclasses import dataclass

from cordboard.agents.sonic import SonicConnection
from cordboard.contract.link import SpeechOpen
from cordboard.media.chain import PCMU_8000, Format

from .agent import TURN_OVER
from .cord import Cord
from .ledger import Reason

SPEECH_SECONDS = 300.0
"""Speech that one player may hold: Sonic speaks faster than it is heard, and five minutes of µ-law are 2.4 MB."""


class SpeechCord(Cord):
    """The queue of a realtime player, which a pause holds."""

    __slots__ = ("paused",)

    def __init__(self, source: str, form: Format, *, paused: bool) -> None:
        super().__init__(source, "", form, seconds=SPEECH_SECONDS)
        self.paused = paused

    @property
    def empty(self) -> bool:
        """Nothing will come now."""
        return self.paused or super().empty

    def ready(self, now: float) -> bool:
        """A frame is there and may leave."""
        return not self.paused and super().ready(now)


@dataclass(slots=True)
class Context:
    """One context of a player, until it is heard out."""

    asked: float
    """When its first request left."""
    first_audio: float | None = None
    """When its first audio came."""
    end: int | None = None
    """Octets of the player after its last; None: more may come."""


class SpeechPlayer:
    """One realtime player of a session."""

    form: Format = PCMU_8000

    def __init__(self, message: SpeechOpen, rng: random.Random, now: float, connect_timeout: float) -> None:
        """Raises BadAddress."""
        self.unit = message.player
        self.session, _, self.name = message.player.partition("/")
        self.line = SonicConnection(
            base_url=message.base_url,
            api_key=message.api_key,
            version=message.version,
            rng=rng,
            now=now,
            connect_timeout=connect_timeout,
        )
        self.opening = message.confirm
        self.refused = ""
        """Why the service refused the socket."""
        self.cord: Cord | None = None
        self.closed = False
        self.started = False
        self.flooded = False
        """Audio was dropped as overflow."""
        self.contexts: dict[str, Context] = {}
        """By id, oldest first."""
        self._past: list[Cord] = []
        self._paused = False
        self._received = 0
        self._last_audio = now

    @property
    def paused(self) -> bool:
        """It is held at its place; what comes is queued."""
        return self._paused

    @paused.setter
    def paused(self, on: bool) -> None:
        self._paused = on
        if isinstance(self.cord, SpeechCord):
            self.cord.paused = on

    @property
    def seconds_heard(self) -> float:
        """Seconds that left."""
        return sum(cord.sent for cord in self.cords()) / self.form.rate

    def asked(self, context_id: str, now: float) -> None:
        """A request of a context left."""
        self.contexts.setdefault(context_id, Context(now))

    def said(self, audio: bytes, context_id: str, now: float) -> None:
        """Audio of a context came."""
        context = self.contexts.get(context_id)
        if context is not None and context.first_audio is None:
            context.first_audio = now
        if self.cord is None:
            self.cord = SpeechCord(self.unit, self.form, paused=self._paused)
        self._received += len(audio)
        self._last_audio = now
        if self.cord.push(audio, now):
            self.flooded = True

    def context_over(self, context_id: str) -> None:
        """All of a context has come."""
        context = self.contexts.get(context_id)
        if context is not None:
            context.end = self._received

    def heard_out(self) -> list[tuple[str, Context]]:
        """Contexts that are heard to their end (or were dropped) since the last time."""
        heard = self._received - (self.cord.waiting if self.cord is not None else 0)
        done = [(name, each) for name, each in self.contexts.items() if each.end is not None and each.end <= heard]
        for name, _ in done:
            del self.contexts[name]
        return done

    # --- as a mouth

    def attach(self, sink: str, form: Format) -> Cord:
        """Give it a listener; what waited for its first one comes along."""
        if self.cord is not None and self.cord.sink:
            self.detach("replaced")
        if self.cord is None:
            self.cord = SpeechCord(self.unit, self.form, paused=self._paused)
        self.cord.connect(sink, form)
        return self.cord

    def detach(self, reason: Reason) -> None:
        """Nobody hears it: what is queued is discarded, what comes waits for the next listener."""
        if self.cord is not None:
            self.cord.discard(reason)
            self._past.append(self.cord)
        self.cord = None

    def cords(self) -> list[Cord]:
        """Every cord it ever spoke into."""
        return [*self._past, *([self.cord] if self.cord is not None else [])]

    def over(self, now: float, since: float) -> bool:
        """What was asked for is heard; a context that is left open counts as over after a pause."""
        if self._paused:
            return True
        if self.cord is not None and not self.cord.empty:
            return False
        waits = [each for each in self.contexts.values() if each.end is None]
        if any(each.first_audio is None for each in waits):
            return False
        return not waits or now - max(self._last_audio, since) >= TURN_OVER
