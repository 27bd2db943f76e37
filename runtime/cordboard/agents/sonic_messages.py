"""Messages of Sonic's socket, `/tts/websocket`: JSON text both ways, audio as base64.

Follows reference cartesia-protocols §5.1: generation requests with continuations, flush and cancel; chunks, word
timings, errors in both shapes (2024-11-13, and later). Requests are passed on as they are, but for what the client
owns; what comes in is hostile. Leaves out the connection and its contexts, which are `sonic.SonicConnection`'s, and
phonemes, which come out as `Unknown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from cordboard.agents.events import Closed, HttpResponse, Json, Opened, Unknown
from cordboard.agents.json_messages import Malformed, error_text, object_of, payload_of

Encoding = Literal["pcm_mulaw", "pcm_alaw", "pcm_s16le", "pcm_f32le"]

BYTES_PER_SAMPLE: Final[Mapping[str, int]] = {"pcm_mulaw": 1, "pcm_alaw": 1, "pcm_s16le": 2, "pcm_f32le": 4}
"""Raw encodings of the output."""

SAMPLE_RATES: Final = (8000, 16000, 22050, 24000, 44100, 48000)
"""Hz."""

MAX_TRANSCRIPT: Final = 20_000
"""Characters of one request: twenty minutes of speech; more is surely a mistake."""

MAX_CONTEXT_ID: Final = 256
"""Characters. Ids seen are UUIDs."""

MAX_DELAY: Final = 5000
"""Milliseconds: the upper end of `max_buffer_delay_ms`."""

MAX_WORDS: Final = 10_000
"""Words in one message of timings; one message is a sentence or so."""

CONTEXT_FIELDS: Final = ("model_id", "voice", "language", "locale")
"""What every request of a context repeats unchanged."""

PIECE_FIELDS: Final = ("transcript", "continue", "flush", "context_id")
"""What belongs to one request; all else is repeated by the context's later ones."""


class BadRequest(ValueError):
    """A generation request that cannot be sent; the text begins with the field's name."""

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(f"{field}: {complaint}")
        self.field = field


class SpokenWord(NamedTuple):
    """When a word is spoken, in seconds from the begin of its context's audio."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SonicAudio:
    """Speech of a context; faster than real time."""

    context_id: str
    payload: bytes
    """Raw samples in the connection's output format, whole samples only, never empty."""
    flush_id: int = 0
    """The flush that it belongs to, from 1; 0 when not told."""


@dataclass(frozen=True, slots=True)
class SonicTimestamps:
    """When the words of a context are spoken; comes in pieces, if `add_timestamps` asked for it."""

    context_id: str
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class SonicFlushDone:
    """All speech up to a flush has come."""

    context_id: str
    flush_id: int
    """Counts a context's flushes from 1; 0 when not told."""


@dataclass(frozen=True, slots=True)
class SonicDone:
    """All speech of a context has come; nothing more is reported of it."""

    context_id: str
    seconds: float
    """Length of its audio; 0 for a text of which nothing was made."""


@dataclass(frozen=True, slots=True)
class SonicError:
    """Something failed. With a `context_id` that context is over; the connection goes on."""

    context_id: str
    """The context that failed; empty when it is not told, or none."""
    message: str
    """What is wrong, at most `json_messages.MAX_ERROR_TEXT` characters."""
    status_code: int = 0
    """As of HTTP; 0 when not told."""
    error_code: str = ""
    """The service's name of the error, or ours: `audio_timeout`, `malformed`."""
    data: Json | None = None
    """The message; None when the error is not the service's."""


SonicEvent = SonicAudio | SonicTimestamps | SonicFlushDone | SonicDone | SonicError | Unknown
"""What is said on the open socket."""

AnySonicEvent = SonicEvent | Opened | HttpResponse | Closed
"""All that a connection reports."""


def output_format(encoding: str, sample_rate: int) -> dict[str, Any]:
    """Return the `output_format` of requests; raise `BadRequest` for one that the service does not make."""
    if encoding not in BYTES_PER_SAMPLE:
        raise BadRequest("encoding", f"{encoding!r} is none of {', '.join(BYTES_PER_SAMPLE)}")
    if sample_rate not in SAMPLE_RATES:
        raise BadRequest("sample_rate", f"{sample_rate!r} is none of {', '.join(map(str, SAMPLE_RATES))}")
    return {"container": "raw", "encoding": encoding, "sample_rate": sample_rate}


def check_request(request: Mapping[str, Any]) -> None:
    """Raise `BadRequest` for a request that the documents rule out; unknown fields pass."""
    for field in ("output_format", "cancel"):
        if field in request:
            raise BadRequest(field, "is not for a generation request: the player has its own")
    for field in ("continue", "flush", "add_timestamps", "add_phoneme_timestamps", "use_normalized_timestamps"):
        if not isinstance(request.get(field, False), bool):
            raise BadRequest(field, "must be true or false")
    transcript = request.get("transcript", "")
    if not isinstance(transcript, str):
        raise BadRequest("transcript", "must be a text")
    if len(transcript) > MAX_TRANSCRIPT:
        raise BadRequest("transcript", f"has {len(transcript)} characters, more than {MAX_TRANSCRIPT}")
    if request.get("flush", False) and (transcript or not request.get("continue", False)):
        raise BadRequest("flush", "goes with an empty transcript and continue")
    check_context_id(request.get("context_id", "-"))
    delay = request.get("max_buffer_delay_ms", 0)
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY:
        raise BadRequest("max_buffer_delay_ms", f"must be 0 to {MAX_DELAY}")
    if request.get("language") is not None and request.get("locale") is not None:
        raise BadRequest("locale", "excludes language")
    model_id, voice = request.get("model_id", "-"), request.get("voice", "-")
    if not isinstance(model_id, str) or not model_id:
        raise BadRequest("model_id", "must be a model's name")
    if not isinstance(voice, str | Mapping) or not voice:
        raise BadRequest("voice", 'must be a voice\'s id, or an object such as {"mode": "id", "id": …}')


def check_context_id(value: object) -> str:
    """Return a context's id; raise `BadRequest`."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CONTEXT_ID:
        raise BadRequest("context_id", f"must be a text of 1 to {MAX_CONTEXT_ID} characters")
    return value


def context_of(message: Json) -> str:
    """Return the id of the message's context; empty when it names none."""
    value = message.get("context_id")
    return value if isinstance(value, str) and len(value) <= MAX_CONTEXT_ID else ""


def parse(message: dict[str, Any], context_id: str) -> SonicEvent:
    """Return the event of a decoded message that is not `done`; audio as it came. Raises `Malformed`."""
    name = message.get("type")
    match name:
        case "chunk":
            return SonicAudio(context_id, payload_of(message, message, "data", "data"), _count(message, "flush_id"))
        case "timestamps":
            return SonicTimestamps(context_id, _words(message))
        case "flush_done":
            return SonicFlushDone(context_id, _count(message, "flush_id"))
        case "error":
            code = message.get("error_code")
            return SonicError(
                context_id,
                error_text(message),
                _count(message, "status_code"),
                code[:MAX_CONTEXT_ID] if isinstance(code, str) else "",
                message,
            )
        case _:
            return Unknown(name if isinstance(name, str) else "", message)


def _words(message: Json) -> tuple[SpokenWord, ...]:
    timestamps = object_of(message, "word_timestamps")
    columns = [timestamps.get(key) for key in ("words", "start", "end")]
    words, starts, ends = (column if isinstance(column, list) else [] for column in columns)
    if not all(isinstance(column, list) for column in columns) or not len(words) == len(starts) == len(ends):
        raise Malformed("timestamps: words, start and end are not lists of one length", message)
    if len(words) > MAX_WORDS:
        raise Malformed(f"timestamps: more than {MAX_WORDS} words")
    if not all(isinstance(word, str) for word in words) or not all(map(_is_time, [*starts, *ends])):
        raise Malformed("timestamps: a word is not a text, or a time not a number of seconds", message)
    return tuple(
        SpokenWord(word, float(start), float(end)) for word, start, end in zip(words, starts, ends, strict=True)
    )


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < 1e6 and math.isfinite(value)


def _count(message: Json, key: str) -> int:
    value = message.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0
