"""Gathers: key presses collected at the edge, one call.gathered for each (HANDLERS §1.1).

    asked ──confirmed──▶ prompting ──prompt over──▶ waiting ──timeout──▶ ending ──confirmed──▶ over
                            ▲ │key                  │  ▲ │key                │ key
                            │ └─────────────────────┼──┘ │                   │
                            └─nothing pressed, again┘    └──last key──▶ over ◀┘

The plane says of each digit whose it is, and which one completes its gather (`plane.digits`); time and prompts are
decided here. So a digit is either the gather's or everybody's, however messages and keys cross.

A secret gather's digits stand in nothing that is written: not in the timeline, not in a SIP message by INFO, and from
their event on not in what handlers log, command or raise. The plane keeps the peer from being heard and recorded.

Leaves out: digits pressed before the gather began (they had their usual ways), tones in the audio.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cordboard.contract import link
from cordboard.contract.commands import CallGather, Sound
from cordboard.contract.events import CallGathered

from .objects import Leg
from .player import Ended, Prompt
from .steps import Step
from .timers import Timer

if TYPE_CHECKING:
    from .session import Session

MASKED = "***"
"""What stands where a secret gather's digits would."""


@dataclass(slots=True)
class Gather:
    """One gather from its command to its event."""

    id: str
    leg: Leg
    args: CallGather
    again: int
    """How often the prompt may yet be repeated."""
    digits: str = ""
    began: bool = False
    """The plane has confirmed it."""
    outcome: Literal["", "timeout", "interrupted"] = ""
    """Decided, but digits may be on their way still."""
    timer: Timer | None = None
    prompt: Prompt | None = None
    """While it is heard."""


class Gathering:
    """The gathers of one session: at most one a leg, and the one whose place it takes."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._live: dict[str, Gather] = {}
        self._made = 0

    def runs(self, leg: Leg) -> bool:
        """A leg waits for its peer's keys."""
        return any(gather.leg is leg for gather in self._live.values())

    def secret(self, leg: Leg) -> bool:
        """It waits for keys that must not be written."""
        return any(gather.leg is leg and gather.args.secret for gather in self._live.values())

    def start(self, step: Step, args: CallGather, now: float) -> None:
        """Begin to collect; done when the plane has confirmed it. A leg that is being answered is waited for."""
        session = self._session
        leg = session.legs.get(step.command.target or "")
        if leg is None or leg.hanging_up:
            step.fail("object_ended", f"call {step.command.target!r} is over")
        elif leg.answered:
            self._ask(leg, step, args, now)
        elif leg.incoming and not leg.media_ready:  # the answer before this command waits for the same
            session.legs.cords.when_media_ready(leg, lambda at: self.start(step, args, at))
        else:
            step.fail("refused", f"call {leg.name!r} is not answered yet; gather from its Connected event on")

    def digit(self, message: link.LegDigit, now: float) -> None:
        """A key that belongs to a gather."""
        gather = self._live.get(message.gather)
        if gather is None:
            return  # its command had failed by its limit
        self._quiet(gather, now)
        if message.digit not in gather.args.finish_on:
            gather.digits += message.digit
        if message.last:
            self._over(gather, "complete", now)
        elif not gather.outcome:
            self._wait(gather, now)

    def leg_over(self, leg: Leg, now: float) -> None:
        """A leg has ended, and so have its gathers."""
        for gather in [each for each in self._live.values() if each.leg is leg]:
            self._over(gather, "interrupted", now)

    def give_up(self, leg: Leg, now: float) -> None:
        """A leg's keys are its own again."""
        for gather in [each for each in self._live.values() if each.leg is leg]:
            self._session.send_plane(link.LegGatherEnd(leg.unit, gather.id))
            self._over(gather, "interrupted", now)

    def forget(self) -> None:
        """Nothing is due any more."""
        for gather in self._live.values():
            if gather.timer is not None:
                gather.timer.cancel()
        self._live.clear()

    # --- begin

    def _ask(self, leg: Leg, step: Step, args: CallGather, now: float) -> None:
        session = self._session
        for former in [each for each in self._live.values() if each.leg is leg]:
            self._quiet(former, now)
            former.outcome = former.outcome or "interrupted"  # over when the plane gives the keys to this one
        self._made += 1
        gather = Gather(f"{args.name}~{self._made}", leg, args, args.repeat)
        leg.secret_keys = leg.secret_keys or args.secret
        self._live[gather.id] = gather

        def confirmed(done: link.Done, at: float) -> None:
            self._confirmed(gather, step, done, at)

        token = session.confirm(confirmed)
        message = link.LegGather(leg.unit, gather.id, args.max_digits, args.finish_on, args.secret, token)
        session.send_plane(message)

    def _confirmed(self, gather: Gather, step: Step, done: link.Done, now: float) -> None:
        if gather.id not in self._live:
            step.fail("call_ended", "the call is over")
            return
        for former in [each for each in self._live.values() if each.began and each.leg is gather.leg]:
            self._over(former, former.outcome or "interrupted", now)
        if not done.ok:
            del self._live[gather.id]
            step.fail(done.code, done.message)
            return
        if step.status != "pending":  # its handler was told that it failed
            del self._live[gather.id]
            self._session.send_plane(link.LegGatherEnd(gather.leg.unit, gather.id))
            return
        gather.began = True
        step.done()
        if not gather.outcome:
            self._prompt(gather, now)

    # --- time

    def _prompt(self, gather: Gather, now: float) -> None:
        """Let the prompt be heard, if there is one; then, or if it cannot be heard, the time runs."""
        if not gather.args.prompt:
            self._wait(gather, now)
            return

        def ended(how: Ended, why: str, at: float) -> None:
            if gather.prompt is prompt:
                gather.prompt = None
                self._wait(gather, at)

        sounds = [Sound.of(part) for part in gather.args.prompt]
        prompt = gather.prompt = self._session.players.prompt(gather.leg, sounds, ended, now)

    def _wait(self, gather: Gather, now: float) -> None:
        gather.timer = self._session.services.timers.set(
            now + gather.args.timeout, lambda at: self._nothing_came(gather, at)
        )

    def _nothing_came(self, gather: Gather, now: float) -> None:
        gather.timer = None
        if gather.again > 0 and not gather.digits:
            gather.again -= 1
            self._prompt(gather, now)
            return
        gather.outcome = "timeout"

        def ended(done: link.Done, at: float) -> None:
            if gather.id in self._live:
                self._over(gather, gather.outcome or "timeout", at)

        token = self._session.confirm(ended)
        self._session.send_plane(link.LegGatherEnd(gather.leg.unit, gather.id, token))

    def _quiet(self, gather: Gather, now: float) -> None:
        """Neither prompt nor time go on."""
        if gather.timer is not None:
            gather.timer.cancel()
            gather.timer = None
        if gather.prompt is not None:
            prompt, gather.prompt = gather.prompt, None
            prompt.stop(now)

    # --- end

    def _over(self, gather: Gather, reason: Literal["complete", "timeout", "interrupted"], now: float) -> None:
        session, args, leg = self._session, gather.args, gather.leg
        self._quiet(gather, now)
        del self._live[gather.id]
        if not gather.began:
            return  # its command fails, or has
        if leg.unbridged_since is not None:
            leg.unbridged_since = now  # it waited for something until now
        data = CallGathered(gather.digits, reason, leg.name)
        noted = None
        if args.secret:
            session.redactor.add_digits(gather.digits)
            noted = {"digits": MASKED, "reason": reason, "call": leg.name}
        session.post("call.gathered", data, now, target=args.name, noted=noted)
