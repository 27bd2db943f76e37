"""Calls: answered, dialled, ended, their keys and their recordings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..codec import DecodeError
from .players import Sound
from .wire import command

KEYS = "0123456789*#ABCD"
"""Keys of a telephone (RFC 4733 section 3.2)."""

MAX_GATHERED = 64
"""Digits of one gather: a card number, its expiry and its code together are below 30."""

MAX_PROMPTS = 10
"""Parts of a gather's prompt."""


@command("call.ring", "call.early_media")
@dataclass(frozen=True, slots=True)
class CallRespond:
    """180 or 183 to an inbound call; done when sent."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add."""


@command("call.answer")
@dataclass(frozen=True, slots=True)
class CallAnswer:
    """200 to an inbound call; done when sent."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add."""
    when: Literal["agent_ready"] | None = None
    """agent_ready: once an agent of the session has acknowledged its start; without one within 10 s, or when it fails,
    the call is refused with 480. None: now."""


@command("call.reject")
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


@command("call.hangup")
@dataclass(frozen=True, slots=True)
class CallHangup:
    """End a leg, whatever its state. Idempotent."""

    after: Literal["now", "playout"] = "now"
    """playout: when the agent's turn is over and heard, at most 15 s later."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add to the BYE."""


@command("call.dial")
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


@command("call.send_digits", "agent.dtmf")
@dataclass(frozen=True, slots=True)
class Digits:
    """Send DTMF: RFC 4733 on a leg, dtmf messages to an agent."""

    digits: str
    """0-9 * # A-D, at most 64."""

    def __post_init__(self) -> None:
        if not self.digits or len(self.digits) > 64 or set(self.digits.upper()) - set("0123456789*#ABCD"):
            raise DecodeError("digits", f"{self.digits!r} is not 1 to 64 of 0-9 * # A-D")


@command("call.handle_tones")
@dataclass(frozen=True, slots=True)
class CallHandleTones:
    """Deliver each digit as call.tone."""

    on: bool = True
    """Off: none are delivered."""


@command("call.record")
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


@command("call.gather")
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


@command("record.pause")
@dataclass(frozen=True, slots=True)
class RecordPause:
    """Record silence in both channels until record.resume. Idempotent."""

    reason: str = ""
    """Why, for the timeline; at most 200 characters."""

    def __post_init__(self) -> None:
        if len(self.reason) > 200:
            raise DecodeError("reason", f"has {len(self.reason)} characters, more than 200")


@command("record.resume")
@dataclass(frozen=True, slots=True)
class RecordResume:
    """Record sound again, unless a secret gather keeps the recording silent. Idempotent."""


@command("record.stop")
@dataclass(frozen=True, slots=True)
class RecordStop:
    """Stop a recording."""
