"""What the agent program wants said and done, in its order: pieces of text become sentences, sentences become sound.

Follows reference cartesia-protocols §3.4, §3.5 and §3.7: pieces are joined verbatim; a call ends or is transferred when
all queued speech was heard; what the caller may interrupt is dropped when the caller does. A piece of text after which
the program is silent for 2.5 s is the last of its reply, unless the program says `response_end` itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from cordboard.line.harness.messages import AgentFault, Dtmf, EndCall, Transfer
from cordboard.line.speaker import Speaker
from cordboard.line.speech import ReplyReading
from cordboard.line.voices.sentences import split
from cordboard.line.voices.voice import VoiceFailed

REPLY_PAUSE = 2.5
"""Seconds of silence that end a reply of SDKs before 0.2.19 (§3.5)."""

MAX_WAITING = 20_000
"""Characters of text that wait to be spoken: twenty minutes of speech; a program that floods has failed."""

MAX_ITEMS = 1000
"""Things that wait to be done."""

Action = Dtmf | EndCall | Transfer


@dataclass(slots=True, eq=False)
class _Item:
    what: str | Action | None
    """A sentence, something to do, or the end of the reply."""
    interruptible: bool = True
    dropped: bool = False


class Mouth:
    """Speaks and acts for one call. All but `run` return at once."""

    def __init__(
        self,
        speaker: Speaker,
        open_reading: Callable[[], ReplyReading],
        act: Callable[[Action], Awaitable[None]],
        *,
        synthesized: Callable[[float], None],
        complain: Callable[[str], None],
    ) -> None:
        """`open_reading` returns who reads the next reply; `act` does something when its time has come.

        `synthesized` is told the seconds from a text to its first audio, `complain` of a text that was not spoken: the
        reply goes on with what follows it.
        """
        self._speaker = speaker
        self._open_reading = open_reading
        self._act = act
        self._synthesized = synthesized
        self._complain = complain
        self._clock = asyncio.get_running_loop().time
        self._reading: ReplyReading | None = None
        self._scope: asyncio.Timeout | None = None
        self._items: deque[_Item] = deque()
        self._current: _Item | None = None
        self._text = ""
        self._interruptible = True
        self._waiting = 0
        self._replying = False
        self._news = asyncio.Event()
        self.ends_are_told = False
        """Whether the program has ever sent `response_end`."""

    def say(self, piece: str, *, interruptible: bool) -> None:
        """Text to be spoken; raises `AgentFault` for too much of it."""
        if interruptible is not self._interruptible:
            self._flush()
            self._interruptible = interruptible
        sentences, self._text = split(self._text + piece)
        for sentence in sentences:
            self._put(_Item(sentence, interruptible))
        if self._waiting + len(self._text) > MAX_WAITING:
            raise AgentFault(f"more than {MAX_WAITING} characters wait to be spoken")
        self._replying = True
        self._news.set()

    def do(self, action: Action) -> None:
        """Something to be done after what is to be said before it."""
        self._flush()
        self._put(_Item(action, getattr(action, "interruptible", True)))

    def end(self) -> None:
        """The reply has no more text."""
        self._flush()
        self._replying = False
        self._put(_Item(None, interruptible=False))

    def cut(self) -> None:
        """The caller speaks: forget all that waits and may be interrupted."""
        if self._interruptible:
            self._text = ""
        for item in (self._current, *self._items):
            if item is not None and item.interruptible:
                item.dropped = True
        if self._scope is not None and self._current is not None and self._current.dropped:
            self._scope.reschedule(self._clock())

    async def run(self) -> None:
        """Work for ever."""
        try:
            await self._work()
        finally:
            await self._end_reading()

    async def _work(self) -> None:
        while True:
            while not self._items:
                self._current = None
                await self._wait()
            item = self._current = self._items.popleft()
            if isinstance(item.what, str):
                self._waiting -= len(item.what)
            if item.dropped:
                continue
            match item.what:
                case None:
                    self._speaker.finish()
                    await self._end_reading()
                case str():
                    await self._speak(item, item.what)
                case Dtmf():
                    await self._act(item.what)
                case _:
                    self._speaker.finish()
                    await self._speaker.played()
                    if not item.dropped:
                        await self._act(item.what)

    async def _speak(self, item: _Item, text: str) -> None:
        if not text.strip():
            return
        sent: asyncio.Event | None = None
        try:
            async with asyncio.timeout(None) as self._scope:  # ended by `cut`
                async for event in self._add(item, text.strip()):
                    sent = event
        except VoiceFailed as exc:
            self._complain(f"speech: {exc}")
        except TimeoutError:
            pass
        finally:
            self._scope = None
        if item.dropped:
            await self._end_reading()
        elif sent is not None:
            await sent.wait()

    async def _add(self, item: _Item, text: str) -> AsyncGenerator[asyncio.Event]:
        """Add the speech of a text to what is said, as it comes; yield `Speaker.add`'s events."""
        if self._reading is None:
            self._reading = self._open_reading()
        began, since = self._clock(), 0
        async with aclosing(self._reading.speak(text)) as pieces:
            async for audio, words in pieces:
                if not since:
                    self._synthesized(self._clock() - began)
                yield self._speaker.add(audio, words, since=since, interruptible=item.interruptible)
                since += len(audio)

    async def _end_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            await reading.close()

    async def _wait(self) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(REPLY_PAUSE if self._replying and not self.ends_are_told else None):
                await self._news.wait()
        except TimeoutError:
            self.end()

    def _flush(self) -> None:
        text, self._text = self._text, ""
        if text:
            self._put(_Item(text, self._interruptible))

    def _put(self, item: _Item) -> None:
        if len(self._items) >= MAX_ITEMS:
            raise AgentFault(f"more than {MAX_ITEMS} things wait to be done")
        if isinstance(item.what, str):
            self._waiting += len(item.what)
        self._items.append(item)
        self._news.set()
