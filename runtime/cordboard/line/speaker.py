"""Says things: one turn of the agent as a timeline of audio chunks and words, which the caller can cut short.

Audio goes out at the pace of speech, a little ahead, or all at once (reference cartesia-protocols §1.5). Either way a
turn lasts as long as its sound, so that an interruption is known to be one while the client still plays it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cordboard.line import wire

LEAD = 0.2
"""Seconds that audio is sent ahead of its time: covers a network's jitter, and little is lost by an interruption."""

Sender = Callable[[wire.Message], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Turn:
    id: str
    audio: bytes
    words: list[str]
    said: str = ""
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Speaker:
    """Speaks for one call. `say` and `interrupt` may be called from different tasks."""

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
    ) -> None:
        """`chunk_ms` of audio per message, cut inside a sample if `odd`; `at_once` sends without pacing; `turns` tells
        of turns and words."""
        self._send = send
        self._group = group
        self._rate = bytes_per_second
        self._chunk = bytes_per_second * chunk_ms // 1000 & ~1 | odd
        self._at_once = at_once
        self._turns = turns
        self._count = 0
        self._turn: _Turn | None = None

    def next_turn_id(self) -> str:
        """Return a fresh turn id; both roles share the count."""
        self._count += 1
        return f"turn_{self._count}"

    async def say(self, audio: bytes, text: str) -> None:
        """Say something; return when its audio was sent, or when it was interrupted."""
        await self._end(interrupted=False)
        turn = _Turn(self.next_turn_id(), audio, [word + " " for word in text.split()])
        self._turn = turn
        turn.task = self._group.create_task(self._play(turn))
        await turn.sent.wait()

    async def interrupt(self) -> bool:
        """Stop what is being said, `clear` first; False when nothing is."""
        if self._turn is None:
            return False
        await self._end(interrupted=True)
        return True

    async def _end(self, *, interrupted: bool) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        if turn.task is not None:
            turn.task.cancel()
        if interrupted:
            await self._send({"event": "clear"})
        else:
            turn.said = "".join(turn.words)
        await self._tell(wire.turn_ended(turn.id, "assistant", turn.said.rstrip(), interrupted=interrupted))
        turn.sent.set()

    async def _play(self, turn: _Turn) -> None:
        clock = asyncio.get_running_loop().time
        await self._tell(wire.turn_started(turn.id, "assistant"))
        begin = clock()
        for offset, audio, word in self._timeline(turn):
            if (delay := begin + offset - clock()) > 0:
                await asyncio.sleep(delay)
            if audio:
                await self._send(wire.media_output(audio))
            elif word:
                turn.said += word
                await self._tell(wire.text_delta(word))
            else:
                turn.sent.set()
        if (delay := begin + len(turn.audio) / self._rate - clock()) > 0:
            await asyncio.sleep(delay)
        if self._turn is turn:
            turn.task = None  # this task, which must not cancel itself
            await self._end(interrupted=False)

    def _timeline(self, turn: _Turn) -> list[tuple[float, bytes, str]]:
        """What to do when, in seconds from the turn's begin: audio, words, and (b"", "") when all audio is sent."""
        items: list[tuple[float, bytes, str]] = []
        last = 0.0
        for at in range(0, len(turn.audio), self._chunk):
            last = 0.0 if self._at_once else max(0.0, at / self._rate - LEAD)
            items.append((last, turn.audio[at : at + self._chunk], ""))
        items.append((last, b"", ""))
        seconds, length, position = len(turn.audio) / self._rate, sum(map(len, turn.words)), 0
        for word in turn.words:
            items.append((seconds * position / length, b"", word))
            position += len(word)
        return sorted(items, key=lambda item: item[0])  # stable: audio stays before its mark and its words

    async def _tell(self, message: wire.Message) -> None:
        if self._turns:
            await self._send(message)
