"""Client of Sonic's socket, `GET /tts/websocket`, without I/O: text in, speech out, several contexts on one socket.

Follows reference cartesia-protocols §5.1 and §7 row 26: each request repeats its context's model, voice and format,
`max_buffer_delay_ms` is always told, and of a cancelled context nothing more is reported, whatever still comes. The
defaults are those that calls in the field ended with (reference voxengine §4.4): 200 ms of buffering, a fresh context
per turn, cancel only while the context is open, an error of one context that costs that context alone.

Requests may be made before the socket is open; they are held. Leaves out playing (audio comes faster than real time),
reconnecting, and what `service.ServiceConnection` names.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cordboard.agents import json_messages
from cordboard.agents import sonic_messages as messages
from cordboard.agents.events import Unknown
from cordboard.agents.service import ServiceConnection
from cordboard.agents.sonic_messages import (
    BYTES_PER_SAMPLE,
    AnySonicEvent,
    BadRequest,
    Encoding,
    SonicAudio,
    SonicDone,
    SonicError,
    SonicEvent,
    SonicFlushDone,
    SonicTimestamps,
    SpokenWord,
)
from cordboard.agents.state import State
from cordboard.agents.websocket import MAX_MESSAGE, BadAddress, Ended

__all__ = [
    "AnySonicEvent",
    "BadRequest",
    "SonicAudio",
    "SonicBusy",
    "SonicConnection",
    "SonicDone",
    "SonicError",
    "SonicEvent",
    "SonicFlushDone",
    "SonicTimestamps",
    "SpokenWord",
]

VERSION: Final = "2026-08-14"
"""Version that this wire was documented with last (§6)."""

DEFAULTS: Final[Mapping[str, Any]] = {"model_id": "sonic-3", "max_buffer_delay_ms": 200}
"""Fields of a request that neither it nor the connection's settings name. The service's own 3000 ms hold up every
piece of text that ends without a full stop (reference voxengine §4.4)."""

MAX_CONTEXTS: Final = 50
"""Contexts open at once: a call speaks in one or two."""

MAX_CANCELLED: Final = 1000
"""Cancelled contexts remembered, the oldest go first; the service forgets them within seconds."""

MAX_HELD: Final = 100
"""Requests held until the socket is open: a player says a sentence or two in that time."""

AUDIO_TIMEOUT: Final = 5.0
"""Seconds without audio, added to the buffering that was asked for, until a context has failed. Sonic needs well under
one; calls in the field took 3 s for a hang (reference voxengine §4.4)."""


class SonicBusy(RuntimeError):
    """More contexts are open, or more requests are held, than the connection allows; nothing was sent."""


@dataclass(slots=True, eq=False)
class _Context:
    settings: dict[str, Any]
    """What its later requests repeat."""
    finished: bool = False
    owed: bool = False
    """Whether the service has something to say: audio, or the end."""
    due: float | None = None
    carry: bytes = b""
    audio_bytes: int = 0


class SonicConnection(ServiceConnection[SonicEvent]):
    """One connection to Sonic. Contexts that are open when it ends get no event of their own: `Closed` is theirs."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        settings: Mapping[str, Any] | None = None,
        encoding: Encoding = "pcm_mulaw",
        sample_rate: int = 8000,
        version: str = VERSION,
        rng: random.Random,
        now: float,
        connect_timeout: float = 5.0,
        audio_timeout: float = AUDIO_TIMEOUT,
    ) -> None:
        """`settings` are fields that every request gets which does not name them, such as `voice` and `language`.

        As `ServiceConnection`; raises `BadRequest` too, for the settings and the output format.
        """
        if not api_key or not version:
            raise BadAddress("API key and version must not be empty")
        self._settings = {**DEFAULTS, **(settings or {})}
        messages.check_request(self._settings)
        for name in messages.PIECE_FIELDS:
            if name in self._settings:
                raise BadRequest(name, "belongs to a request, not to the settings of all")
        self._output_format = messages.output_format(encoding, sample_rate)
        super().__init__(
            base_url=base_url,
            path="/tts/websocket",
            headers={"X-API-Key": api_key, "Cartesia-Version": version},
            api_key=api_key,
            rng=rng,
            now=now,
            connect_timeout=connect_timeout,
        )
        self.version = version
        self.bytes_per_second = BYTES_PER_SAMPLE[encoding] * sample_rate
        self._sample_bytes = BYTES_PER_SAMPLE[encoding]
        self._rng = rng
        self._audio_timeout = audio_timeout
        self._contexts: dict[str, _Context] = {}
        self._cancelled: dict[str, None] = {}
        self._held: deque[tuple[str, bytes]] = deque()
        self._held_bytes = 0
        self._failed = True  # until the handshake

    # The engine's side

    @property
    def contexts(self) -> tuple[str, ...]:
        """Contexts whose `SonicDone` or `SonicError` is still to come, oldest first."""
        return tuple(self._contexts)

    def speak(self, text: str, *, context_id: str = "", continue_: bool = False, now: float) -> str:
        """Speak a piece of text, joined verbatim to the context's earlier ones; return the context's id.

        Without an id a fresh context is opened. `continue_` tells that more text follows; "" without it only ends the
        context. Errors as `generate`.
        """
        named = {"context_id": context_id} if context_id else {}
        return self.generate({**named, "transcript": text, "continue": continue_}, now)

    def flush(self, context_id: str, now: float) -> None:
        """Have all text so far spoken without waiting for more; `SonicFlushDone` tells that it has come.

        Raises `BadRequest` when the context is not open.
        """
        if context_id not in self._contexts:
            raise BadRequest("context_id", "is not open")
        self.generate({"context_id": context_id, "transcript": "", "continue": True, "flush": True}, now)

    def generate(self, request: Mapping[str, Any], now: float) -> str:
        """Send a generation request with the service's own fields (§5.1); return its context's id.

        Absent fields are taken from the context's earlier requests, then from the connection's settings;
        `output_format` is always the connection's. Raises `BadRequest`, `SonicBusy`, `NotJson`, and `WrongState` once
        the connection ends.
        """
        self._check("generate")
        messages.check_request(request)
        context_id: str = request.get("context_id") or f"ctx_{self._rng.getrandbits(64):016x}"
        context = self._contexts.get(context_id)
        self._check_context(context_id, context, request)
        settings = self._settings if context is None else context.settings
        if context is None and ("language" in request or "locale" in request):  # the two exclude each other
            settings = {key: value for key, value in settings.items() if key not in ("language", "locale")}
        message = {**settings, **request, "context_id": context_id, "output_format": self._output_format}
        message = {"transcript": "", "continue": False, **message}
        if "voice" not in message:
            raise BadRequest("voice", "is missing, here and in the settings")
        self._send_request(context_id, message)
        if context is None:
            context = self._contexts[context_id] = _Context({})
        context.settings = {key: value for key, value in message.items() if key not in messages.PIECE_FIELDS}
        context.finished = not message["continue"]
        context.owed |= context.finished or message.get("flush", False) or bool(message["transcript"].strip())
        self._await_audio(context, now)
        return context_id

    def cancel(self, context_id: str, now: float) -> bool:
        """Stop a context: nothing more is reported of it. False, and nothing is sent, when it is not open.

        The service may still finish what it is speaking (§7 row 26); that is dropped here.
        """
        if self._contexts.pop(context_id, None) is None:
            return False
        self._cancelled[context_id] = None
        if len(self._cancelled) > MAX_CANCELLED:
            del self._cancelled[next(iter(self._cancelled))]
        if self.state is State.LIVE:
            self._send_json({"context_id": context_id, "cancel": True})
        else:
            self._held = deque(item for item in self._held if item[0] != context_id)
            self._held_bytes = sum(len(data) for _, data in self._held)
        return True

    # Time

    def next_timer(self) -> float | None:
        """Return when `on_timer` wants to be called, or None."""
        dues = [context.due for context in self._contexts.values() if context.due is not None]
        general = super().next_timer()
        return min(dues if general is None else [*dues, general], default=None)

    def on_timer(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        super().on_timer(now)
        for context_id, context in list(self._contexts.items()):
            if context.due is not None and context.due <= now:
                self.cancel(context_id, now)
                text = f"no audio within {self._patience(context):g} s"
                self._events.append(SonicError(context_id, text, error_code="audio_timeout"))

    # Within

    def _check_context(self, context_id: str, context: _Context | None, request: Mapping[str, Any]) -> None:
        if context_id in self._cancelled:
            raise BadRequest("context_id", "was cancelled: take a fresh one")
        if context is None:
            if len(self._contexts) >= MAX_CONTEXTS:
                raise SonicBusy(f"{MAX_CONTEXTS} contexts are open")
            return
        if context.finished:
            raise BadRequest("context_id", "was finished: take a fresh one")
        for name in messages.CONTEXT_FIELDS:
            if name in request and request[name] != context.settings.get(name):
                raise BadRequest(name, "must stay the same within a context")

    def _send_request(self, context_id: str, message: Mapping[str, Any]) -> None:
        data = json_messages.encode(message, MAX_MESSAGE)
        if self.state is State.LIVE:
            self._socket.send_text(data)
            return
        if len(self._held) >= MAX_HELD or self._held_bytes + len(data) > MAX_MESSAGE:
            raise SonicBusy(f"{len(self._held)} requests of {self._held_bytes} bytes wait for the socket to open")
        self._held.append((context_id, data))
        self._held_bytes += len(data)

    def _patience(self, context: _Context) -> float:
        delay: int = context.settings["max_buffer_delay_ms"]
        return self._audio_timeout + delay / 1000

    def _await_audio(self, context: _Context, now: float) -> None:
        if context.owed and self.state is State.LIVE:
            context.due = now + self._patience(context)

    def _begin_close(self, code: int, reason: str, now: float) -> None:
        self._contexts.clear()
        self._held.clear()
        super()._begin_close(code, reason, now)

    def _is_open(self, now: float) -> None:
        self.state = State.LIVE
        self._failed = False
        for _, data in self._held:
            self._socket.send_text(data)
        self._held.clear()
        self._held_bytes = 0
        for context in self._contexts.values():
            self._await_audio(context, now)

    def _has_failed(self) -> bool:
        return self._failed

    def _receive_end(self, event: Ended) -> None:
        super()._receive_end(event)
        self._contexts.clear()
        self._held.clear()

    def _report_malformed(self, exc: json_messages.Malformed) -> None:
        text = str(exc)[: json_messages.MAX_ERROR_TEXT]
        self._events.append(SonicError("", text, error_code="malformed", data=exc.data))

    def _receive_text(self, data: bytes, now: float) -> None:
        message = json_messages.decode(data)
        context_id = messages.context_of(message)
        context = self._contexts.get(context_id)
        done = message.get("done") is True
        if context is None:
            self._receive_foreign(message, context_id)
            return
        self._failed = False
        if message.get("type") != "done":
            event = messages.parse(message, context_id)
            if isinstance(event, SonicError):
                self._events.append(event)
                del self._contexts[context_id]
                return
            self._report(event, context, now)
        if done or message.get("type") == "done":
            del self._contexts[context_id]
            self._events.append(SonicDone(context_id, context.audio_bytes / self.bytes_per_second))

    def _receive_foreign(self, message: dict[str, Any], context_id: str) -> None:
        """Take a message of no open context: of the connection, or of what is over."""
        if context_id in self._cancelled:
            return
        event = Unknown("done", message) if message.get("type") == "done" else messages.parse(message, context_id)
        if isinstance(event, SonicError):
            self._failed = not context_id
            self._events.append(event)
        elif not context_id:
            self._events.append(event if isinstance(event, Unknown) else Unknown(str(message["type"]), message))

    def _report(self, event: SonicEvent, context: _Context, now: float) -> None:
        if isinstance(event, SonicAudio):
            data = context.carry + event.payload
            whole = len(data) - len(data) % self._sample_bytes
            context.carry, payload = data[whole:], data[:whole]
            context.audio_bytes += len(payload)
            if not payload:
                return
            event = SonicAudio(event.context_id, payload, event.flush_id)
        if isinstance(event, SonicAudio | SonicFlushDone):
            context.owed = context.finished
            context.due = now + self._audio_timeout if context.owed else None
        self._events.append(event)
