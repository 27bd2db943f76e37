"""Messages of `/tts/websocket` as the service sees them: requests strictly read, answers in the client's version.

Follows reference cartesia-protocols §5.1. Fields that are not known are ignored, as the service does. Leaves out
containers other than raw, phonemes and pronunciation dictionaries.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import numpy as np

from cordboard.line.voices.voice import SpokenWord
from cordboard.media.chain import Format, encode
from cordboard.media.samples import Samples

ENCODINGS: Final = ("pcm_f32le", "pcm_s16le", "pcm_mulaw", "pcm_alaw")
RATES: Final = (8000, 16000, 22050, 24000, 44100, 48000)

MAX_TRANSCRIPT: Final = 20_000
"""Characters of a context that wait to be spoken: twenty minutes of speech."""

MAX_CONTEXT_ID: Final = 256
"""Characters; ids seen are UUIDs."""

DEFAULT_DELAY: Final = 3000
"""Milliseconds of `max_buffer_delay_ms` when it is absent."""

MAX_DELAY: Final = 5000
"""Its largest value."""

FLAT_ERRORS: Final = ("2024-06-10", "2024-11-13")
"""Versions whose errors are one text."""

SHORT_VOICES: Final = "2026-08-14"
"""First version whose `voice` may be a plain id, or an object without `mode`."""

Message = dict[str, Any]


class RequestFault(Exception):
    """A request that cannot be served; the text names the field."""

    def __init__(self, text: str, *, context_id: str = "", status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(text)
        self.context_id = context_id
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Manner:
    """How a context speaks: the same in all of its requests."""

    model_id: str
    voice_id: str
    encoding: str
    sample_rate: int
    language: str


@dataclass(frozen=True, slots=True)
class Generation:
    """A piece of text of a context."""

    context_id: str
    manner: Manner
    transcript: str
    continues: bool
    flush: bool
    delay: float
    """Seconds that text may wait for more."""
    timestamps: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    """No more of a context."""

    context_id: str


def parse(data: str | bytes, version: str) -> Generation | Cancel:
    """Read a request; raises `RequestFault`."""
    if isinstance(data, bytes):
        raise RequestFault("a request is a text message")
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        raise RequestFault("a request is a JSON object") from None
    if not isinstance(request, dict):
        raise RequestFault("a request is a JSON object")
    context_id = request.get("context_id", "")
    if (
        not isinstance(context_id, str)
        or len(context_id) > MAX_CONTEXT_ID
        or ("context_id" in request and not context_id)
    ):
        raise RequestFault(f"context_id: must be a text of 1 to {MAX_CONTEXT_ID} characters")
    try:
        return _parse(request, context_id, version)
    except RequestFault as fault:
        fault.context_id = context_id
        raise


def _parse(request: Message, context_id: str, version: str) -> Generation | Cancel:
    if _flag(request, "cancel"):
        if not context_id:
            raise RequestFault("context_id: is needed to cancel")
        return Cancel(context_id)
    continues, flush = _flag(request, "continue"), _flag(request, "flush")
    transcript = request.get("transcript")
    if not isinstance(transcript, str):
        raise RequestFault("transcript: must be a text")
    if len(transcript) > MAX_TRANSCRIPT:
        raise RequestFault(f"transcript: more than {MAX_TRANSCRIPT} characters", status=413)
    if continues and not context_id:
        raise RequestFault("context_id: is needed to continue")
    if flush and (transcript or not continues):
        raise RequestFault("flush: goes with an empty transcript and continue")
    delay = request.get("max_buffer_delay_ms", DEFAULT_DELAY)
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY:
        raise RequestFault(f"max_buffer_delay_ms: must be 0 to {MAX_DELAY}")
    _check_generation(request.get("generation_config"))
    return Generation(
        context_id or uuid4().hex,
        _manner(request, version),
        transcript,
        continues,
        flush,
        delay / 1000,
        _flag(request, "add_timestamps"),
    )


def _manner(request: Message, version: str) -> Manner:
    model_id = request.get("model_id")
    if not isinstance(model_id, str) or not model_id:
        raise RequestFault("model_id: is missing")
    form = request.get("output_format")
    if not isinstance(form, dict) or form.get("container") != "raw":
        raise RequestFault("output_format.container: must be raw")
    if form.get("encoding") not in ENCODINGS:
        raise RequestFault(f"output_format.encoding: must be one of {', '.join(ENCODINGS)}")
    if isinstance(form.get("sample_rate"), bool) or form.get("sample_rate") not in RATES:
        raise RequestFault(f"output_format.sample_rate: must be one of {', '.join(map(str, RATES))}")
    languages = [request[key] for key in ("language", "locale") if request.get(key) is not None]
    if len(languages) > 1:
        raise RequestFault("locale: excludes language")
    if languages and not isinstance(languages[0], str):
        raise RequestFault("language: must be a text")
    language = languages[0] if languages else ""
    return Manner(model_id, _voice_id(request.get("voice"), version), form["encoding"], form["sample_rate"], language)


def _voice_id(voice: object, version: str) -> str:
    short = version >= SHORT_VOICES
    if isinstance(voice, str) and short:
        voice = {"mode": "id", "id": voice}
    if isinstance(voice, dict) and (voice.get("mode") == "id" or (short and "mode" not in voice)):
        voice_id = voice.get("id")
        if isinstance(voice_id, str) and voice_id:
            return voice_id
    raise RequestFault('voice: must be {"mode": "id", "id": …}' + (", or an id" if short else ""))


def _check_generation(config: object) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        raise RequestFault("generation_config: must be an object")
    for key, low, high in (("volume", 0.5, 2.0), ("speed", 0.6, 1.5)):
        value = config.get(key, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise RequestFault(f"generation_config.{key}: must be {low} to {high}")


def _flag(request: Message, key: str) -> bool:
    value = request.get(key, False)
    if not isinstance(value, bool):
        raise RequestFault(f"{key}: must be true or false")
    return value


def encoded(samples: Samples, manner: Manner) -> bytes:
    """Return samples of the manner's rate in its encoding."""
    match manner.encoding:
        case "pcm_f32le":
            return (samples.astype(np.float32) / 32768).astype("<f4").tobytes()
        case "pcm_mulaw":
            return encode(samples, Format("PCMU", manner.sample_rate))
        case "pcm_alaw":
            return encode(samples, Format("PCMA", manner.sample_rate))
        case _:
            return encode(samples, Format("L16", manner.sample_rate))


def chunk(context_id: str, audio: bytes, step_ms: float, flush_id: int) -> Message:
    """Audio; `flush_id` 0 for none."""
    data = base64.b64encode(audio).decode()
    told = {"flush_id": flush_id} if flush_id else {}
    head = {"type": "chunk", "context_id": context_id, "status_code": 206, "done": False}
    return {**head, "data": data, "step_time": round(step_ms, 3), **told}


def timestamps(context_id: str, words: Sequence[SpokenWord], offset: float) -> Message:
    """When words are spoken, `offset` seconds later in the context than the words say."""
    columns: Mapping[str, list[Any]] = {
        "words": [word.word for word in words],
        "start": [round(offset + word.start, 4) for word in words],
        "end": [round(offset + word.end, 4) for word in words],
    }
    head = {"type": "timestamps", "context_id": context_id, "status_code": 206, "done": False}
    return {**head, "word_timestamps": columns}


def flush_done(context_id: str, flush_id: int) -> Message:
    """All speech up to a flush was sent."""
    head = {"type": "flush_done", "context_id": context_id, "status_code": 206, "done": False}
    return {**head, "flush_id": flush_id, "flush_done": True}


def done(context_id: str) -> Message:
    """All speech of a context was sent."""
    return {"type": "done", "context_id": context_id, "status_code": 200, "done": True}


def error(fault: RequestFault, version: str) -> Message:
    """An error in the shape of the client's version."""
    told = {"context_id": fault.context_id} if fault.context_id else {}
    head = {"type": "error", **told, "status_code": fault.status, "done": True}
    if version in FLAT_ERRORS:
        return {**head, "error": str(fault)}
    title = "Generation failed" if fault.status >= 500 else "Bad request"
    named = {"title": title, "message": str(fault), "error_code": fault.code}
    return {**head, **named, "doc_url": "", "request_id": uuid4().hex}
