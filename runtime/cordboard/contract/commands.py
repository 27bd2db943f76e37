"""Command arguments by wire type (DESIGN §4). A handler emits them; the edge executes each id once, for ever."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .codec import DecodeError
from .registry import Kind, entry_in

COMMANDS: dict[str, type] = {}
"""Wire type → argument class."""

MAX_TOOL_RESULT = 4_096
"""Bytes of a tool's result as text (Cartesia's Managed wire; more becomes the error result_too_large there, too)."""
MAX_TOOL_CALL_ID = 256
"""Characters of the id of a tool's call (Cartesia's Managed wire)."""
MAX_SPOKEN = 1_500
"""Characters of one text to speak (VoxEngine's limit of `say` and `createTTSPlayer`, reference voxengine §3.1)."""
MAX_URL = 2_048
"""Characters of a sound's URL or path: what browsers and proxies take, too."""
MAX_TONE_SCRIPT = 512
"""Characters of a ToneScript: the longest national tone has a tenth."""
PROGRESS_TONES: Mapping[str, str] = {"US": "440@-19,480@-19;*(2/4/1+2)", "RU": "425@-19;*(1/4/1)"}
"""Country → its ringback as a ToneScript (ITU-T E.180)."""
MAX_OFFSET = 3_600.0
"""Seconds from a sound's start or end to a marker; sounds are shorter (`media.prompt`)."""
KEYS = "0123456789*#ABCD"
"""Keys of a telephone (RFC 4733 section 3.2)."""
MAX_GATHERED = 64
"""Digits of one gather: a card number, its expiry and its code together are below 30."""
MAX_PROMPTS = 10
"""Parts of a gather's prompt."""

_VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
"""Voices: espeak-ng's (`en-gb+f2`) and Sonic's ids; never an option of a program."""


def _command(*types: str) -> Callable[[Kind], Kind]:
    return entry_in(COMMANDS, types)


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it stands in an answer."""

    id: str
    """`{seq}.{n}`, n counting every journalled step of the event from 0."""
    type: str
    """A key of `COMMANDS`."""
    hash: str
    """`fingerprint(type, target, args)`; a replay that differs fails the event."""
    target: str | None = None
    """Name of the object; `a+b` for a pair."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the type's argument class."""
    line: str = ""
    """`file.py:12`, where the handler emitted it; for messages only."""


def fingerprint(type_: str, target: str | None, args: Mapping[str, Any]) -> str:
    """16 hex digits over canonical JSON; the same on every machine and Python."""
    text = json.dumps([type_, target, args], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Stands wherever a secret's value will be needed; the edge resolves it, the value never travels."""

    secret: str
    """Name in the secret store."""


@_command("call.ring", "call.early_media")
@dataclass(frozen=True, slots=True)
class CallRespond:
    """180 or 183 to an inbound call; done when sent."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add."""


@_command("call.answer")
@dataclass(frozen=True, slots=True)
class CallAnswer:
    """200 to an inbound call; done when sent."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add."""
    when: Literal["agent_ready"] | None = None
    """agent_ready: once an agent of the session has acknowledged its start; without one within 10 s, or when it fails,
    the call is refused with 480. None: now."""


@_command("call.reject")
@dataclass(frozen=True, slots=True)
class CallReject:
    """A final refusal of an inbound call."""

    code: int = 603
    """300 to 699."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add."""

    def __post_init__(self) -> None:
        if not 300 <= self.code <= 699:
            raise DecodeError("code", f"{self.code} is not between 300 and 699")


@_command("call.hangup")
@dataclass(frozen=True, slots=True)
class CallHangup:
    """End a leg, whatever its state. Idempotent."""

    after: Literal["now", "playout"] = "now"
    """playout: when the agent's turn is over and heard, at most 15 s later."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add to the BYE."""


@_command("call.dial")
@dataclass(frozen=True, slots=True)
class CallDial:
    """Dial a new leg; never awaited, its outcome is call.connected or call.failed of its name."""

    to: str
    """Number (E.164) or sip: URI."""
    callerid: str = ""
    """Number or user to show."""
    display_name: str = ""
    """Display name to show."""
    timeout: float = 60.0
    """Seconds to ring before 408."""
    trunk: str | None = None
    """Name of a trunk; else the first [[outbound]] match."""
    follow_diversion: bool = False
    """Add Diversion (RFC 5806) with the number called."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add to the INVITE."""

    def __post_init__(self) -> None:
        if not self.to:
            raise DecodeError("to", "is empty")
        if not 1 <= self.timeout <= 600:
            raise DecodeError("timeout", f"{self.timeout:g} s is not between 1 and 600")


@_command("call.send_digits", "agent.dtmf")
@dataclass(frozen=True, slots=True)
class Digits:
    """Send DTMF: RFC 4733 on a leg, dtmf messages to an agent."""

    digits: str
    """0-9 * # A-D, at most 64."""

    def __post_init__(self) -> None:
        if not self.digits or len(self.digits) > 64 or set(self.digits.upper()) - set("0123456789*#ABCD"):
            raise DecodeError("digits", f"{self.digits!r} is not 1 to 64 of 0-9 * # A-D")


@_command("call.handle_tones")
@dataclass(frozen=True, slots=True)
class CallHandleTones:
    """Deliver each digit as call.tone."""

    on: bool = True
    """Off: none are delivered."""


@_command("call.record")
@dataclass(frozen=True, slots=True)
class CallRecord:
    """Record a leg: left what it says, right what it was sent."""

    name: str = "recording"
    """Name of the recording and of its file."""
    hd_audio: bool = False
    """16 kHz instead of 8 kHz."""
    stereo: bool = False
    """Two channels instead of their mix."""

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64 or not all(c.isalnum() or c in "-_" for c in self.name):
            raise DecodeError("name", f"{self.name!r} is not 1 to 64 letters, digits, - or _")


@_command("call.gather")
@dataclass(frozen=True, slots=True)
class CallGather:
    """Collect key presses of a leg at the edge; done when collecting began, its outcome is call.gathered of its name.
    A second one on the same leg takes the place of the first, which ends as interrupted."""

    name: str
    """Target of its call.gathered."""
    max_digits: int = 1
    """1 to 64 digits complete it."""
    finish_on: str = "#"
    """Keys that complete it and are no part of the digits; empty: none does."""
    timeout: float = 5.0
    """Seconds from the prompt's end, and from each digit, until the next one; 0.1 to 120."""
    prompt: tuple[str, ...] = ()
    """Texts, files and URLs (`Sound.of`), at most 10, played one after the other until the first key; empty: none."""
    repeat: int = 0
    """How often the prompt is played again where nothing was pressed, 0 to 10."""
    secret: bool = False
    """The digits are written nowhere, what the leg's peer sends is heard and recorded by nobody meanwhile."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64:
            raise DecodeError("name", f"has {len(self.name)} characters, not 1 to 64")
        if not 1 <= self.max_digits <= MAX_GATHERED:
            raise DecodeError("max_digits", f"{self.max_digits} is not between 1 and {MAX_GATHERED}")
        if set(self.finish_on) - set(KEYS) or len(set(self.finish_on)) < len(self.finish_on):
            raise DecodeError("finish_on", f"{self.finish_on!r} is not some of {KEYS}, each once")
        if not 0.1 <= self.timeout <= 120:
            raise DecodeError("timeout", f"{self.timeout:g} s is not between 0.1 and 120")
        if len(self.prompt) > MAX_PROMPTS:
            raise DecodeError("prompt", f"has {len(self.prompt)} parts, more than {MAX_PROMPTS}")
        for index, part in enumerate(self.prompt):
            try:
                Sound.of(part)
            except DecodeError as error:
                raise DecodeError(f"prompt[{index}]", error.problem) from None
        if not 0 <= self.repeat <= 10:
            raise DecodeError("repeat", f"{self.repeat} is not between 0 and 10")


@_command("record.pause")
@dataclass(frozen=True, slots=True)
class RecordPause:
    """Record silence in both channels until record.resume. Idempotent."""

    reason: str = ""
    """Why, for the timeline; at most 200 characters."""

    def __post_init__(self) -> None:
        if len(self.reason) > 200:
            raise DecodeError("reason", f"has {len(self.reason)} characters, more than 200")


@_command("record.resume")
@dataclass(frozen=True, slots=True)
class RecordResume:
    """Record sound again, unless a secret gather keeps the recording silent. Idempotent."""


@_command("record.stop")
@dataclass(frozen=True, slots=True)
class RecordStop:
    """Stop a recording."""


@_command("media.send", "media.stop")
@dataclass(frozen=True, slots=True)
class MediaRoute:
    """One direction: `source` is heard by `sink`."""

    source: str
    """Name of the unit that speaks."""
    sink: str
    """Name of the unit that hears."""
    tag: str | None = None
    """Free mark, shown in the timeline."""


@_command("media.bridge", "media.unbridge")
@dataclass(frozen=True, slots=True)
class MediaPair:
    """Both directions between two units."""

    a: str
    """Name of one unit."""
    b: str
    """Name of the other."""


@_command("agent.create")
@dataclass(frozen=True, slots=True)
class AgentCreate:
    """Open the agent's socket; done when it is open (at most 5 s)."""

    api_key: SecretReference | str
    """Reference to the key, or the key."""
    agent_id: str
    """Agent's id at the provider."""
    version: str
    """cartesia_version: 2025-04-16 is Line."""
    base_url: str | None = None
    """Overrides [agents.cartesia].base_url."""
    privacy: bool = False
    """Texts and metadata are left out of the timeline."""


@_command("agent.start")
@dataclass(frozen=True, slots=True)
class AgentStart:
    """Send start; done when acked (at most 10 s)."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Handed to the agent's code."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """input_format, voice_id and the like."""
    agent: Mapping[str, Any] = field(default_factory=dict)
    """system_prompt, introduction for this call."""


@_command("agent.custom")
@dataclass(frozen=True, slots=True)
class AgentCustom:
    """A custom event to the agent."""

    metadata: Mapping[str, Any]
    """Any JSON object."""


@_command("agent.tool_result")
@dataclass(frozen=True, slots=True)
class AgentToolResult:
    """The answer to an agent.tool_call; the target is the agent that called."""

    id: str
    """The service's id of the call, 1 to 256 characters."""
    result: str
    """JSON text of what the tool gave, at most 4,096 bytes; with is_error a plain text of what is wrong."""
    is_error: bool = False
    """The result says what is wrong."""
    error_type: str | None = None
    """A word for it: unknown_tool, invalid_arguments, tool_error, result_too_large."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.id) <= MAX_TOOL_CALL_ID:
            raise DecodeError("id", f"has {len(self.id)} characters, not 1 to {MAX_TOOL_CALL_ID}")
        try:
            size = len(self.result.encode())
        except UnicodeEncodeError:
            raise DecodeError("result", "holds half a surrogate pair") from None
        if size > MAX_TOOL_RESULT:
            raise DecodeError("result", f"has {size} bytes, more than {MAX_TOOL_RESULT}")
        if self.error_type is not None and not 1 <= len(self.error_type) <= 64:
            raise DecodeError("error_type", "has not 1 to 64 characters")


@_command("agent.clear", "agent.close")
@dataclass(frozen=True, slots=True)
class AgentSimple:
    """Drop what is queued up to now, or close the socket and keep what was delivered."""


@_command("timer.set")
@dataclass(frozen=True, slots=True)
class TimerSet:
    """Start or restart a named timer."""

    seconds: float
    """0.02 s to 4 h."""

    def __post_init__(self) -> None:
        if not 0.02 <= self.seconds <= 14_400:
            raise DecodeError("seconds", f"{self.seconds:g} is not between 0.02 and 14400")


@_command("timer.clear")
@dataclass(frozen=True, slots=True)
class TimerClear:
    """Forget a named timer. Idempotent."""


@_command("session.terminate")
@dataclass(frozen=True, slots=True)
class SessionTerminate:
    """End the session; waits for hang-ups after playout."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to be heard; the edge makes it ready before anybody hears it."""

    kind: Literal["text", "url", "tones"]
    """text: spoken by [speech]; url: http(s) URL, or path below [media] prompts; tones: a ToneScript."""
    content: str
    """The text, the URL or path, or the script."""
    voice: str | None = None
    """text: a voice of the engine of [speech]; None: its own."""

    def __post_init__(self) -> None:
        limit = {"text": MAX_SPOKEN, "url": MAX_URL, "tones": MAX_TONE_SCRIPT}[self.kind]
        if not self.content.strip():
            raise DecodeError(self.kind, "is empty")
        if len(self.content) > limit:
            raise DecodeError(self.kind, f"has {len(self.content)} characters, more than {limit}")
        if self.kind == "url" and not self.content.isprintable():
            raise DecodeError("url", "holds control characters")
        if self.voice is not None and not _VOICE.fullmatch(self.voice):
            raise DecodeError("voice", f"{self.voice!r} is not 1 to 64 letters, digits and _ . + -")

    @property
    def endless(self) -> bool:
        """A ToneScript whose one section lasts for ever."""
        return self.kind == "tones" and self.content.partition(";")[2].lstrip().startswith("*")

    @classmethod
    def of(cls, prompt: str) -> "Sound":
        """What a prompt of one word means: a URL or a path that ends in .wav, else a text."""
        is_url = prompt.startswith(("http://", "https://")) or (prompt.endswith(".wav") and " " not in prompt)
        return cls("url" if is_url else "text", prompt)


@_command("call.say", "call.play")
@dataclass(frozen=True, slots=True)
class CallPlay:
    """Let a leg hear a sound in place of its source, which comes back when the sound ends."""

    sound: Sound
    """What."""
    name: str
    """Name of the player; a live one of that name on this leg is replaced."""
    loop: bool = False
    """Over and over, until it is stopped or replaced."""


@_command("player.create")
@dataclass(frozen=True, slots=True)
class PlayerCreate:
    """Make a sound ready; it plays from its first listener on."""

    sound: Sound
    """What."""
    loop: bool = False
    """Over and over, until it is stopped."""
    on_pause: bool = False
    """It waits for player.resume."""


@_command("player.create_realtime")
@dataclass(frozen=True, slots=True)
class RealtimePlayerCreate:
    """Open a socket to Sonic and speak; it is heard by its listener as it comes (reference cartesia-protocols §5.1)."""

    text: str
    """The first text; empty: only `player.generate` speaks."""
    api_key: SecretReference | str | None = None
    """Reference to the key, or the key; None: that of [speech], else the secret CARTESIA_API_KEY."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every generation request: model_id, voice, language, …"""
    version: str | None = None
    """cartesia_version; None: the one that the edge was built for."""
    base_url: str | None = None
    """Overrides [agents.cartesia].base_url."""
    privacy: bool = False
    """Texts are left out of the timeline."""

    def __post_init__(self) -> None:
        if len(self.text) > MAX_SPOKEN:
            raise DecodeError("text", f"has {len(self.text)} characters, more than {MAX_SPOKEN}")


@_command("player.generate")
@dataclass(frozen=True, slots=True)
class PlayerGenerate:
    """One more generation request of a realtime player."""

    request: Mapping[str, Any]
    """transcript, context_id, continue, flush, max_buffer_delay_ms, …; the output format is the edge's."""


@_command("player.cancel_context")
@dataclass(frozen=True, slots=True)
class PlayerCancel:
    """Stop a context of a realtime player; what it still sends is dropped. Idempotent."""

    context_id: str
    """As it was in the request."""


@_command("player.add_marker")
@dataclass(frozen=True, slots=True)
class PlayerAddMarker:
    """Raise player.marker when a position is heard."""

    offset: float
    """Seconds from the start; below zero: from the end."""

    def __post_init__(self) -> None:
        if not -MAX_OFFSET <= self.offset <= MAX_OFFSET:
            raise DecodeError("offset", f"{self.offset:g} s is not within {MAX_OFFSET:g} s")


@_command("player.stop", "player.pause", "player.resume", "player.clear")
@dataclass(frozen=True, slots=True)
class PlayerSimple:
    """End a player, hold it, let it go on, or drop what a realtime one has queued."""


@_command("control_url.mint")
@dataclass(frozen=True, slots=True)
class ControlUrlMint:
    """Mint a narrower control URL; its result is `{"url": …}`, a secret."""

    verbs: tuple[str, ...] | None = None
    """What may be asked for: the path's first segment, else `action` or `tool` of the body; None: everything."""
    to: tuple[str, ...] | None = None
    """Patterns of the destinations that `to` or `number` of a body may name; None: any."""
    uses: int | None = None
    """Requests it is good for, 1 to 1,000; None: no limit but the rate."""
    expires_in: float | None = None
    """Seconds it lives, 1 to 14,400; None: as long as the session."""

    def __post_init__(self) -> None:
        for name, found in (("verbs", self.verbs), ("to", self.to)):
            if found is not None and (not 1 <= len(found) <= 32 or not all(1 <= len(each) <= 128 for each in found)):
                raise DecodeError(name, "is not 1 to 32 texts of 1 to 128 characters")
        if self.uses is not None and not 1 <= self.uses <= 1_000:
            raise DecodeError("uses", f"{self.uses} is not between 1 and 1000")
        if self.expires_in is not None and not 1 <= self.expires_in <= 14_400:
            raise DecodeError("expires_in", f"{self.expires_in:g} s is not between 1 and 14400")


@_command(
    "call.transfer", "call.hold", "call.unhold", "call.send_message", "call.send_info", "conference.create"
)  # fmt: skip
@dataclass(frozen=True, slots=True)
class NotYet:
    """A word that is reserved and not built: the edge answers `not_supported`."""


def is_tool_call_id(value: object) -> bool:
    """Whether a `custom` message's `id` may be returned with its result: a text like a client tool's, or a number."""
    if isinstance(value, str):
        return len(value) <= MAX_TOOL_CALL_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
