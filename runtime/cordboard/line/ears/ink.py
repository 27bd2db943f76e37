"""An ear at Cartesia: Ink with manual finalize; the turns are found here.

Follows reference cartesia-protocols §5.2. It is the ear of `--ear ink`, because turns are then found as with any other
ear: an interruption needs no network, and a socket that drops costs a turn its words, not the call its turns. Only
utterances are sent. `ink_turns` leaves the turns to the service.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable

from cordboard.line.ears.ear import Ear, EarFault, Utterance
from cordboard.line.ears.ink_socket import INK_URL, InkSocket, Message, check_url, text_of
from cordboard.media.samples import Samples

PATH = "/stt/websocket"

LANGUAGE = "en"
"""What the service understands when it is not told (§5.2)."""


class InkEars:
    """Ears of one key."""

    def __init__(self, key: str, url: str = INK_URL) -> None:
        """`url` is `wss://host` without a path; raises `ScriptError`."""
        self._key = key
        self._url = check_url(url)

    def open(self, rate: int, language: str = "") -> Ear:
        """Return a new call's ear, which connects at once."""
        return _InkEar(self._url + PATH, self._key, rate, language or LANGUAGE)


class _Heard:
    """One utterance at the service."""

    def __init__(self) -> None:
        self.text = ""
        self.fault = ""
        self.done = asyncio.Event()


class _InkEar:
    turns = None

    def __init__(self, url: str, key: str, rate: int, language: str) -> None:
        self._url = url
        self._key = key
        self._rate = rate
        self._language = language
        self._spoken = ""
        self._before = Utterance(rate)
        self._waiting: deque[_Heard] = deque()
        self._current: _Heard | None = None
        self._socket: InkSocket | None = None
        self._old: list[InkSocket] = []
        self._connect()

    def receive_audio(self, samples: Samples) -> None:
        if self._current is None:
            self._before.receive_audio(samples)
        elif self._socket is not None:
            self._socket.send_audio(samples)

    def use_language(self, language: str) -> bool:
        self._language = language
        return True

    def start(self) -> None:
        if self._spoken != self._language and self._socket is not None and not self._waiting:
            self._old.append(self._socket)  # the language is the socket's: another one is opened
            self._socket.abandon()
            self._socket = None
        self._current = heard = _Heard()
        self._waiting.append(heard)
        socket = self._socket or self._connect()
        before = self._before.take()
        if before.size:
            socket.send_audio(before)

    def finish(self) -> Awaitable[str]:
        heard, self._current = self._current, None
        assert heard is not None, "finish comes after start"
        if self._socket is not None:
            self._socket.send_command("finalize")
        return self._text(heard)

    async def close(self) -> None:
        if self._socket is not None:
            self._old.append(self._socket)
        for socket in self._old:
            await socket.close()

    async def _text(self, heard: _Heard) -> str:
        try:
            await heard.done.wait()
        except asyncio.CancelledError:
            if self._socket is not None and heard in self._waiting:
                self._socket.abandon()  # its late answer would be taken for that to the next utterance
                self._lost("Ink is too slow")
            raise
        if heard.fault:
            raise EarFault(heard.fault)
        return heard.text.strip()

    def _connect(self) -> InkSocket:
        self._old = [socket for socket in self._old if not socket.is_gone]
        self._socket = InkSocket(self._url, self._key, self._rate, self._receive, self._lost, language=self._language)
        self._spoken = self._language
        return self._socket

    def _receive(self, message: Message) -> None:
        if not self._waiting:
            return
        match message.get("type"):
            case "transcript" if message.get("is_final") is True:
                self._waiting[0].text += text_of(message, "text")  # a delta, with its own spaces
            case "flush_done":
                self._waiting.popleft().done.set()

    def _lost(self, reason: str) -> None:
        """The next utterance connects anew."""
        if self._socket is not None:
            self._old.append(self._socket)
            self._socket = None
        for heard in self._waiting:
            heard.fault = reason
            heard.done.set()
        self._waiting.clear()
