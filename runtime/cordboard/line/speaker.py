"""Says things: one turn of the agent as a timeline of audio chunks and words, which the caller can cut short.

A turn may grow while it is spoken: its text may come sentence by sentence. Audio goes out at the pace of speech, a
little ahead, or all at once (reference cartesia-protocols §1.5). Either way a turn lasts as long as its sound, so that
an interruption is known to be one while the client still plays it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cordboard.line import wire
from cordboard.line.voices.voice import SpokenWord

LEAD = 0.2
"""Seconds that audio is sent ahead of its time: covers a network's jitter, and little is lost by an interruption."""

Sender = Callable[[wire.Message], Awaitable[None]]


class Listener(Protocol):
    """Follows what is really spoken."""

    async def speech_started(self) -> None:
        """The first audio of a turn is played."""

    async def word_spoken(self, word: str, ahead: float = 0.0) -> None:
        """A word's sound begins, in `ahead` seconds: more than 0 when the call ends before the client has played it."""

    async def speech_ended(self, *, interrupted: bool, ahead: float = 0.0) -> None:
        """The turn is over, in `ahead` seconds for the caller; only after `speech_started`."""


Item = tuple[float, int, "bytes | str | asyncio.Event"]
"""Seconds after the turn's begin, number, and what is due: audio to send, a word to tell of, an event to set."""


@dataclass(slots=True, eq=False)
class _Turn:
    id: str
    items: list[Item] = field(default_factory=list)
    segments: list[tuple[float, bool]] = field(default_factory=list)  # end in seconds, may be interrupted
    begin: float | None = None
    length: int = 0
    sent: int = 0
    count: int = 0
    finished: bool = False
    said: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def put(self, at: float, what: bytes | str | asyncio.Event) -> None:
        self.count += 1
        heapq.heappush(self.items, (at, self.count, what))


class Speaker:
    """Speaks for one call. Its methods may be called from different tasks."""

    def __init__(
        self,
        send: Sender,
        group: asyncio.TaskGroup,
        *,
        bytes_per_second: int,
        chunk_ms: int,
        at_once: bool,
        turns: bool,
        odd: bool,
        listener: Listener | None = None,
    ) -> None:
        """`chunk_ms` of audio per message, cut inside a sample if `odd`; `at_once` sends without pacing; `turns` tells
        of turns and words."""
        self._send = send
        self._group = group
        self._rate = bytes_per_second
        self._chunk = bytes_per_second * chunk_ms // 1000 & ~1 | odd
        self._at_once = at_once
        self._turns = turns
        self._listener = listener
        self._clock = asyncio.get_running_loop().time
        self._count = 0
        self._turn: _Turn | None = None

    def next_turn_id(self) -> str:
        """Return a fresh turn id; both roles share the count."""
        self._count += 1
        return f"turn_{self._count}"

    async def say(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """Say something; return when its audio was sent, or when it was interrupted."""
        await self._end(interrupted=False)
        sent = self.add(audio, words)
        self.finish()
        await sent.wait()

    def add(
        self, audio: bytes, words: Sequence[SpokenWord], *, since: int = 0, interruptible: bool = True
    ) -> asyncio.Event:
        """Say more in the open turn, or in a new one; the event is set when this audio was sent or interrupted.

        Words count their time from the begin of a text of which `since` bytes of audio were added before.
        """
        turn = self._turn
        if turn is None:
            turn = self._turn = _Turn(self.next_turn_id())
            turn.task = self._group.create_task(self._play(turn))
        start = turn.length / self._rate
        if turn.begin is not None and turn.begin + start < self._clock():
            turn.begin = self._clock() - start  # after a pause the new audio begins now
        last = 0.0
        for at in range(0, len(audio), self._chunk):
            last = 0.0 if self._at_once else max(0.0, start + at / self._rate - LEAD)
            turn.put(last, audio[at : at + self._chunk])
        sent = asyncio.Event()
        turn.put(last, sent)
        for word in words:
            turn.put(max(0.0, start - since / self._rate + word.start), word.word + " ")
        turn.length += len(audio)
        turn.segments.append((turn.length / self._rate, interruptible))
        turn.finished = False
        turn.news.set()
        return sent

    def finish(self) -> None:
        """No more comes in the open turn: it ends with its sound."""
        if self._turn is not None:
            self._turn.finished = True
            self._turn.news.set()

    async def played(self) -> None:
        """Return when all that was added has been heard, or was interrupted."""
        while (turn := self._turn) is not None:
            left = LEAD if turn.begin is None else turn.begin + turn.length / self._rate - self._clock()
            if turn.finished:
                await turn.over.wait()
            elif left > 0:
                await _sleep(turn.over, left)
            else:
                return

    async def interrupt(self) -> bool:
        """Stop what is being said, `clear` first; False when nothing is, or when what is heard must not be."""
        turn = self._turn
        if turn is None:
            return False
        heard = 0.0 if turn.begin is None else self._clock() - turn.begin
        if any(not interruptible and heard < end for end, interruptible in turn.segments[: _count(turn, heard)]):
            return False
        await self._end(interrupted=True)
        return True

    async def stop(self) -> None:
        """The call ends: the open turn ends with the audio that was sent and its words; a client plays that out."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        if turn.task is not None:
            turn.task.cancel()
        if turn.begin is not None:
            sent, now = turn.sent / self._rate, self._clock() - turn.begin
            for at, _, what in sorted(turn.items):
                if isinstance(what, str) and at < sent:
                    await self._word(turn, what, tell=False, ahead=max(0.0, at - now))
            await self._over(turn, interrupted=False, ahead=max(0.0, sent - now))
        self._forget(turn)

    async def _end(self, *, interrupted: bool) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        if turn.task is not None:
            turn.task.cancel()
        if interrupted:
            await self._send({"event": "clear"})
        for _, _, what in sorted(turn.items):
            if isinstance(what, str) and not interrupted:
                await self._word(turn, what, tell=False)
        await self._over(turn, interrupted=interrupted)
        self._forget(turn)

    async def _over(self, turn: _Turn, *, interrupted: bool, ahead: float = 0.0) -> None:
        """Tell that a turn is over."""
        await self._tell(wire.turn_ended(turn.id, "assistant", turn.said.rstrip(), interrupted=interrupted))
        if turn.begin is not None and self._listener is not None:
            await self._listener.speech_ended(interrupted=interrupted, ahead=ahead)

    def _forget(self, turn: _Turn) -> None:
        """Nothing more comes of a turn: who waits for it goes on."""
        for _, _, what in turn.items:
            if isinstance(what, asyncio.Event):
                what.set()
        turn.items.clear()
        turn.over.set()

    async def _play(self, turn: _Turn) -> None:
        await self._tell(wire.turn_started(turn.id, "assistant"))
        turn.begin = self._clock()
        if self._listener is not None:
            await self._listener.speech_started()
        while True:
            ends = turn.begin + turn.length / self._rate
            if not turn.items and turn.finished and ends <= self._clock():
                break
            due = turn.begin + turn.items[0][0] if turn.items else ends if turn.finished else None
            turn.news.clear()
            if due is None:
                await turn.news.wait()
            elif (delay := due - self._clock()) > 0:
                await _sleep(turn.news, delay)
            elif turn.items:
                await self._do(turn, heapq.heappop(turn.items)[2])
        if self._turn is turn:
            turn.task = None  # this task, which must not cancel itself
            await self._end(interrupted=False)

    async def _do(self, turn: _Turn, what: bytes | str | asyncio.Event) -> None:
        match what:
            case bytes():
                turn.sent += len(what)
                await self._send(wire.media_output(what))
            case str():
                await self._word(turn, what, tell=True)
            case _:
                what.set()

    async def _word(self, turn: _Turn, word: str, *, tell: bool, ahead: float = 0.0) -> None:
        turn.said += word
        if tell:
            await self._tell(wire.text_delta(word))
        if self._listener is not None:
            await self._listener.word_spoken(word.strip(), ahead)

    async def _tell(self, message: wire.Message) -> None:
        if self._turns:
            await self._send(message)


def _count(turn: _Turn, heard: float) -> int:
    """How many segments have begun `heard` seconds after the turn did."""
    starts = [0.0, *(end for end, _ in turn.segments[:-1])]
    return sum(start <= heard for start in starts)


async def _sleep(until: asyncio.Event, seconds: float) -> None:
    """Sleep, at most until the event is set."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        pass
