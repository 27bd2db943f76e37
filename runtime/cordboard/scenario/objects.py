"""What a handler acts on: Call, AgentsClient, Player, Recording. Getters are a snapshot of the event's start.

Names and meaning follow VoxEngine in snake_case (HANDLERS §1.1). Members that the edge cannot do yet raise
NotSupported when called.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeAlias, TypeVar

from cordboard.contract import commands
from cordboard.contract.codec import JSON
from cordboard.contract.records import ObjectRecord

from .errors import not_supported
from .later import missing_member
from .turn import Turn

T_co = TypeVar("T_co", covariant=True)
Headers: TypeAlias = Mapping[str, str]
CallState: TypeAlias = Literal["ALERTING", "PROGRESSING", "CONNECTED", "TERMINATED"]
ClientType: TypeAlias = Literal["pstn", "sip", "user", "wab", "carrier", "web"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def check_name(what: str, name: str) -> str:
    """A name that the handler chose for an object. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what}: name {name!r} is not 1 to 64 of letters, digits and _ . : -")
    return name


class Command(Generic[T_co]):
    """A command that was emitted. Awaiting it gives its result, or raises CommandFailed and its kinds."""

    def __init__(self, turn: Turn, id_: str, what: str, type_: str, build: Callable[[Any], T_co]) -> None:
        self.id = id_
        """`{seq}.{n}`; empty where the answer was fixed already."""
        self._turn = turn
        self._what = what
        self._type = type_
        self._build = build

    def __await__(self) -> Generator[Any, None, T_co]:
        result = yield from self._turn.wait(self._what, self.id, self._type).__await__()
        return self._build(result)

    def __repr__(self) -> str:
        return f"<Command {self.id} {self._type}>"


def emit(turn: Turn, what: str, type_: str, target: str | None, args: object) -> Command[None]:
    """Emit a command without a result."""
    return Command(turn, turn.emit(what, type_, target, args), what, type_, lambda result: None)


class MediaUnit:
    """Something that speaks or hears."""

    def __init__(self, turn: Turn, record: ObjectRecord) -> None:
        self._turn = turn
        self._record = record
        self.name = record.name

    def id(self) -> str:
        """The edge's own id; the name of a call that was dialled in this event."""
        return self._record.id

    def send_media_to(self, unit: "MediaUnit", *, tag: str | None = None) -> Command[None]:
        """Let `unit` hear this one; the newest source wins."""
        unit.check("send_media_to()")
        args = commands.MediaRoute(self.name, unit.name, tag)
        return self._emit("send_media_to()", "media.send", args, f"{self.name}+{unit.name}")

    def stop_media_to(self, unit: "MediaUnit") -> Command[None]:
        """Stop what `send_media_to` began. Idempotent."""
        unit.check("stop_media_to()")
        args = commands.MediaRoute(self.name, unit.name)
        return self._emit("stop_media_to()", "media.stop", args, f"{self.name}+{unit.name}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self._record.state}>"

    def check(self, what: str) -> None:
        """Raises OutsideTurn for a unit kept from another event."""
        self._turn.check(f"{type(self).__name__} {self.name!r} in {what}")

    def _emit(self, member: str, type_: str, args: object, target: str | None = None) -> Command[None]:
        what = f"{type(self).__name__} {self.name!r} {member}"
        return emit(self._turn, what, type_, self.name if target is None else target, args)

    def _missing(self, member: str, type_: str) -> NoReturn:
        self._turn.check(f"{type(self).__name__} {self.name!r} {member}")
        raise not_supported(f"{type(self).__name__}.{member}", type_)


class Player(MediaUnit):
    """A source of sound: a file, a URL, a text or tones. It is heard by one call, the newest that it was sent to, and
    plays from its first listener on; without one it waits at its place. When it ends, fails or goes elsewhere, the call
    hears again what it heard before, unless another source was given to it meanwhile."""

    def stop(self) -> Command[None]:
        """End it for good. Idempotent."""
        return self._emit("stop()", "player.stop", commands.PlayerSimple())

    def pause(self) -> Command[None]:
        """Hold it at its place."""
        return self._emit("pause()", "player.pause", commands.PlayerSimple())

    def resume(self) -> Command[None]:
        """Go on at its place."""
        return self._emit("resume()", "player.resume", commands.PlayerSimple())

    def add_marker(self, seconds: float) -> Command[None]:
        """Raise PlaybackMarkerReached when a position is heard: from the start, or below zero from the end."""
        return self._emit("add_marker()", "player.add_marker", commands.PlayerAddMarker(seconds))


class RealtimeTTSPlayer(Player):
    """A player that speaks what it is given, by Sonic, as it comes (Cartesia's `/tts/websocket`)."""

    def generation_request(self, request: Mapping[str, JSON]) -> Command[str]:
        """Speak more: a generation request of Cartesia's, with `transcript`, `context_id`, `continue`, `voice`, …

        The output format is the edge's. Awaited: it is on its way; gives the context's id.
        """
        what, type_ = f"RealtimeTTSPlayer {self.name!r} generation_request()", "player.generate"
        id_ = self._turn.emit(what, type_, self.name, commands.PlayerGenerate(request))
        return Command(self._turn, id_, what, type_, lambda result: str(result["context_id"]))

    def cancel_context_request(self, context_id: str) -> Command[None]:
        """Stop a context: nothing more of it comes; what is queued is heard, unless cleared. Idempotent."""
        return self._emit("cancel_context_request()", "player.cancel_context", commands.PlayerCancel(context_id))

    def clear_buffer(self) -> Command[None]:
        """Drop what is queued for the ear up to now."""
        return self._emit("clear_buffer()", "player.clear", commands.PlayerSimple())


class Recording:
    """A recording of a leg."""

    def __init__(self, turn: Turn, name: str) -> None:
        self._turn = turn
        self.name = name

    def pause(self, *, reason: str = "") -> Command[None]:
        """Record silence in both channels from now on; the timeline says from where to where, and why. Idempotent.
        Its length goes on. A secret gather of the call keeps it silent, too, whatever `resume` says."""
        return self._emit("pause()", "record.pause", commands.RecordPause(reason))

    def resume(self) -> Command[None]:
        """Record sound again. Idempotent."""
        return self._emit("resume()", "record.resume", commands.RecordResume())

    def stop(self) -> Command[None]:
        """Stop and finish the file. Idempotent."""
        return self._emit("stop()", "record.stop", commands.RecordStop())

    def _emit(self, member: str, type_: str, args: object) -> Command[None]:
        return emit(self._turn, f"Recording {self.name!r} {member}", type_, self.name, args)


class AgentsClient(MediaUnit):
    """The connection to a Cartesia agent."""

    def web_socket_id(self) -> str:
        """Id of the socket."""
        return self._record.web_socket_id

    def start(
        self,
        *,
        metadata: Mapping[str, JSON] | None = None,
        config: Mapping[str, JSON] | None = None,
        agent: Mapping[str, JSON] | None = None,
    ) -> Command[None]:
        """Send start; awaited: the agent has acknowledged it."""
        args = commands.AgentStart(metadata or {}, config or {}, agent or {})
        return self._emit("start()", "agent.start", args)

    def custom(self, metadata: Mapping[str, JSON]) -> Command[None]:
        """Send a custom event to the agent's code."""
        return self._emit("custom()", "agent.custom", commands.AgentCustom(metadata))

    def dtmf(self, digits: str) -> Command[None]:
        """Send digits to the agent. Raises ValueError for others than 0-9 * # A-D."""
        return self._emit("dtmf()", "agent.dtmf", commands.Digits(digits))

    def clear_media_buffer(self) -> Command[None]:
        """Drop what is queued for the ear up to now."""
        return self._emit("clear_media_buffer()", "agent.clear", commands.AgentSimple())

    def close(self) -> Command[None]:
        """Close the socket; what was delivered is heard. Idempotent."""
        return self._emit("close()", "agent.close", commands.AgentSimple())


class Call(MediaUnit):
    """One leg."""

    def number(self) -> str:
        """The number called."""
        return self._record.number

    def callerid(self) -> str:
        """The caller's number."""
        return self._record.callerid

    def display_name(self) -> str:
        """The caller's display name."""
        return self._record.display_name

    def incoming(self) -> bool:
        """True if it came in."""
        return self._record.incoming

    def state(self) -> CallState:
        """As it was when the event began."""
        return self._record.state  # type: ignore[return-value]

    def client_type(self) -> ClientType:
        """What is at the other end."""
        return self._record.client_type  # type: ignore[return-value]

    def headers(self) -> Headers:
        """Headers of its INVITE or answer."""
        return dict(self._record.headers)

    def ring(self, *, headers: Headers | None = None) -> Command[None]:
        """180. Awaited: sent."""
        return self._emit("ring()", "call.ring", commands.CallRespond(headers or {}))

    def start_early_media(self, *, headers: Headers | None = None) -> Command[None]:
        """183. Awaited: sent."""
        return self._emit("start_early_media()", "call.early_media", commands.CallRespond(headers or {}))

    def answer(self, *, when: Literal["now", "agent_ready"] = "now", headers: Headers | None = None) -> Command[None]:
        """200. Awaited: sent.

        `agent_ready`: the call rings on until an agent of the session has acknowledged its start; routes, recordings
        and prompts of the call that are commanded meanwhile take effect at the answer. Where the agent fails, or none
        is ready within 10 s, the call is refused with 480: it was never billed. Await it after `agent.start()`, if at
        all: nothing of the handler runs while it waits.
        """
        if when not in ("now", "agent_ready"):
            raise ValueError(f"when: {when!r} is neither 'now' nor 'agent_ready'")
        args = commands.CallAnswer(headers or {}, None if when == "now" else when)
        return self._emit("answer()", "call.answer", args)

    def reject(self, code: int = 603, *, headers: Headers | None = None) -> Command[None]:
        """A final refusal, 300 to 699."""
        return self._emit("reject()", "call.reject", commands.CallReject(code, headers or {}))

    def hangup(self, *, after: Literal["now", "playout"] = "now", headers: Headers | None = None) -> Command[None]:
        """End the leg; `playout`: when the agent's turn is over and heard, at most 15 s later. Idempotent."""
        return self._emit("hangup()", "call.hangup", commands.CallHangup(after, headers or {}))

    def record(self, *, hd_audio: bool = False, stereo: bool = False, name: str = "recording") -> Recording:
        """Record the leg: left what it says, right what it was sent."""
        self._emit("record()", "call.record", commands.CallRecord(name, hd_audio, stereo))
        recording = self._turn.objects.recordings[name] = Recording(self._turn, name)
        return recording

    def send_digits(self, digits: str) -> Command[None]:
        """Send DTMF. Raises ValueError for others than 0-9 * # A-D."""
        return self._emit("send_digits()", "call.send_digits", commands.Digits(digits))

    def handle_tones(self, on: bool = True) -> Command[None]:
        """Deliver each digit as ToneReceived."""
        return self._emit("handle_tones()", "call.handle_tones", commands.CallHandleTones(on))

    def say(self, text: str, *, voice: str | None = None, name: str = "say") -> Player:
        """Speak a text (at most 1,500 characters) in place of what the call hears, which comes back at its end;
        PlaybackFinished tells. A source that is given to the call meanwhile ends it: route first, then say. `name` is
        the player's; saying again under a name that speaks on this call replaces it."""
        return self._play("say()", "call.say", commands.CallPlay(commands.Sound("text", text, voice), name))

    def start_playback(self, url: str, *, loop: bool = False, name: str = "playback") -> Player:
        """Play a WAV file in place of what the call hears, as `say`: an http(s) URL (at most 10 MB), or a path below
        the edge's [media] prompts. With `loop` until it is stopped or another source is given to the call."""
        return self._play("start_playback()", "call.play", commands.CallPlay(commands.Sound("url", url), name, loop))

    def play_progress_tone(self, country: Literal["US", "RU"] = "US", *, name: str = "tone") -> Player:
        """Ringback as a country has it, until it is stopped or another source is given to the call."""
        if country not in commands.PROGRESS_TONES:
            raise ValueError(f"country: {country!r} is none of {', '.join(commands.PROGRESS_TONES)}")
        args = commands.CallPlay(commands.Sound("tones", commands.PROGRESS_TONES[country]), name, loop=True)
        return self._play("play_progress_tone()", "call.play", args)

    def _play(self, member: str, type_: str, args: commands.CallPlay) -> Player:
        check_name(f"Call {self.name!r} {member}", args.name)
        self._emit(member, type_, args)
        return self._turn.objects.made_player(args.name)

    def gather(
        self,
        name: str,
        *,
        max_digits: int = 1,
        finish_on: str = "#",
        timeout: float = 5.0,
        prompt: str | Sequence[str] | None = None,
        repeat: int = 0,
        secret: bool = False,
    ) -> Command[None]:
        """Collect keys at the edge: one Gathered with `target=name`, no ToneReceived, and the agent gets none of them.

        `prompt`: text, or file or URL of a WAV file, or several; the first key ends it and counts. `timeout`: seconds
        from its end, and from each key, to the next one; where nothing was pressed it is played `repeat` times more.
        `max_digits` or a key of `finish_on`, which is no part of the digits, completes it. `secret`: the digits are
        masked in all that the edge writes, nobody hears the caller meanwhile, and recordings of the call are silent.
        A second gather on a call takes the place of the first. Awaited: collecting began. Raises ValueError.
        """
        check_name(f"Call {self.name!r} gather()", name)
        parts = (prompt,) if isinstance(prompt, str) else tuple(prompt or ())
        args = commands.CallGather(name, max_digits, finish_on, timeout, parts, repeat, secret)
        return self._emit("gather()", "call.gather", args)

    def send_message(self, text: str) -> Command[None]:
        """Not built yet: raises NotSupported."""
        self._missing("send_message()", "call.send_message")

    def send_info(self, mime: str, body: str, *, headers: Headers | None = None) -> Command[None]:
        """Not built yet: raises NotSupported."""
        self._missing("send_info()", "call.send_info")

    def hold(self, *, music: str | None = None) -> Command[None]:
        """Not built yet: raises NotSupported."""
        self._missing("hold()", "call.hold")

    def unhold(self) -> Command[None]:
        """Not built yet: raises NotSupported."""
        self._missing("unhold()", "call.unhold")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return missing_member("Call", type(self), name)
