"""A session's recordings: begun, paused and stopped by handlers; their sound is the plane's, their wav the finisher's.

With `[recording] announce` the other end hears that announcement first, once the leg is answered, and the recording
begins when it was heard out. Meanwhile it takes the place of what the leg hears: an agent or leg that is routed to it
comes after it (up to 10 s of an agent's words wait), prompts and players too; nothing else of the call waits. Where it
cannot be heard out (the file is missing, nobody can speak, the call ends) there is no recording: `record.failed` tells.
"""

from typing import TYPE_CHECKING, Any

from cordboard.config.numbers import match_number, read_target
from cordboard.contract import commands, link
from cordboard.contract.commands import Sound
from cordboard.contract.events import RecordEvent

from .objects import Leg, Recording
from .player import Ended, Prompt
from .steps import Step

if TYPE_CHECKING:
    from .session import Session


class Recordings:
    """All recordings of one session, in the order they were made."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._recordings: dict[str, Recording] = {}
        self._prompts: dict[str, Prompt] = {}
        """Recording → its announcement, while that is heard."""

    def live(self) -> list[Recording]:
        """Recordings that are not over."""
        return [recording for recording in self._recordings.values() if not recording.over]

    def files(self) -> tuple[str, ...]:
        """Names of the finished files of all that began."""
        return tuple(f"{recording.name}.wav" for recording in self._recordings.values() if recording.begun)

    def jobs(self) -> tuple[dict[str, Any], ...]:
        """What the finisher needs of each that began."""
        return tuple(recording.job() for recording in self._recordings.values() if recording.begun)

    # --- commands

    def record(self, step: Step, args: commands.CallRecord, now: float) -> None:
        """call.record."""
        session = self._session
        leg = session.legs.get(step.command.target or "")
        if leg is None:
            step.fail("object_ended", f"call {step.command.target!r} is over")
            return
        if session.services.config.recording.mode == "off":
            step.fail("refused", "recording.mode is off in the edge's configuration")
            return
        if any(each.leg == leg.unit for each in self.live()):
            step.fail("refused", f"call {leg.name!r} is being recorded")
            return
        if args.name in self._recordings:
            step.fail("refused", f"there is a recording named {args.name!r}; give this one another name")
            return
        directory = session.services.config.edge.data_dir / "calls" / session.id
        path = str(directory / f"{args.name}.raw.wav")
        unit = f"{session.id}/{args.name}"
        recording = Recording(args.name, unit, leg.unit, path, args.hd_audio, args.stereo)
        self._recordings[args.name] = recording
        if self._is_announced(leg):
            self._announce(recording, leg, now)
        elif leg.awaits_agent:
            self._begin_at_the_answer(recording, leg, now)
        else:
            self._begin(recording)
        step.done({"name": args.name})

    def pause(self, step: Step, args: commands.RecordPause, now: float) -> None:
        """record.pause; one that is over records nothing anyway."""
        recording = self._named(step)
        if recording is not None:
            self.silence(recording, args.reason)
        step.done()

    def resume(self, step: Step, args: commands.RecordResume, now: float) -> None:
        """record.resume."""
        recording = self._named(step)
        if recording is not None:
            self.unsilence(recording)
        step.done()

    def silence(self, recording: Recording, reason: str) -> None:
        """Record silence from now on; one that is paused already goes on so."""
        if not recording.over and recording.paused is None:
            recording.paused = reason
            if recording.begun:
                self._session.send_plane(link.RecordPause(recording.unit, reason))

    def unsilence(self, recording: Recording) -> None:
        """Record sound again."""
        if not recording.over and recording.paused is not None:
            recording.paused = None
            if recording.begun:
                self._session.send_plane(link.RecordResume(recording.unit))

    def stop(self, step: Step, args: commands.RecordStop, now: float) -> None:
        """record.stop."""
        recording = self._recordings.get(step.command.target or "")
        if recording is not None and recording.begun and not recording.over:
            self._session.send_plane(link.RecordEnd(recording.unit))
        elif recording is not None:
            self._fail(recording, "it was stopped before it began", now)
        step.done()

    def _named(self, step: Step) -> Recording | None:
        recording = self._recordings.get(step.command.target or "")
        if recording is None:
            step.fail("object_ended", f"there is no recording {step.command.target!r}")
        return recording

    # --- announcement and begin

    def _is_announced(self, leg: Leg) -> bool:
        """Whether the number at the other end has to hear the announcement; what is no number has to."""
        config = self._session.services.config.recording
        if not config.announce or not config.required_for:
            return bool(config.announce)
        target = read_target(leg.callerid if leg.incoming else leg.number)
        if target is None or not target.user.removeprefix("+").isdecimal():  # it may be from anywhere
            return True
        return any(match_number(each, target.user) for each in config.required_for)

    def _announce(self, recording: Recording, leg: Leg, now: float) -> None:
        session = self._session
        sound = Sound.of(session.services.config.recording.announce)

        def heard(how: Ended, why: str, at: float) -> None:
            if recording.over:
                return
            if how == "finished":
                self._begin(recording)
            else:
                self._fail(recording, f"the announcement was not heard out: {why or how}", at)

        def answered(at: float) -> None:
            if not recording.over:
                prompt = session.players.announce(leg, [sound], heard, at)
                self._prompts[recording.name] = prompt

        session.legs.when_over(leg, lambda at: self._fail(recording, "the call ended before its announcement", at))
        session.legs.when_answered(leg, answered, now)

    def _begin_at_the_answer(self, recording: Recording, leg: Leg, now: float) -> None:
        def answered(at: float) -> None:
            if not recording.over:
                self._begin(recording)

        self._session.legs.when_over(leg, lambda at: self._fail(recording, "the call was not answered", at))
        self._session.legs.when_answered(leg, answered, now)

    def _begin(self, recording: Recording) -> None:
        recording.begun = True
        self._prompts.pop(recording.name, None)
        self._session.send_plane(link.RecordBegin(recording.unit, recording.leg, recording.path))
        if recording.paused is not None:
            self._session.send_plane(link.RecordPause(recording.unit, recording.paused))

    def _fail(self, recording: Recording, why: str, now: float) -> None:
        """One that did not begin never will."""
        if recording.begun or recording.over:
            return
        recording.over = True
        prompt = self._prompts.pop(recording.name, None)
        if prompt is not None:
            prompt.stop(now)
        told = RecordEvent(reason=why, call=_name(recording.leg))
        self._session.post("record.failed", told, now, target=recording.name)

    # --- what the plane tells

    def over(self, message: link.RecordOver, now: float) -> None:
        """A recording's raw file is closed."""
        recording = next((each for each in self.live() if each.unit == message.recording), None)
        if recording is None:
            return
        recording.over = True
        recording.seconds = message.seconds
        call = _name(recording.leg)
        if message.error:
            told = RecordEvent(reason=message.error, call=call)
            self._session.post("record.failed", told, now, target=recording.name)
        else:
            url = f"file:{recording.path.removesuffix('.raw.wav')}.wav"
            told = RecordEvent(url, message.seconds, call=call)
            self._session.post("record.stopped", told, now, target=recording.name)


def _name(unit: str) -> str:
    """A handler's name of a leg."""
    return unit.partition("/")[2].partition("~")[0]
